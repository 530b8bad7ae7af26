//! The port through which the API sends the content of the store to `orders backup`.

use async_trait::async_trait;

/// Selects what the stream of a backup contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupStart {
    /// The position of the first event, at least 1.
    pub from: u64,
    /// The number of rejected events whose receipts the client already has. If no event was rejected since, the stream
    /// may omit the receipts of rejected events.
    pub rejected_before: Option<u64>,
}

/// Opens streams of backups. Each stream contains the store as of one synced commit.
#[async_trait]
pub trait BackupStreams: Send + Sync {
    /// Begins a stream. Fails with [`BackupStreamError::Busy`] until the previous stream is dropped.
    async fn begin(&self, start: BackupStart) -> Result<Box<dyn BackupStream>, BackupStreamError>;
}

/// An open stream of a backup.
#[async_trait]
pub trait BackupStream: Send {
    /// The next bytes, or `None` after the last ones. After an error, the caller must break the connection, so that the
    /// client does not take the part for a whole backup.
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
