//! How much room the disk has, asked now and then.

use std::path::Path;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

/// For how long an answer is good: what is written meanwhile is a small part of any reserve worth having.
const GOOD_FOR: Duration = Duration::from_millis(10);

/// The free bytes of a disk, as of a moment ago.
pub(super) struct FreeSpace {
    since: Instant,
    /// In microseconds since then.
    ask_at: AtomicU64,
    bytes: AtomicU64,
}

impl FreeSpace {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), ask_at: AtomicU64::new(0), bytes: AtomicU64::new(u64::MAX) }
    }

    /// The free bytes of the disk at `path`. Not knowing counts as plenty: a disk that is really full fails the write.
    pub(super) fn bytes(&self, path: &Path) -> u64 {
        let now = self.since.elapsed();
        let ask_at = self.ask_at.load(Acquire);
        if now.as_micros() as u64 >= ask_at {
            let disk = rustix::fs::statvfs(path);
            let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            self.bytes.store(free, Relaxed);
            self.ask_at.store((now + GOOD_FOR).as_micros() as u64, Release);
        }
        self.bytes.load(Relaxed)
    }
}
