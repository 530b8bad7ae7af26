//! `orders recover`: makes a damaged data folder usable again by giving up what cannot be read, and reports what that is.
//! It runs in three steps, and whoever stops it in between can run it again:
//!
//! 1. What is cut off is copied, and searched for events that can still be read ([`lost`]).
//! 2. The journal is cut off there, and the `EXTENT` says so.
//! 3. The store is opened, everything in it is written to tables, and its ledger is made to agree with it. From there on
//!    commits are numbered anew, so what is missing is no gap to later starts.
//!
//! What is projected is not touched: a rebuild follows.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fjall::{AbstractTree, PersistMode};

use super::chain::{Chain, LastWrites};
use super::continuity::{Cut, Flaw};
use super::database;
use super::extent::{Extent, ExtentFile};
use super::folder::DataFolder;
use super::keys::{Keyspaces, Numbered};
use super::layout;
use super::open_error::OpenError;
use super::stage::Stage;
use super::writer::{self, Books, Totals};
use lost::Lost;

pub use lost::{Fate, LostEvent};

mod lost;

/// What was found, and what was done about it.
#[derive(Debug, Default)]
pub struct Recovery {
    /// What is wrong with the folder; `None` if nothing is.
    pub found: Option<String>,
    /// Commits that were on the disk and cannot be read any more: what was in them is not known.
    pub unreadable_commits: u64,
    /// Events in commits that are cut off and can be read.
    pub events: Vec<LostEvent>,
    /// Where the files are kept that were cut, if any were.
    pub copy: Option<PathBuf>,
    /// How many events the ledger counted as accepted, before and after.
    pub accepted: Option<(u64, u64)>,
}

