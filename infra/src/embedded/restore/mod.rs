//! Restores a data folder from a backup. `orders restore` and the verification of backups call [`restore`].
//!
//! - [`moment`] determines the increments that a moment needs.
//! - [`place`] owns the folder. The restore builds a complete data folder within it, and moves the files into place at
//!   the end, `FORMAT` last.
//! - [`log_writer`] writes the events with their positions, and [`state_writer`] everything that is not derived from
//!   them. The [backfill](super::store::backfill) of an upgrade then fills indexes and projections.
//! - [`audit`] reads the result again, and compares it with the backup. [`drill`] restores into a scratch folder.
//!
//! The restored log contains exactly the events up to the moment. The other state is that of the latest increment at or
//! before the moment. If the log is newer than that increment, messages and dead letters whose events are in the log
//! are left out, because they are finished.

mod audit;
pub mod drill;
mod log_writer;
mod moment;
mod place;
mod recorded;
mod state_writer;
mod work;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use domain::{Currency, Ledger, Timestamp};
use serde::Serialize;
use tokio::runtime::Handle;

use super::store::open_error::OpenError;
use crate::backup::BackupError;
use crate::backup::running_hash::RunningHash;
use crate::backup::target::Target;

/// The moment to which a folder is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The end of the backup.
    End,
    /// All events up to this position.
    Position(u64),
    /// All events that were recorded up to this time.
    Time(Timestamp),
}

/// What happens to the messages that were on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuedMessages {
    /// They are on the queue again.
    Again,
    /// They are listed, and not on the queue.
    List,
}

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// The moment.
    pub until: Until,
    /// What happens to the messages that were on the queue.
    pub queue: QueuedMessages,
    /// The currency of orders whose producer does not send one (schema version 0).
    pub default_currency: Currency,
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreProgress {
    /// What is being done.
    pub step: RestoreStep,
    /// The number of events that are done.
    pub done: u64,
    /// The number of all events.
    pub all: u64,
}

/// A step of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreStep {
    /// Writing the log.
    Log,
    /// Filling indexes and projections.
    Indexes,
    /// Comparing the result with the backup.
    Audit,
    /// Folding every order. Only a rehearsal does it.
    Fold,
}

/// What a restored folder contains.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreReport {
    /// The position of the latest event.
    pub position: u64,
    /// When the latest event was recorded.
    pub newest_event: Option<Timestamp>,
    /// The number of events.
    pub events: u64,
    /// The number of orders.
    pub orders: u64,
    /// The running hash over the events, as read from the folder.
    pub hash: RunningHash,
    /// The increment from which the other state comes. `None` if the oldest increment is later than the moment. Then
    /// the folder has no queue, dead letters, subscriptions and receipts of refused events.
    pub state: Option<StateOrigin>,
    /// The ledger.
    pub ledger: Ledger,
    /// The number of messages on the queue.
    pub queued: u64,
    /// The number of messages that were listed and not queued.
    pub listed: u64,
    /// The number of messages that were left out, because their events are in the log.
    pub finished_messages: u64,
    /// The number of dead letters that are parked or being redriven.
    pub dead_letters: u64,
    /// The number of dead letters that were left out, because their events are in the log.
    pub finished_dead_letters: u64,
}

/// An increment from which state was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StateOrigin {
    /// The number of the increment.
    pub increment: u64,
    /// Its position.
    pub position: u64,
    /// When it was begun.
    pub time: Timestamp,
}

/// Why a folder was not restored. The folder is as it was, or contains an incomplete restore that no start accepts and
/// that the next restore replaces.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder contains something already.
    #[error(
        "{} is not empty: it contains {found}. Choose a folder that is empty or does not exist", path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The name of a file or folder in it.
        found: String,
    },
    /// The backup does not reach the position.
    #[error("the backup ends at position {end}, before position {asked}")]
    AfterEnd {
        /// The requested position.
        asked: u64,
        /// The end of the backup.
        end: u64,
    },
    /// The backup has no event up to the time.
    #[error("the first event of the backup was recorded at {first}, after {asked}")]
    BeforeBegin {
        /// The requested time.
        asked: Timestamp,
        /// When the first event was recorded.
        first: Timestamp,
    },
    /// A later version of the program has written the data folder that the backup is of.
    #[error(
        "the backup is of a data folder of format {found}, and this version writes format {readable}. Restore it with \
         the version that wrote it"
    )]
    OtherFormat {
        /// The format in the backup.
        found: u32,
        /// The format of this version.
        readable: u32,
    },
    /// The restored folder does not contain what the backup contains.
    #[error("the restored folder differs from the backup: {0}. It was not completed")]
    Differs(String),
    /// The backup cannot be read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The caller has stopped the restore.
    #[error("the restore was stopped")]
    Stopped,
    /// Writing failed.
    #[error("cannot restore to {}: {error:#}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// What failed.
        error: anyhow::Error,
    },
}

/// Receives each message that was on the queue and is not queued again, as one line of JSON.
pub type MessageList<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

/// Receives the progress of a restore. If it returns `Break`, the restore ends with [`RestoreError::Stopped`].
pub type ShowProgress<'a> = &'a (dyn Fn(RestoreProgress) -> ControlFlow<()> + Sync);

/// Restores the backup in `source` to the folder at `path`, which must be empty or not exist.
///
/// This call blocks, and uses `runtime` to read the backup. So it must not be called on a thread of that runtime.
pub fn restore(
    runtime: &Handle,
    source: &Target,
    path: &Path,
    options: RestoreOptions,
    list: MessageList<'_>,
    progress: ShowProgress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let moment = moment::find(runtime, source, options.until)?;
    let place = place::Place::claim(path)?;
    let report = work::fill(runtime, source, &place, &moment, options, list, progress)
        .map_err(|error| of_removed(error, runtime, source, &moment))?;
    place.complete().map_err(|error| OpenError::io(path, error))?;
    Ok(report)
}

/// The error that names a removed increment as the reason why a file is missing, if it is the reason. Backups that keep a
/// number of increments remove older ones.
fn of_removed(
    error: RestoreError,
    runtime: &Handle,
    source: &Target,
    moment: &moment::Moment,
) -> RestoreError {
    let is_missing = matches!(error, RestoreError::Backup(BackupError::Missing { .. }));
    match is_missing.then(|| runtime.block_on(source.manifests())) {
        Some(Ok(numbers)) => {
            let removed = moment.increments().find(|number| !numbers.contains(number));
            let location = || source.location().to_owned();
            removed.map_or(error, |number| BackupError::Removed { location: location(), number }.into())
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
