//! Summarizes the files of a data folder without opening the store. The parent module calls these functions, also while
//! a service uses the folder. Files that the service removes in the meantime are left out.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use domain::Timestamp;

use super::{Inspection, JournalSummary, KeyspaceSummary, NextStart, SyncedExtent};
use crate::embedded::store::chain::Link;
use crate::embedded::store::extent::ExtentFile;
use crate::embedded::store::folder::DataFolder;
use crate::embedded::store::keyspaces::{self, NAMES};
use crate::embedded::store::layout::journal::{self, JournalBatches};
use crate::embedded::store::layout::{self, keyspace_path};
use crate::embedded::store::open_error::OpenError;

/// The unit, in bytes, in which every file system counts the allocated blocks of a file.
const BLOCK_BYTES: u64 = 512;

pub(super) fn read(path: &Path, folder: &DataFolder) -> Result<Inspection, OpenError> {
    let store = folder.store();
    let format = if_exists(fs::read_to_string(path.join("FORMAT")));
    let format = format.map_err(|error| OpenError::io(&path.join("FORMAT"), error))?;
    let mut journals = Vec::new();
    // A store that does not exist yet has no journals. Other errors are reported as the reason why a start would fail.
    for (_, journal) in layout::journals(&store).unwrap_or_default() {
        let summary = if_exists(summarize_journal(&journal));
        journals.extend(summary.map_err(|error| OpenError::io(&journal, error))?);
    }
    let mut keyspaces = Vec::new();
    for (number, name) in (1..).zip(NAMES) {
        let tables = keyspace_path(&store, number).join("tables");
        let sizes = if_exists(file_sizes(&tables)).map_err(|error| OpenError::io(&tables, error))?;
        if let Some((count, bytes)) = sizes {
            keyspaces.push(KeyspaceSummary { name, tables: count, table_bytes: bytes, about_rows: None });
        }
    }
    let next_start = if folder.is_new() { NextStart::Create } else { NextStart::Open };
    let (format, synced) = (format.map(|text| text.trim_end().to_owned()), synced(path));
    Ok(Inspection { format, in_use: false, synced, journals, keyspaces, content: None, next_start })
}

/// The extent, or `None` if no extent can be read.
fn synced(path: &Path) -> Option<SyncedExtent> {
    let extent = ExtentFile::read(path).ok()??;
    Some(SyncedExtent {
        commit: extent.commit,
        journal: extent.journal,
        at: Timestamp::from_micros(extent.at),
        accepted: extent.accepted,
        recorded: extent.recorded,
    })
}

fn summarize_journal(path: &Path) -> io::Result<JournalSummary> {
    let allocated_bytes = fs::metadata(path)?.blocks() * BLOCK_BYTES;
    let bytes = journal::read(path)?;
    let mut batches = JournalBatches::of(&bytes);
    let (mut commits, mut latest_commit) = (0, None);
    for batch in &mut batches {
        commits += 1;
        let mut links =
            batch.items().filter(|item| item.keyspace == keyspaces::META && item.key == Link::KEY);
        let link = links.next().and_then(|item| Link::decode(&item.value?.read()?).ok());
        latest_commit = link.map(|link| link.commit).or(latest_commit);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(JournalSummary { name, allocated_bytes, used_bytes: batches.end as u64, commits, latest_commit })
}

/// The number of files in a folder, and their total size.
fn file_sizes(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        if let Some(metadata) = if_exists(entry?.metadata())? {
            count += 1;
            bytes += metadata.len();
        }
    }
    Ok((count, bytes))
}

fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
