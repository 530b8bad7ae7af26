//! Opens the store of a data folder, in three steps. First [`Opening::begin`] opens the database, then the queue reads
//! its messages, and last [`Opening::finish`] checks the ledger and starts the threads. The first commit is made only
//! after the whole store was checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use fjall::{AbstractTree, PersistMode};
use uuid::Uuid;

use super::Store;
use super::backfill::{Backfill, BackfillOptions};
use super::chain::{Chain, LastWrites, Link};
use super::changes::OrderChanges;
use super::commit::Committer;
use super::counters::{Counters, LatestTotals, Totals};
use super::extent::{Extent, ExtentFile};
use super::feed::FeedEnd;
use super::feed::backfill::FeedBackfill;
use super::feed::waiters::FeedWaiters;
use super::folder::DataFolder;
use super::journal_file;
use super::keyspaces::{self, Keyspaces, NumberedKeyspace};
use super::open_error::OpenError;
use super::read_turns::ReadTurns;
use super::stage::Stage;
use super::sync::Disk;
use super::views::{SyncedView, View};
use super::writer::{self, WriterThreads};
use crate::now;

/// How far the clock may be set back without a warning.
const CLOCK_TOLERANCE_MICROS: i64 = 1_000_000;

/// A store that is being opened. It can be read, but not written.
pub(crate) struct Opening<'a> {
    path: &'a Path,
    pub(crate) keys: Keyspaces,
    /// The writes of the first commit.
    pub(crate) stage: Stage,
    counters: Counters,
    /// The extent that was read from the folder, if it has one.
    promised: Option<Extent>,
    // The folder is dropped last, because it holds the lock.
    folder: DataFolder,
}

/// An open store, with its threads and its data folder. The threads and the folder must outlive the store.
pub(crate) struct OpenedStore {
    pub(crate) store: Store,
    pub(crate) threads: WriterThreads,
    /// The searchable keys of the metadata.
    pub(crate) searchable: BTreeSet<String>,
    pub(crate) folder: DataFolder,
}

impl<'a> Opening<'a> {
    /// Locks the folder at `path` and opens its database. Creates the folder and the database if they do not exist.
    pub(crate) fn begin(path: &'a Path) -> Result<Self, OpenError> {
        let folder = DataFolder::claim(path)?;
        let (keys, promised) = folder.open_store()?;
        let counters = stored_counters(&keys).map_err(|error| damaged(path, &error))?;
        let stage = Stage::new(&keys.db, Totals { counters, queued: 0 });
        Ok(Self { path, keys, stage, counters, promised, folder })
    }

    pub(crate) fn damaged(&self, error: &anyhow::Error) -> OpenError {
        damaged(self.path, error)
    }

    /// Checks the ledger against the number of `queued` messages.
    pub(crate) fn check_totals(&self, queued: u64) -> Result<Totals, OpenError> {
        let totals = Totals { counters: self.counters, queued };
        if self.promised.is_some() {
            check_balance(&totals).map_err(|error| self.damaged(&error))?;
        }
        Ok(totals)
    }

    /// Checks the ledger against the number of `queued` messages, makes the first commit and starts the threads.
    pub(crate) fn finish(
        mut self,
        queued: u64,
        options: &BackfillOptions<'_>,
    ) -> Result<OpenedStore, OpenError> {
        self.stage.queued = queued;
        let totals = self.check_totals(queued)?;
        self.promised.iter().for_each(report_clock);
        let name = stored_name(&self.keys, &mut self.stage).map_err(|error| damaged(self.path, &error))?;
        let chain = stored_chain(&self.keys).map_err(|error| self.damaged(&error))?;
        let feed = FeedEnd::stored(&self.keys).map_err(|error| self.damaged(&error))?;
        let lacks_indexes = self.folder.lacks_indexes();
        let backfill = Backfill::plan(&self.keys, &mut self.stage, options.searchable, lacks_indexes);
        let backfill = backfill.map_err(|error| damaged(self.path, &error))?;
        let feed_backfill = FeedBackfill::plan(&self.keys, &mut self.stage, self.folder.is_upgrade());
        let feed_backfill = feed_backfill.map_err(|error| damaged(self.path, &error))?;
        let Self { path, folder, keys, stage, .. } = self;
        let latest = LatestTotals::new(totals);
        let changes = Arc::new(OrderChanges::default());
        let mut committer = Committer {
            keys: keys.clone(),
            totals: latest.clone(),
            changes: Arc::clone(&changes),
            chain,
            feed,
        };
        let feed_waiters = Arc::<FeedWaiters>::default();
        let start = || -> std::io::Result<_> {
            let extent = first_commit(&folder, &mut committer, stage)?;
            backfill.run(&mut committer, options).map_err(io_of)?;
            feed_backfill.run(&mut committer, options).map_err(io_of)?;
            committer.keys.db.persist(PersistMode::SyncAll).map_err(io_of)?;
            let view = View::new(keys.db.snapshot(), committer.chain.commit, totals, committer.feed);
            let synced = Arc::new(SyncedView::new(view));
            let disk = Disk::new(&folder.store(), extent, Arc::clone(&synced))?;
            let (writer, threads) = writer::start(committer, disk, Arc::clone(&feed_waiters))?;
            Ok((synced, writer, threads))
        };
        let (synced, writer, threads) = start().map_err(|error| OpenError::io(path, error))?;
        let (read_turns, path) = (ReadTurns::default(), path.to_owned());
        let store = Store {
            keys,
            totals: latest,
            synced,
            changes,
            read_turns,
            feed_waiters,
            folder_name: name,
            path,
            writer,
        };
        Ok(OpenedStore { store, threads, searchable: backfill.searchable, folder })
    }
}

