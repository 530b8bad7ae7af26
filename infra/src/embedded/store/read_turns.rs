//! Limits reads that may take long, such as pages of a log, lists and dead letters. Such reads run on the blocking pool
//! and take turns, so that a processor stays free for clients that place orders.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tokio::sync::Semaphore;

/// The turns of long reads, in the order of their requests.
#[derive(Debug)]
pub(crate) struct ReadTurns(pub(crate) Arc<Semaphore>);

impl Default for ReadTurns {
    /// Allows half as many concurrent reads as there are processors.
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
            // The read keeps its turn until it ends, even if the caller stops waiting earlier.
            let _turn = turn;
            read()
        };
        tokio::task::spawn_blocking(read).await?
    }
}
