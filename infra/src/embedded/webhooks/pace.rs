//! Lets deliveries give way to requests. `orders serve` calls [`start`] on the thread of the deliveries, and the source
//! of events calls [`give_way`] on that thread.
//!
//! The delivery thread has the priority of the threads that serve requests. It shares locks with those threads, and
//! operators' requests wait for it. A thread with a low priority can lose the processor while it holds a lock, and get
//! the processor back much later. A commit that needs the lock would wait until then.
//!
//! Instead, the thread measures how long it waits for a processor while it is ready to run. If the wait is more than a
//! small part of the time, other threads need the processors too, and the delivery thread sleeps.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

/// How often the thread measures. The time is short, because the number of attempts in flight is limited, so that a
/// longer time would not allow more deliveries.
const MEASURE_EVERY: Duration = Duration::from_millis(1);
/// The thread sleeps if it has waited for a processor for more than 1/20 of the time. On an idle machine, the thread
/// waits for less, because a wake-up takes only a few microseconds.
const PARTS: u32 = 20;
/// How long the thread sleeps. Between two sleeps, the thread runs for about a millisecond, so it takes about a tenth
/// of a processor. An operator's request waits for a few sleeps at most.
const SLEEP: Duration = Duration::from_millis(10);

thread_local! {
    static PACE: RefCell<Option<Pace>> = const { RefCell::new(None) };
}

struct Pace {
    /// The kernel's statistics of the thread: the nanoseconds for which it ran, the nanoseconds for which it waited to
    /// run, and how often it began to run.
    statistics: File,
    measured_at: Instant,
    waited: Duration,
}

/// Enables [`give_way`] for the calling thread, if the kernel reports how long the thread waits.
pub fn start() {
    let pace = Pace::open();
    if pace.is_none() {
        tracing::warn!(
            "the kernel does not report how long threads wait for a processor: under full load, webhooks slow down requests"
        );
    }
    PACE.set(pace);
}

/// Sleeps if the calling thread had to wait for a processor. Does nothing on threads that have not called [`start`].
/// The function blocks, so the caller must not hold a lock.
pub(super) fn give_way() {
    PACE.with_borrow_mut(|pace| {
        if let Some(pace) = pace
            && pace.measured_at.elapsed() >= MEASURE_EVERY
        {
            pace.rest_if_busy();
        }
    });
}

impl Pace {
    fn open() -> Option<Self> {
        let statistics = File::open("/proc/thread-self/schedstat").ok()?;
        let waited = waited(&statistics)?;
        Some(Self { statistics, measured_at: Instant::now(), waited })
    }

    /// Measures the wait, and sleeps if the processors are busy. Returns whether the processors are busy.
    fn rest_if_busy(&mut self) -> bool {
        let waited = waited(&self.statistics).unwrap_or(self.waited);
        let is_busy = is_busy(waited.saturating_sub(self.waited), self.measured_at.elapsed());
        if is_busy {
            thread::sleep(SLEEP);
        }
        (self.waited, self.measured_at) = (waited, Instant::now());
        is_busy
    }
}

/// Whether the processors are busy. `waited` is the time that the thread has waited for a processor within `elapsed`.
fn is_busy(waited: Duration, elapsed: Duration) -> bool {
    waited * PARTS > elapsed
}

/// How long the thread has waited for a processor since its start.
fn waited(statistics: &File) -> Option<Duration> {
    let mut buffer = [0; 80];
    let length = statistics.read_at(&mut buffer, 0).ok()?;
    let nanoseconds = std::str::from_utf8(&buffer[..length]).ok()?.split_whitespace().nth(1)?;
    nanoseconds.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::hint;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_thread_sleeps_only_if_it_has_waited_for_a_part_of_the_time() {
        let (micros, second) = (Duration::from_micros, Duration::from_secs(1));
        assert!(!is_busy(micros(50), micros(1000)));
        assert!(is_busy(micros(51), micros(1000)));
        assert!(!is_busy(micros(51), second));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_sleeps_while_others_want_every_processor() {
        let ended = AtomicBool::new(false);
        let processors = thread::available_parallelism().unwrap().get();
        let has_slept = thread::scope(|scope| {
            for _ in 0..2 * processors {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        hint::spin_loop();
                    }
                });
            }
            let resting = scope.spawn(|| {
                let mut pace = Pace::open().expect("Linux reports how long a thread waits");
                let (start, mut has_slept) = (Instant::now(), false);
                while !has_slept && start.elapsed() < Duration::from_secs(60) {
                    (0..100_000).for_each(|_| hint::spin_loop());
                    has_slept = pace.rest_if_busy();
                }
                has_slept
            });
            let has_slept = resting.join().unwrap();
            ended.store(true, Ordering::Relaxed);
            has_slept
        });
        assert!(has_slept, "the thread had to wait for other threads");
    }
}
