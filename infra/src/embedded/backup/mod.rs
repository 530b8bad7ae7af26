//! Reads a data folder for a backup: everything as of one synced commit. `orders backup TARGET --data FOLDER`, the
//! continuous backup of the service and the API's stream read an [`EngineSource`]. [`log`] reads the recorded events,
//! and [`state`] reads the rows that cannot be derived from the events. [`stream`] sends events and rows to a client of
//! the API, and [`continuous`] writes increments of a running service.
//!
//! The view of a source stays open during the backup, so the engine keeps everything in the view. Each read is short
//! and takes a turn among the long reads. If the engine serves requests, each read is followed by a pause as long as
//! the read.

pub mod continuous;
#[cfg(feature = "aws")]
pub(crate) mod decode;
mod log;
mod state;
pub mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::operations::BackupReport;
use async_trait::async_trait;

use self::continuous::BackupStatus;
use self::log::LogPlace;
use self::state::StatePlace;
use super::Embedded;
use super::log::Log;
use super::store::folder::FORMAT_NUMBER;
use super::store::keyspaces;
use super::store::views::{ReadStore, View};
use crate::backup::BackupError;
use crate::backup::manifest::FolderState;
use crate::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use crate::now;

/// The size, in bytes, of the rows that one read returns. The last row can exceed this size. A read takes about a
/// millisecond, and requests that need the same processor wait for that time.
const PART_BYTES: usize = 64 << 10;
/// The maximum number of rows that one read examines.
const PART_ROWS: usize = 1024;

/// Whether a backup pauses between its reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupPace {
    /// Pause after each read, because a service uses the folder.
    Shared,
    /// Do not pause, because no service uses the folder.
    Alone,
}

/// An engine as the source of a backup.
pub struct EngineSource {
    // The source holds the engine and not single modules, because a dropped engine waits until its modules are unused.
    engine: Embedded,
    pace: BackupPace,
    reading: Option<Reading>,
}

/// The view that is read, and the place where the next read begins.
struct Reading {
    view: Arc<View>,
    place: Place,
    /// Whether the rows of `receipts` are left out.
    receipts_unchanged: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Log(LogPlace),
    State(StatePlace),
    End,
}

impl Embedded {
    /// Creates a source for one backup of the engine.
    pub fn backup_source(&self, pace: BackupPace) -> EngineSource {
        EngineSource { engine: self.clone(), pace, reading: None }
    }

    /// Adds the status of the continuous backup to the pipeline's report.
    fn show_backup(&self, status: &Arc<BackupStatus>) {
        // The status is set only once, because a service has one continuous backup.
        let _ = self.0.backup.set(Arc::clone(status));
    }

    /// The report about the continuous backup, or `None` without a continuous backup.
    pub(crate) fn backup_report(&self) -> Option<BackupReport> {
        self.0.backup.get().map(|status| status.report(self.synced_place()))
    }

    /// The latest position that is synced, and the number of its commit.
    fn synced_place(&self) -> (u64, u64) {
        let view = self.0.store.view();
        (view.feed.position, view.commit)
    }
}

impl EngineSource {
    /// The number of the commit that is read. `None` before reading begins.
    fn commit(&self) -> Option<u64> {
        self.reading.as_ref().map(|reading| reading.view.commit)
    }
}

#[async_trait]
impl BackupSource for EngineSource {
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError> {
        let (time, log) = (now(), &self.engine.0.log);
        let view = log.store.view();
        let folder = folder_state(log, &view)?;
        let is_quiet = folder.queued == 0 && folder.dead_letters == 0;
        let receipts_unchanged = is_quiet && request.rejected_before == Some(folder.ledger.rejected);
        let place = Place::Log(LogPlace { next: request.from });
        self.reading = Some(Reading { view, place, receipts_unchanged });
        Ok(SourceHeader { time, folder, receipts_unchanged })
    }

    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError> {
        let Some(Reading { view, place, receipts_unchanged }) = &self.reading else { return Ok(None) };
        let (view, place, without_receipts) = (Arc::clone(view), place.clone(), *receipts_unchanged);
        let log = Arc::clone(&self.engine.0.log);
        let begun = Instant::now();
        let read = move || read(&log, &view, place, without_receipts);
        let Some((part, next)) = self.engine.0.store.read_turns.read(read).await? else { return Ok(None) };
        if let Some(reading) = &mut self.reading {
            reading.place = next;
        }
        if self.pace == BackupPace::Shared {
            tokio::time::sleep(begun.elapsed().min(Duration::from_secs(1))).await;
        }
        Ok(Some(part))
    }
}

/// Reads the next part of the backup. Also returns the place where the following part begins. Returns `None` at the
/// end.
///
/// A part can be empty, for example if all examined receipts belong to recorded events. An empty part is sent too, so
/// that a client never waits for longer than one read.
fn read(
    log: &Log,
    view: &View,
    place: Place,
    without_receipts: bool,
) -> anyhow::Result<Option<(BackupPart, Place)>> {
    Ok(match place {
        Place::Log(place) => {
            let (records, next) = log::read(log, view, place)?;
            let next = next.map_or_else(|| Place::State(StatePlace::first(without_receipts)), Place::Log);
            Some((BackupPart::Log(records), next))
        }
        Place::State(place) => {
            let (rows, next) = state::read(&log.store.keys, view, &place)?;
            let keyspace = place.keyspace().to_owned();
            Some((BackupPart::State { keyspace, rows }, next.map_or(Place::End, Place::State)))
        }
        Place::End => None,
    })
}

/// The state of the folder, for the manifest.
fn folder_state(log: &Log, view: &View) -> anyhow::Result<FolderState> {
    let meta = &log.store.keys.meta;
    let next_seq = view.get(meta, keyspaces::NEXT_SEQ)?;
    let next_seq = next_seq.map(|row| super::store::keys::seq_of(&row)).transpose()?.unwrap_or(0);
    let searchable = view.get(meta, keyspaces::SEARCHABLE)?;
    let searchable = searchable.map(|row| serde_json::from_slice::<BTreeSet<String>>(&row)).transpose();
    Ok(FolderState {
        name: log.store.folder_name().to_owned(),
        format: FORMAT_NUMBER,
        commit: view.commit,
        position: view.feed.position,
        ledger: view.totals.counters.ledger,
        dead_letters: view.totals.counters.letters,
        queued: view.totals.queued,
        next_seq,
        searchable: searchable?.unwrap_or_default(),
    })
}
