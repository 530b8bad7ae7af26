//! The source of a backup: the engine in the same process, or a running service over HTTP. Increments read from a
//! [`BackupSource`].

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::BackupError;
use super::manifest::FolderState;
use super::record::LogRecord;
use super::row::StateRow;

/// The data that an increment requests from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupRequest {
    /// The position of the first event to read, at least 1.
    pub from: u64,
    /// The number of rejected events in the previous increment, if it had neither queued messages nor dead letters. If
    /// the folder still has that number and neither messages nor dead letters, no event was refused since, and the
    /// source leaves out the rows of `receipts`.
    pub rejected_before: Option<u64>,
}

/// What a source reports before the first part. All parts are as of the commit in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHeader {
    /// When the source began to read.
    pub time: Timestamp,
    /// The state of the folder as of the commit.
    pub folder: FolderState,
    /// Whether the rows of `receipts` are left out, because they have not changed since the previous increment.
    pub receipts_unchanged: bool,
}

/// A part of the content of a folder. A part can be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupPart {
    /// The next records, in the order of their positions.
    Log(Vec<LogRecord>),
    /// The next rows of a keyspace, in the order of their keys. Keyspaces follow the log, one after the other.
    State {
        /// The name of the keyspace.
        keyspace: String,
        /// The rows of the keyspace.
        rows: Vec<StateRow>,
    },
}

/// Reads a folder as of one synced commit.
#[async_trait]
pub trait BackupSource: Send {
    /// Begins to read the folder. Called once, before [`BackupSource::next`].
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError>;

    /// Reads the next part, or returns `None` after the last part. An interrupted source returns an error, and never
    /// `None`.
    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError>;
}
