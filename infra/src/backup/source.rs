//! Where a backup reads from: the engine, in the same process, or a running service, over HTTP. Increments read from a
//! [`BackupSource`].

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::manifest::FolderState;
use super::record::LogRecord;
use super::row::StateRow;

/// What an increment needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupRequest {
    /// The position of the first event, at least 1.
    pub from: u64,
    /// The number of rejected events in the previous increment, if it had neither queued messages nor dead letters. If
    /// this is still so, no event was refused meanwhile, and the source leaves out the rows of `receipts`.
    pub rejected_before: Option<u64>,
}

/// What a source reports before it sends the first part. Everything after it is of the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHeader {
    /// When the source began to read.
    pub time: Timestamp,
    /// The state of the folder.
    pub folder: FolderState,
    /// Whether the rows of `receipts` are left out, because they are those of the previous increment.
    pub receipts_unchanged: bool,
}

/// Some of the content of a folder. A part can be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupPart {
    /// The next records, in the order of their positions.
    Log(Vec<LogRecord>),
    /// The next rows of a keyspace, in the order of their keys. Keyspaces come one after the other, after the log.
    State {
        /// The keyspace.
        keyspace: String,
        /// The rows.
        rows: Vec<StateRow>,
    },
}

/// Reads a folder as of one synced commit.
#[async_trait]
pub trait BackupSource: Send {
    /// Begins to read. Called once, before [`BackupSource::next`].
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError>;

    /// The next part, or `None` after the last one. A source that is cut off returns an error, and never `None`.
    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError>;
}
