//! Makes a damaged data folder usable again. Recovery discards unreadable data and reports what it discards. `orders
//! recover` calls this module for a folder that [`opening`](super::opening) refuses.
//!
//! A recovery has three steps. An interrupted recovery can be run again.
//!
//! 1. Copy the journals that will be cut, and search the cut part for events that can still be read ([`lost`]).
//! 2. Record in `EXTENT` where the journals will end, and cut them there.
//! 3. Open the store, flush it to tables and correct its ledger. The next commit gets the number after the last
//!    remaining commit, so later starts see no gap.
//!
//! Projections are not changed, so a rebuild must follow.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::PersistMode;

use super::backfill;
use super::chain::Chain;
use super::commit::Committer;
use super::continuity::{Flaw, JournalCut};
use super::counters::{Counters, LatestTotals, Totals};
use super::database;
use super::extent::{Extent, ExtentFile};
use super::feed::FeedEnd;
use super::feed::backfill::FeedBackfill;
use super::folder::DataFolder;
use super::keyspaces::{Keyspaces, NumberedKeyspace};
use super::layout;
use super::open_error::OpenError;
use super::opening::{last_writes, stored_chain, stored_counters};
use lost::LostEvents;

pub use lost::{LostEvent, LostEventState};

mod lost;

/// The number of positions that a recovery leaves without events. Readers of the feed may have seen events after the
/// cut, whose positions must not be given to other events. The number is larger than the number of events that the
/// journals of a folder can contain.
const LOST_POSITIONS: u64 = 10_000_000;

/// The findings of a recovery, and its result.
#[derive(Debug, Default)]
pub struct Recovery {
    /// What is wrong with the folder, or `None` if nothing is wrong.
    pub found: Option<String>,
    /// The number of synced commits that can no longer be read. Their content is unknown.
    pub unreadable_commits: u64,
    /// The readable events of the commits that are cut off.
    pub events: Vec<LostEvent>,
    /// The folder with copies of the files that were cut, if any were cut.
    pub copy: Option<PathBuf>,
    /// The number of accepted events in the ledger, before and after the recovery.
    pub accepted: Option<(u64, u64)>,
}

/// Makes the folder at `path` usable again. With `dry_run`, only reports what would be lost. Files are copied into the
/// folder `copy` before they are cut. `copy` must not exist yet.
pub fn recover(path: &Path, copy: &Path, dry_run: bool) -> Result<Recovery, OpenError> {
    let folder = DataFolder::claim(path)?;
    if folder.is_new() {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let io_error = |error| OpenError::io(path, error);
    let (flaw, extent) = folder.flaw()?;
    let mut recovery = Recovery::default();
    let mut lost = LostEvents::default();
    match flaw {
        Some(Flaw::Cut(cut)) => {
            let name = cut.path.strip_prefix(path).unwrap_or(&cut.path).display().to_string();
            recovery.found = Some(cut.describe(&name));
            lost = LostEvents::after(&cut, &folder.store()).map_err(io_error)?;
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
            recovery.found =
                Some(format!("{} cannot be read, so recovery writes a new file", ExtentFile::NAME));
        }
        None => {}
    }
    if dry_run {
        recovery.events = lost.into_events(|_| Ok(LostEventState::Unknown)).map_err(io_error)?;
        return Ok(recovery);
    }
    restart(&folder, path, &mut recovery, lost)?;
    Ok(recovery)
}

/// Opens the store after the cut, and commits a corrected ledger.
fn restart(
    folder: &DataFolder,
    path: &Path,
    recovery: &mut Recovery,
    lost: LostEvents,
) -> Result<(), OpenError> {
    let io_error = |error| OpenError::io(path, error);
    let fjall_error = |error: fjall::Error| OpenError::io(path, io::Error::other(error.to_string()));
    let keys = database::open(path, &folder.store())?;
    recovery.events = lost.into_events(|event| event.state_in(&keys)).map_err(io_error)?;
    keys.write_tables().map_err(fjall_error)?;
    let counts = recount(&keys).map_err(|error| OpenError::damaged(path, format!("{error:#}")))?;
    let commit = stored_chain(&keys).map_or(0, |chain| chain.commit) + 1;
    let chain = Chain { commit, last: last_writes(&keys) };
    let feed = FeedEnd::stored(&keys).map_err(|error| OpenError::damaged(path, format!("{error:#}")))?;
    let mut committer =
        Committer { keys, totals: LatestTotals::new(counts.stored), changes: Arc::default(), chain, feed };
    let mut stage = committer.stage();
    stage.counters = counts.correct;
    if folder.is_upgrade() {
        database::sync_tree(&folder.store()).map_err(io_error)?;
        FeedBackfill::announce(&committer.keys, &mut stage);
    } else if recovery.found.is_some() {
        committer.stage_lost_positions(&mut stage, LOST_POSITIONS);
    }
    if folder.lacks_indexes() {
        backfill::announce(&committer.keys, &mut stage);
    }
    committer.commit(stage).map_err(fjall_error)?;
    committer.keys.db.persist(PersistMode::SyncAll).map_err(fjall_error)?;
    if counts.correct != counts.stored.counters {
        let (stored, correct) = (counts.stored.counters.ledger, counts.correct.ledger);
        recovery.accepted = Some((stored.accepted, correct.accepted));
        recovery
            .found
            .get_or_insert_with(|| "the ledger does not agree with the log and the queue".to_owned());
    }
    let extent = Extent::now(&committer.chain, 0, &counts.correct.ledger);
    folder.complete(&extent).map(drop).map_err(io_error)
}

/// The totals that the store contains, and the counters that would be correct.
struct Recount {
    stored: Totals,
    correct: Counters,
}

fn recount(keys: &Keyspaces) -> anyhow::Result<Recount> {
    let counters = stored_counters(keys)?;
    let count = |keyspace: &NumberedKeyspace| -> anyhow::Result<u64> {
        keyspace.iter().try_fold(0, |count, row| Ok(row.key().map(|_| count + 1)?))
    };
    let mut correct = counters;
    correct.ledger.recorded = count(&keys.log)?;
    let queued = count(&keys.queue)?;
    correct.ledger.accepted = correct.ledger.settled() + queued;
    Ok(Recount { stored: Totals { counters, queued }, correct })
}

/// Copies the files that will be cut, and syncs the copies.
fn keep_copy(path: &Path, store: &Path, cut: &JournalCut, copy: &Path) -> io::Result<()> {
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

/// The journals that a recovery changes: the journal that is cut, and all later journals, which are removed.
fn cut_journals(store: &Path, cut: &JournalCut) -> io::Result<Vec<PathBuf>> {
    let journals = layout::journals(store).map_err(|error| io::Error::other(format!("{error:?}")))?;
    Ok(journals.into_iter().filter(|(number, _)| *number >= cut.journal).map(|(_, path)| path).collect())
}

fn cut_off(path: &Path, store: &Path, cut: &JournalCut, extent: Option<&Extent>) -> io::Result<()> {
    // Writes the extent first, so that after an interrupted recovery, the extent never contains more commits than the
    // journals.
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
