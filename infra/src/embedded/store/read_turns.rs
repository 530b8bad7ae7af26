//! Reads that may take long: pages of a log, lists, dead letters. They run on the blocking pool and take turns, so that
//! they never take all processors from the clients that place orders.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tokio::sync::Semaphore;

/// The turns of long reads, first come, first served.
#[derive(Debug)]
pub(crate) struct ReadTurns(pub(crate) Arc<Semaphore>);

impl Default for ReadTurns {
    /// Half as many turns as processors.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl ReadTurns {
    /// Runs `read` on the blocking pool when its turn comes.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce() -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let turn = Arc::clone(&self.0).acquire_owned().await.context("the engine is closing")?;
        let read = move || {
            // The turn lasts until the read ends, even if the caller stops waiting earlier.
            let _turn = turn;
            read()
        };
        tokio::task::spawn_blocking(read).await?
    }
}
