//! Cuts the recorded events into segments, and checks that the events continue the previous increment.
//! [`increment`](super::increment) adds the records and stores the segments.

use super::manifest::{LogSegment, Manifest};
use super::record::LogRecord;
use super::running_hash::RunningHash;
use super::segment::{FULL_SEGMENT_BYTES, SegmentRef};

/// Lines that become one segment, and the numbers that the manifest contains about the segment.
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

/// Collects records, and cuts them into segments.
#[derive(Debug)]
pub(super) struct LogCutter {
    next: u64,
    hash: RunningHash,
    /// The position and the hash at the end of the previous increment, with which the records must agree. `None` once
    /// they have reached that position.
    expected: Option<Expected>,
    current: LogLines,
}

impl LogCutter {
    /// Creates a cutter that continues after the segments `kept` of the previous increment.
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

    /// The position of the next record to add.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The hash over all events so far.
    pub(super) fn hash(&self) -> RunningHash {
        self.hash
    }

    /// Adds a record. If a segment is full, returns its lines.
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

    /// Takes the lines since the last cut, if there are any.
    pub(super) fn take(&mut self) -> Option<LogLines> {
        let lines = std::mem::take(&mut self.current);
        (!lines.lines.is_empty()).then_some(lines)
    }
}

/// The reason why records cannot be stored.
#[derive(Debug)]
pub(super) enum LogFlaw {
    /// A position is missing.
    Gap {
        expected: u64,
        found: u64,
    },
    /// The events up to `position` differ from the events of the previous increment.
    Diverged {
        position: u64,
    },
    Source(anyhow::Error),
}
