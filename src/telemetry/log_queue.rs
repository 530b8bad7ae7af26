//! The bounded queue between the threads that log and standard error. The parent module pushes lines, and a thread of
//! the queue writes them. So the service never blocks because standard error accepts no data (a stuck pipe, a stopped
//! terminal, a full disk).
//!
//! When the queue is full, lines are dropped and counted. The last part of the queue is reserved for warnings and
//! errors.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::{swap, take};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The maximum size of the pending lines in bytes. That is about 12,000 lines.
const MAX_BYTES: usize = 4 << 20;
/// The additional size that is reserved for warnings and errors, in bytes.
const RESERVED_BYTES: usize = 1 << 20;
/// The capacity that the writer's buffers keep after many lines were pending.
const KEPT_BYTES: usize = 1 << 20;
/// How long the writer collects lines for one system call.
const GATHER: Duration = Duration::from_millis(5);
/// How long the writer waits before it retries a write that would block (`O_NONBLOCK`).
const RETRY_AFTER: Duration = Duration::from_millis(10);
/// The name of the writer thread.
const THREAD: &str = "log";

/// A handle to the queue. Clones share the queue.
#[derive(Debug, Clone)]
pub(super) struct LogQueue(Arc<LogQueueState>);

#[derive(Debug, Default)]
struct LogQueueState {
    queue: Mutex<PendingLines>,
    /// Wakes the writer when the queue is no longer empty.
    filled: Condvar,
    /// Wakes the threads that wait for the queue to become empty, after each write.
    written: Condvar,
    /// The number of lines dropped since the process started.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct PendingLines {
    /// The pending log lines. Each line is complete and ends with a newline.
    bytes: Vec<u8>,
    /// Whether the writer is writing lines that it has taken off the queue.
    is_writing: bool,
    /// The number of dropped lines that are not reported yet.
    unreported: u64,
}

impl LogQueue {
    /// Starts the thread that writes to standard error. The thread uses its own file descriptor. With the
    /// standard library's handle, a blocked write would hold the handle's lock and block all other writers.
    pub(super) fn to_stderr() -> io::Result<Self> {
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start(stderr, report)
    }

    fn start(
        out: impl Write + Send + 'static,
        report: impl Fn(&Self, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let lines = Self(Arc::default());
        let writer = lines.clone();
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || writer.run(out, report))?;
        Ok(lines)
    }

    /// Queues a line, which ends with a newline, or drops it if the queue is full. Never blocks.
    pub(super) fn push(&self, line: &[u8], is_urgent: bool) {
        let limit = if is_urgent { MAX_BYTES + RESERVED_BYTES } else { MAX_BYTES };
        let mut queue = self.lock();
        // The writer thread queues the line that reports dropped lines. That line itself is never dropped.
        if queue.bytes.len() + line.len() > limit && thread::current().name() != Some(THREAD) {
            queue.unreported += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(line);
        drop(queue);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// The number of lines dropped since the process started.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, but at most for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let is_pending = |queue: &mut PendingLines| queue.is_writing || !queue.bytes.is_empty();
        let waited = self.0.written.wait_timeout_while(self.lock(), limit, is_pending);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn run(&self, mut out: impl Write, report: impl Fn(&Self, u64)) {
        let (mut batch, mut is_torn) = (Vec::new(), false);
        loop {
            let empty = |queue: &mut PendingLines| queue.bytes.is_empty();
            let filled = self.0.filled.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
            drop(filled);
            thread::sleep(GATHER);
            let mut queue = self.lock();
            swap(&mut queue.bytes, &mut batch);
            queue.is_writing = true;
            drop(queue);
            let lost = write(&mut out, &batch, is_torn);
            let (written, rest) = batch.split_at(batch.len() - lost.unwrap_or(0));
            is_torn = written.last().map_or(is_torn, |byte| *byte != b'\n');
            self.done(lost.map(|_| newlines(rest)), &report);
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
        }
    }

    /// Updates the queue after a write. `lost` is the number of lines lost in a failed write. After a successful write,
    /// calls `report` with the number of lines that were dropped before.
    fn done(&self, lost: Option<u64>, report: impl Fn(&Self, u64)) {
        let mut queue = self.lock();
        match lost {
            Some(lines) => {
                queue.unreported += lines;
                self.0.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            None if queue.unreported > 0 => {
                let dropped = take(&mut queue.unreported);
                drop(queue);
                report(self, dropped);
                queue = self.lock();
            }
            None => {}
        }
        queue.is_writing = false;
        drop(queue);
        self.0.written.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, PendingLines> {
        // No code panics while it holds this lock.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(_: &LogQueue, dropped: u64) {
    tracing::warn!(dropped, "log lines were dropped: standard error did not accept them in time");
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Writes the batch. Writes a newline first if the previous write was cut off within a line. If the write fails,
/// returns the number of unwritten bytes.
fn write(out: &mut impl Write, batch: &[u8], is_torn: bool) -> Option<usize> {
    let mut prefix: &[u8] = if is_torn { b"\n" } else { b"" };
    let mut rest = batch;
    while !rest.is_empty() {
        let part = if prefix.is_empty() { &mut rest } else { &mut prefix };
        match out.write(part) {
            Ok(0) => return Some(rest.len()),
            Ok(written) => *part = &part[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(_) => return Some(rest.len()),
        }
    }
    None
}

/// How log lines reach standard error.
#[derive(Debug, Clone)]
pub(super) enum LogOutput {
    Queued(LogQueue),
    /// Each line is written immediately. A Lambda function may be frozen as soon as it has answered, so queued lines would
    /// be written late or never.
    Direct,
}

impl LogOutput {
    /// Writes a line, which ends with a newline.
    pub(super) fn push(&self, line: &[u8], is_urgent: bool) {
        match self {
            Self::Queued(lines) => lines.push(line, is_urgent),
            // A failure to write the log cannot be reported anywhere else.
            Self::Direct => drop(io::stderr().lock().write_all(line)),
        }
    }
}

/// Receives a line from a formatter, and passes the line to the log output. The formatter writes each line in one call.
pub(super) struct LineWriter<'a> {
    output: &'a LogOutput,
    is_urgent: bool,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.output.push(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { output: self, is_urgent: false }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Self::Writer {
        LineWriter { output: self, is_urgent: is_urgent(*of.level()) }
    }
}

/// Whether lines of this level may use the reserved part of the queue.
pub(super) fn is_urgent(level: Level) -> bool {
    level <= Level::WARN
}

#[cfg(test)]
mod tests;
