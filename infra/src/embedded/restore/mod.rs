//! Restores a data folder from a backup. `orders restore` and the verification of backups call [`restore`].
//!
//! - [`moment`] determines the increments that a moment needs.
//! - [`place`] owns the folder. The restore builds a complete data folder in a subfolder, and moves the files into
//!   place at the end, `FORMAT` last.
//! - [`log_writer`] writes the events with their positions, and [`state_writer`] writes everything that is not derived
//!   from events. Afterwards, the [backfill](super::store::backfill) of an upgrade fills indexes and projections.
//! - [`audit`] reads the result again, and compares it with the backup. [`drill`] restores into a scratch folder.
//!
//! The restored log contains exactly the events up to the moment. All other state comes from the latest increment at or
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
    /// Restore to the end of the backup.
    End,
    /// Restore all events up to this position.
    Position(u64),
    /// Restore all events that were recorded up to this time.
    Time(Timestamp),
}

/// What a restore does with the messages that were on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuedMessages {
    /// Put the messages on the queue again.
    Again,
    /// List the messages, and leave the queue empty.
    List,
}

/// The options of a restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// The moment to which to restore.
    pub until: Until,
    /// What to do with the messages that were on the queue.
    pub queue: QueuedMessages,
    /// The currency of orders whose events contain no currency (schema version 0).
    pub default_currency: Currency,
}

/// The progress of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreProgress {
    /// The step that is under way.
    pub step: RestoreStep,
    /// The number of events that the step has processed.
    pub done: u64,
    /// The number of all events to process.
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
    /// Folding every order. Only a rehearsal has this step.
    Fold,
}

/// The content of a restored folder.
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
    /// The increment that provided all state except the events. `None` if the oldest increment is later than the
    /// moment. Without an increment, the folder has no queue, dead letters, subscriptions or receipts of refused
    /// events.
    pub state: Option<StateOrigin>,
    /// The ledger of the folder.
    pub ledger: Ledger,
    /// The number of messages on the queue.
    pub queued: u64,
    /// The number of messages that were listed instead of being queued.
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
    /// The position of the increment.
    pub position: u64,
    /// When the increment was begun.
    pub time: Timestamp,
}

/// The reason why a folder was not restored. The folder is unchanged, or contains an incomplete restore. No start
/// accepts an incomplete restore, and the next restore replaces it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder is not empty.
    #[error(
        "{} is not empty: it contains {found}. Choose a folder that is empty or does not exist", path.display()
    )]
    NotEmpty {
        /// The path of the folder.
        path: PathBuf,
        /// The name of a file or folder in the folder.
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
    /// The backed-up data folder was written by a later version of the program.
    #[error(
        "the backup is of a data folder of format {found}, and this version writes format {readable}. Restore it with \
         the version that wrote it"
    )]
    OtherFormat {
        /// The format in the backup.
        found: u32,
        /// The format that this version of the program writes.
        readable: u32,
    },
    /// The content of the restored folder differs from the backup.
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
    /// Writing to the folder failed.
    #[error("cannot restore to {}: {error:#}", path.display())]
    Write {
        /// The path of the folder.
        path: PathBuf,
        /// The error.
        error: anyhow::Error,
    },
}

/// A function that gets each message that was on the queue and is not queued again, as one line of JSON.
pub type MessageList<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

/// A function that gets the progress of a restore. If the function returns `Break`, the restore ends with
/// [`RestoreError::Stopped`].
pub type ShowProgress<'a> = &'a (dyn Fn(RestoreProgress) -> ControlFlow<()> + Sync);

/// Restores the backup in `source` to the folder at `path`, which must be empty or not exist.
///
/// This call blocks, and uses `runtime` to read the backup. It must not be called on a thread of that runtime.
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

/// If a file is missing because its increment was removed, changes the error into one that names the increment. Backups
/// with a limited number of increments remove older increments.
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
