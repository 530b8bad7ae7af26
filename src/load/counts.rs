//! What is counted: attempts that failed, and calls, which cost money.

use serde::Serialize;

use super::client::{LoadResponse, RequestFailure, RequestFailureKind};

/// Attempts that came to nothing, by their reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct FailedAttempts {
    /// No connection.
    pub(super) connect: u64,
    /// A connection that broke.
    pub(super) broken: u64,
    pub(super) timed_out: u64,
    /// Answers with a status of 500 or more.
    pub(super) server: u64,
    /// Answers with 429.
    pub(super) throttled: u64,
    /// Writes that were never answered, however often they were sent.
    pub(super) unanswered: u64,
    /// Answers that this kind of request must not have.
    pub(super) unexpected: u64,
}

impl FailedAttempts {
    pub(super) fn sum(&self) -> u64 {
        self.connect + self.broken + self.timed_out + self.server + self.throttled + self.unexpected
    }

    pub(super) fn count(&mut self, result: &Result<LoadResponse, RequestFailure>) {
        let counter = match result {
            Ok(answer) if answer.status.is_server_error() => &mut self.server,
            Ok(answer) if answer.is_for_later() => &mut self.throttled,
            Ok(_) => return,
            Err(failure) => match failure.kind {
                RequestFailureKind::Connect => &mut self.connect,
                RequestFailureKind::Broken => &mut self.broken,
                RequestFailureKind::TimedOut => &mut self.timed_out,
            },
        };
        *counter += 1;
    }
}

/// Requests that were sent, by what they cause on AWS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct CallCounts {
    /// `POST`s of which an order came.
    pub(super) creations: u64,
    /// `POST`s of which another event came.
    pub(super) events: u64,
    /// `POST`s of something that was accepted before.
    pub(super) retries: u64,
    /// `POST`s that were refused.
    pub(super) refused: u64,
    pub(super) orders: u64,
    pub(super) receipts: u64,
    pub(super) histories: u64,
    pub(super) lists: u64,
    /// Bytes of all answers.
    pub(super) bytes_out: u64,
}

impl CallCounts {
    pub(super) fn all(&self) -> u64 {
        self.creations + self.events + self.retries + self.refused + self.reads()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.creations += other.creations;
        self.events += other.events;
        self.retries += other.retries;
        self.refused += other.refused;
        self.orders += other.orders;
        self.receipts += other.receipts;
        self.histories += other.histories;
        self.lists += other.lists;
        self.bytes_out += other.bytes_out;
    }

    pub(super) fn reads(&self) -> u64 {
        self.orders + self.receipts + self.histories + self.lists
    }
}
