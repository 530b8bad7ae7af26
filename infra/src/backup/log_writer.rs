//! Cuts the recorded events into segments, and checks that they continue those of the previous increment. An
//! [increment](super::increment) adds the records and stores the segments.

use super::manifest::{LogSegment, Manifest};
use super::record::LogRecord;
use super::running_hash::RunningHash;
use super::segment::{FULL_SEGMENT_BYTES, SegmentRef};

/// Lines that become one segment, and what a manifest says of it.
#[derive(Debug, Clone, Default)]
pub(super) struct LogLines {
    pub(super) lines: Vec<u8>,
    first: u64,
    last: u64,
    events: u64,
    orders: u64,
    hash: RunningHash,
}

impl LogLines {
    pub(super) fn listed(&self, file: SegmentRef) -> LogSegment {
        let Self { first, last, events, orders, hash, .. } = *self;
        LogSegment { file, first, last, events, orders, hash }
    }
}

/// The position and the hash at the end of the previous increment.
#[derive(Debug, Clone, Copy)]
struct Expected {
    position: u64,
    hash: RunningHash,
}

/// The records since the last cut.
#[derive(Debug)]
pub(super) struct LogCutter {
    next: u64,
    hash: RunningHash,
    /// What the records up to the previous increment must come to. `None` once they did.
    expected: Option<Expected>,
    current: LogLines,
}

impl LogCutter {
    /// Continues after the segments `kept` of the previous increment.
    pub(super) fn new(previous: Option<&Manifest>, kept: &[LogSegment]) -> Self {
        let last = kept.last();
        let expected = previous.filter(|previous| previous.folder.position > 0);
        let expected = expected.map(|it| Expected { position: it.folder.position, hash: it.hash });
        Self {
            next: last.map_or(0, |last| last.last) + 1,
            hash: last.map_or_else(RunningHash::default, |last| last.hash),
            expected,
            current: LogLines::default(),
        }
    }

    /// The position of the first record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The hash over all events so far.
    pub(super) fn hash(&self) -> RunningHash {
        self.hash
    }

    /// Adds a record. Returns the lines of a segment that is full.
    pub(super) fn add(&mut self, record: &LogRecord) -> Result<Option<LogLines>, LogFlaw> {
        if record.first() != self.next {
            if let Some(Expected { position, .. }) = self.expected {
                return Err(LogFlaw::Diverged { position });
            }
            return Err(LogFlaw::Gap { expected: self.next, found: record.first() });
        }
        if let LogRecord::Event(event) = record {
            self.hash.add(event);
            self.current.events += 1;
            self.current.orders += u64::from(event.version == 1);
        }
        record.encode(&mut self.current.lines).map_err(LogFlaw::Source)?;
        if self.current.first == 0 {
            self.current.first = record.first();
        }
        (self.current.last, self.current.hash) = (record.last(), self.hash);
        self.next = record.last() + 1;
        if let Some(expected) = self.expected.filter(|expected| expected.position < self.next) {
            if expected.position != record.last() || expected.hash != self.hash {
                return Err(LogFlaw::Diverged { position: expected.position });
            }
            self.expected = None;
        }
        Ok(if self.current.lines.len() >= FULL_SEGMENT_BYTES { self.take() } else { None })
    }

    /// The lines since the last cut, if there are any.
    pub(super) fn take(&mut self) -> Option<LogLines> {
        let lines = std::mem::take(&mut self.current);
        (!lines.lines.is_empty()).then_some(lines)
    }
}

/// Why the records cannot be stored.
#[derive(Debug)]
pub(super) enum LogFlaw {
    /// A position is missing.
    Gap {
        expected: u64,
        found: u64,
    },
    /// The events up to this position are not those of the previous increment.
    Diverged {
        position: u64,
    },
    Source(anyhow::Error),
}
