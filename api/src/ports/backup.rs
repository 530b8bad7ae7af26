//! The port through which the API sends the content of the store to `orders backup`.

use async_trait::async_trait;

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupStart {
    /// The position of the first event, at least 1.
    pub from: u64,
    /// The number of rejected events that the client has the receipts of. If no event was refused since, the stream
    /// leaves out the receipts of refused events.
    pub rejected_before: Option<u64>,
}

/// Begins streams of backups. Each stream contains the store as of one synced commit.
#[async_trait]
pub trait BackupStreams: Send + Sync {
    /// Begins a stream. Only one stream may be open at a time, until it is dropped.
    async fn begin(&self, start: BackupStart) -> Result<Box<dyn BackupStream>, BackupStreamError>;
}

/// An open stream.
#[async_trait]
pub trait BackupStream: Send {
    /// The next bytes, or `None` after the last ones. After an error, the stream must be cut off, so that the client does
    /// not take it for a whole one.
    async fn chunk(&mut self) -> anyhow::Result<Option<Vec<u8>>>;
}

/// The reason why a stream cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BackupStreamError {
    /// Another stream is open.
    #[error("another backup is being read")]
    Busy,
    /// The store failed.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}
