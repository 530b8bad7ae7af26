//! Waits, with a deadline, for conditions that give no signal.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::service::PATIENCE;

/// The time between two checks.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until the condition holds. Panics with `what` after [`PATIENCE`].
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until the process has ended by itself.
pub fn until_exit(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "the process did not end within {PATIENCE:?}");
        thread::sleep(INTERVAL);
    }
}