/// Makes the folder at `path` usable again, or with `dry_run` only reports what that would take. Files that are cut are
/// copied into `copy` first, which must not exist.
pub fn recover(path: &Path, copy: &Path, dry_run: bool) -> Result<Recovery, OpenError> {
    let folder = DataFolder::claim(path)?;
    if folder.is_new() {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let io_error = |error| OpenError::io(path, error);
    let (flaw, extent) = folder.flaw()?;
    let mut recovery = Recovery::default();
    let mut lost = Lost::default();
    match flaw {
        Some(Flaw::Cut(cut)) => {
            let name = cut.path.strip_prefix(path).unwrap_or(&cut.path).display().to_string();
            recovery.found = Some(cut.describe(&name));
            lost = Lost::behind(&cut, &folder.store()).map_err(io_error)?;
            recovery.unreadable_commits = cut.commits.unwrap_or(0).saturating_sub(cut.readable);
            if !dry_run {
                keep_copy(path, &folder.store(), &cut, copy).map_err(io_error)?;
                recovery.copy = Some(copy.to_owned());
                cut_off(path, &folder.store(), &cut, extent.as_ref()).map_err(io_error)?;
            }
        }
        Some(Flaw::Missing(file, what)) => recovery.found = Some(format!("{}: {what}", file.display())),
        Some(other) => return Err(folder.explain(other)),
        None if extent.is_none() => {
            recovery.found = Some(format!("{} cannot be read, and is made anew", ExtentFile::NAME));
        }
        None => {}
    }
    if dry_run {
        recovery.events = lost.into_events(|_| Ok(Fate::Unknown)).map_err(io_error)?;
        return Ok(recovery);
    }
    restart(&folder, path, &mut recovery, lost)?;
    Ok(recovery)
}

/// Opens what is left, and makes it a store of its own.
fn restart(folder: &DataFolder, path: &Path, recovery: &mut Recovery, lost: Lost) -> Result<(), OpenError> {
    let io_error = |error| OpenError::io(path, error);
    let fjall_error = |error: fjall::Error| OpenError::io(path, io::Error::other(error.to_string()));
    let keys = database::open(path, &folder.store())?;
    recovery.events = lost.into_events(|event| event.fate_in(&keys)).map_err(io_error)?;
    for keyspace in keys.all() {
        keyspace.rotate_memtable_and_wait().map_err(fjall_error)?;
    }
    let before = counted(&keys).map_err(|error| OpenError::damaged(path, format!("{error:#}")))?;
    let latest = |keyspace: &Numbered| keyspace.tree.get_highest_seqno().unwrap_or(0);
    let known = super::opening::stored_chain(&keys);
    let commit = known.map_or(0, |chain| chain.commit) + 1;
    let mut chain = Chain { commit, last: LastWrites([&keys.log, &keys.receipts, &keys.meta].map(latest)) };
    let mut stage = Stage::new(&keys.db, before.found);
    stage.books = before.right;
    let shared = std::sync::Mutex::new(before.found);
    writer::commit(&keys, &shared, &mut chain, before.found, stage).map_err(fjall_error)?;
    keys.db.persist(PersistMode::SyncAll).map_err(fjall_error)?;
    if before.right != before.found.books {
        let (found, right) = (before.found.books.ledger, before.right.ledger);
        recovery.accepted = Some((found.accepted, right.accepted));
        recovery
            .found
            .get_or_insert_with(|| "the ledger does not agree with the log and the queue".to_owned());
    }
    let ledger = before.right.ledger;
    let extent = Extent {
        commit: chain.commit,
        journal: 0,
        at: crate::now().micros(),
        accepted: ledger.accepted,
        recorded: ledger.recorded,
        last: chain.last,
    };
    folder.complete(&extent).map(drop).map_err(io_error)
}

/// The numbers as they are stored, and as they should be.
struct Counted {
    found: Totals,
    right: Books,
}

fn counted(keys: &Keyspaces) -> anyhow::Result<Counted> {
    let books = super::opening::stored_books(keys)?;
    let count = |keyspace: &Numbered| -> anyhow::Result<u64> {
        keyspace.iter().try_fold(0, |count, row| Ok(row.key().map(|_| count + 1)?))
    };
    let mut right = books;
    right.ledger.recorded = count(&keys.log)?;
    let queued = count(&keys.queue)?;
    right.ledger.accepted = right.ledger.settled() + queued;
    Ok(Counted { found: Totals { books, queued }, right })
}

/// Copies what is going to be cut, durably.
fn keep_copy(path: &Path, store: &Path, cut: &Cut, copy: &Path) -> io::Result<()> {
    fs::create_dir(copy)?;
    for journal in cut_journals(store, cut)? {
        if journal.exists() {
            fs::copy(&journal, copy.join(journal.file_name().unwrap_or_default()))?;
        }
    }
    let extent = path.join(ExtentFile::NAME);
    if extent.exists() {
        fs::copy(extent, copy.join(ExtentFile::NAME))?;
    }
    database::sync_tree(copy)?;
    File::open(path)?.sync_all()
}

/// The journal that is cut, and the later ones, which go.
fn cut_journals(store: &Path, cut: &Cut) -> io::Result<Vec<PathBuf>> {
    let journals = layout::journals(store).map_err(|fault| io::Error::other(format!("{fault:?}")))?;
    Ok(journals.into_iter().filter(|(number, _)| *number >= cut.journal).map(|(_, path)| path).collect())
}

fn cut_off(path: &Path, store: &Path, cut: &Cut, extent: Option<&Extent>) -> io::Result<()> {
    // First what was promised: should this be interrupted, what is left is whole by it.
    let at = extent.map_or(0, |extent| extent.at);
    let kept = Extent {
        commit: cut.kept.commit,
        last: cut.kept.last,
        journal: cut.journal,
        at,
        ..Extent::default()
    };
    drop(ExtentFile::create(path, &kept)?);
    for journal in cut_journals(store, cut)? {
        if journal == cut.path {
            let file = File::options().write(true).open(&journal)?;
            file.set_len(cut.offset)?;
            file.sync_all()?;
        } else {
            fs::remove_file(&journal)?;
        }
    }
    File::open(store)?.sync_all()
}
