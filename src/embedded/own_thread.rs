//! Runs a part of the service on a separate thread with its own runtime, where it may block without delaying the
//! threads that serve requests. `serve` starts the consumer, the webhooks and the continuous backup this way.

use std::thread;

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs the future on a new thread. The returned receiver completes when the future has ended, and
/// fails if the thread has panicked.
pub(super) fn run(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let failure = || format!("cannot start the thread of the {name}");
    let runtime = Builder::new_current_thread().enable_all().build().with_context(failure)?;
    let (ended, end) = oneshot::channel();
    let work = move || {
        runtime.block_on(work);
        // Sending fails only if the service no longer waits for this thread.
        let _ = ended.send(());
    };
    thread::Builder::new().name(name.to_owned()).spawn(work).with_context(failure)?;
    Ok(end)
}
