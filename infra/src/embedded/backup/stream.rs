//! Sends the content of a running service to a client of the API, as defined by the port [`BackupStreams`].
//! `infra::backup::stream` defines the format.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::ports::backup::{BackupStart, BackupStream, BackupStreamError, BackupStreams};
use async_trait::async_trait;

use super::{BackupPace, EngineSource};
use crate::backup::source::{BackupRequest, BackupSource};
use crate::backup::stream::FrameEncoder;
use crate::embedded::Embedded;

/// The streams of one engine: at most one at a time, because each holds a view of the store.
pub struct EngineBackups {
    engine: Embedded,
    is_busy: Arc<AtomicBool>,
}

impl EngineBackups {
    /// Creates the streams of `engine`.
    pub fn new(engine: Embedded) -> Self {
        Self { engine, is_busy: Arc::default() }
    }
}

/// The permission to send the only stream. Dropping the slot returns the permission.
struct Slot(Arc<AtomicBool>);

impl Slot {
    fn take(is_busy: &Arc<AtomicBool>) -> Option<Self> {
        (!is_busy.swap(true, Ordering::AcqRel)).then(|| Self(Arc::clone(is_busy)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[async_trait]
impl BackupStreams for EngineBackups {
    async fn begin(&self, start: BackupStart) -> Result<Box<dyn BackupStream>, BackupStreamError> {
        let slot = Slot::take(&self.is_busy).ok_or(BackupStreamError::Busy)?;
        let mut source = self.engine.backup_source(BackupPace::Shared);
        let request = BackupRequest { from: start.from, rejected_before: start.rejected_before };
        let header = source.begin(request).await.map_err(|error| BackupStreamError::Failed(error.into()))?;
        let mut encoder = FrameEncoder::default();
        let first = encoder.header(&header).map_err(BackupStreamError::Failed)?;
        Ok(Box::new(EngineStream { source, encoder: Some(encoder), first: Some(first), _slot: slot }))
    }
}

struct EngineStream {
    source: EngineSource,
    /// `None` after the end of the stream.
    encoder: Option<FrameEncoder>,
    first: Option<Vec<u8>>,
    _slot: Slot,
}

#[async_trait]
impl BackupStream for EngineStream {
    async fn chunk(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(mut encoder) = self.encoder.take() else { return Ok(None) };
        let Some(part) = self.source.next().await? else { return encoder.end().map(Some) };
        // Encoding takes a millisecond or more, so it does not run on the threads that serve requests.
        let encode = move || encoder.part(&part).map(|frame| (encoder, frame));
        let (encoder, frame) = tokio::task::spawn_blocking(encode).await??;
        self.encoder = Some(encoder);
        Ok(Some(frame))
    }
}