fn damaged(path: &Path, error: &anyhow::Error) -> OpenError {
    OpenError::damaged(path, format!("{error:#}"))
}

fn io_of(error: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::other(format!("{error:#}"))
}

/// Commits the staged writes, if there are any, and records in the extent that everything in the store is on the disk.
pub(crate) fn first_commit(
    folder: &DataFolder,
    committer: &mut Committer,
    stage: Stage,
) -> std::io::Result<ExtentFile> {
    if stage.bytes() > 0 || committer.chain.commit == 0 {
        committer.commit(stage).map_err(io_of)?;
    }
    // A killed process may have written data that is not on the disk yet.
    committer.keys.db.persist(PersistMode::SyncAll).map_err(io_of)?;
    let journal = journal_file::newest_journal(&folder.store())?;
    folder.complete(&Extent::now(&committer.chain, journal, &committer.totals.get().counters.ledger))
}

/// Checks that the queue holds every event in flight. If the queue holds fewer, messages are missing.
fn check_balance(totals: &Totals) -> anyhow::Result<()> {
    let (in_flight, queued) = (totals.counters.ledger.missing(), i128::from(totals.queued));
    ensure!(
        in_flight <= queued,
        "store: according to the ledger, {in_flight} accepted events are on the queue, but the queue holds \
         {queued}: a table of the queue is missing or out of date"
    );
    Ok(())
}

/// Warns if the clock is behind the time in the extent. Events get their times from the clock.
fn report_clock(promised: &Extent) {
    let behind = promised.at.saturating_sub(now().micros());
    if behind > CLOCK_TOLERANCE_MICROS {
        let seconds = behind / 1_000_000;
        tracing::warn!(
            seconds,
            "the clock is behind the time of the last write to the data folder: it was set back"
        );
    }
}

/// The name of the folder. A new folder gets a name in its first commit.
fn stored_name(keys: &Keyspaces, stage: &mut Stage) -> anyhow::Result<Arc<str>> {
    if let Some(name) = keys.meta.get(keyspaces::FOLDER)? {
        return Ok(std::str::from_utf8(&name).context("cannot read the name of the data folder")?.into());
    }
    // The last digits of a UUIDv7 are random.
    let name = &Uuid::now_v7().simple().to_string()[24..];
    stage.put(&keys.meta, keyspaces::FOLDER, name);
    Ok(name.into())
}

/// The commit chain as of the latest commit in the store.
pub(crate) fn stored_chain(keys: &Keyspaces) -> anyhow::Result<Chain> {
    Ok(match keys.meta.get(Link::KEY)? {
        // Every commit writes the row `chain`. So the latest write to `meta` is part of the commit that the row
        // describes.
        Some(row) => Chain::after(&Link::decode(&row)?, latest_seqno(&keys.meta)),
        None => Chain { commit: 0, last: last_writes(keys) },
    })
}

/// The sequence number of the latest write to each keyspace that the commit chain follows.
pub(crate) fn last_writes(keys: &Keyspaces) -> LastWrites {
    LastWrites([&keys.log, &keys.receipts, &keys.meta].map(latest_seqno))
}

fn latest_seqno(keyspace: &NumberedKeyspace) -> u64 {
    keyspace.tree.get_highest_seqno().unwrap_or(0)
}

pub(crate) fn stored_counters(keys: &Keyspaces) -> anyhow::Result<Counters> {
    let row = keys.meta.get(keyspaces::LEDGER)?;
    Ok(row.map(|row| serde_json::from_slice(&row)).transpose().context("the ledger")?.unwrap_or_default())
}
