//! Counters of failed attempts, and of requests grouped by their cost on AWS. `measure` and the audit use these counters.

use serde::Serialize;

use super::client::{LoadResponse, RequestFailure, RequestFailureKind};

/// Failed attempts by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct FailedAttempts {
    /// There was no connection.
    pub(super) connect: u64,
    /// The connection broke.
    pub(super) broken: u64,
    pub(super) timed_out: u64,
    /// Answers with a status of 500 or more.
    pub(super) server: u64,
    /// Answers with 429.
    pub(super) throttled: u64,
    /// Writes that got no answer in any attempt.
    pub(super) unanswered: u64,
    /// Answers that are wrong for the kind of request.
    pub(super) unexpected: u64,
}

impl FailedAttempts {
    pub(super) fn sum(&self) -> u64 {
        self.connect + self.broken + self.timed_out + self.server + self.throttled + self.unexpected
    }

    pub(super) fn count(&mut self, result: &Result<LoadResponse, RequestFailure>) {
        let counter = match result {
            Ok(answer) if answer.status.is_server_error() => &mut self.server,
            Ok(answer) if answer.is_retryable() => &mut self.throttled,
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

/// The numbers of answered requests, grouped by the AWS calls that they cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct CallCounts {
    /// `POST`s that created an order.
    pub(super) creations: u64,
    /// `POST`s of a further event that was accepted.
    pub(super) events: u64,
    /// `POST`s whose idempotency key was used before.
    pub(super) retries: u64,
    /// `POST`s of invalid requests.
    pub(super) refused: u64,
    pub(super) orders: u64,
    pub(super) receipts: u64,
    pub(super) histories: u64,
    pub(super) lists: u64,
    /// The size of all answers in bytes.
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
