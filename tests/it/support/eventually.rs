//! Waits for conditions, with a deadline. Every test of asynchronous behaviour uses these functions.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time for anything that should happen soon. It is generous, because only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two calls of `look`. The pause is short, because tests wait often.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `look` until it returns `Ok`, and returns the value. Panics after [`PATIENCE`] with `what` and the last `Err`.
///
/// ```ignore
/// eventually("the queue is empty", async || { let depth = depth().await; (depth == 0).then_some(()).ok_or(depth) }).await;
/// ```
pub async fn eventually<T, E: Debug>(what: &str, look: impl AsyncFnMut() -> Result<T, E>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// Like [`eventually`], but with another deadline.
pub async fn eventually_within<T, E: Debug>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) => {
                assert!(start.elapsed() < patience, "not within {patience:?}: {what}; last: {seen:#?}");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Like [`eventually`], but outside of a runtime.
#[track_caller]
pub fn eventually_blocking<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) => {
                assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; last: {seen:#?}");
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Returns `Ok` if the condition holds, and otherwise `Err` with the observed value. The argument `look` of
/// [`eventually`] can return this result.
pub fn check<E>(holds: bool, seen: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(seen) }
}
