//! The findings of the audit: counted by kind, with a few examples of each. Workers add findings too.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many examples of each kind are kept.
const EXAMPLES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingKind {
    /// An accepted event is neither recorded nor rejected nor parked.
    NoOutcome,
    /// The receipt of an accepted event is missing, or is the receipt of another event.
    WrongReceipt,
    /// An event is recorded although the rules forbid it, or rejected although they allow it.
    WrongOutcome,
    /// The receipt of an event contradicts the log: only one of them shows the event as recorded, or their versions differ.
    LogAndReceiptDiffer,
    /// The versions of a log are not 1, 2, 3 …
    VersionsNotConsecutive,
    /// A log contains the same event twice.
    RecordedTwice,
    /// The events in a log are not in the order in which the service accepted them.
    OutOfOrder,
    /// A log contains an event that this run did not send.
    NeverSent,
    /// The data of a recorded event is not the data that this run sent.
    OtherData,
    /// A log cannot be folded by the rules of `domain`.
    LogDoesNotFold,
    /// An order differs from the fold of the events that this run sent.
    OrderDiffersFromLog,
    /// An order is unpaid, and the service did not cancel it after its deadline.
    NotExpired,
    /// A request that was sent again with its idempotency key was answered as a new one.
    RetryNotRecognised,
    /// An answer is wrong for the kind of request.
    UnexpectedAnswer,
    /// A request got no answer in any attempt.
    NeverAnswered,
    /// A recorded event has not arrived at the run's webhook receiver.
    NotDelivered,
    /// An event arrived at the webhook receiver for the first time after a later event of its order.
    DeliveredOutOfOrder,
    /// A delivery is not signed, contradicts itself, or is not in the log of its order.
    WrongDelivery,
    /// The audit could not read data that it must check.
    NotAudited,
    /// No request was answered, so there was nothing to audit.
    NothingAudited,
    /// The outcomes do not add up to the accepted events.
    NotConserved,
    /// The service's ledger does not agree with the outcomes of this run.
    LedgerDiffers,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct AuditFindings {
    pub(super) count: u64,
    pub(super) kinds: BTreeMap<FindingKind, FindingExamples>,
}

/// The findings of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct FindingExamples {
    pub(super) count: u64,
    /// The first few examples.
    pub(super) examples: Vec<String>,
}

impl FindingKind {
    /// The text that follows the count in the report.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NoOutcome => "accepted events that are neither recorded nor rejected nor parked",
            Self::WrongReceipt => "receipts that are missing, or belong to other events",
            Self::WrongOutcome => "outcomes that contradict the rules",
            Self::LogAndReceiptDiffer => "receipts that contradict the log",
            Self::VersionsNotConsecutive => "logs whose versions are not 1, 2, 3 …",
            Self::RecordedTwice => "events that a log contains twice",
            Self::OutOfOrder => "events that were not recorded in the order in which they were accepted",
            Self::NeverSent => "events in a log that this run did not send",
            Self::OtherData => "events that were not recorded with the data that was sent",
            Self::LogDoesNotFold => "logs that cannot be folded",
            Self::OrderDiffersFromLog => "orders that differ from the fold of their events",
            Self::NotExpired => "unpaid orders that were not cancelled after their deadline",
            Self::RetryNotRecognised => {
                "requests that were sent again with their key and answered as new ones"
            }
            Self::UnexpectedAnswer => "answers that are wrong for their request",
            Self::NeverAnswered => "requests that got no answer",
            Self::NotDelivered => "recorded events that did not arrive at the webhook receiver",
            Self::DeliveredOutOfOrder => {
                "events that arrived at the webhook receiver after a later event of their order"
            }
            Self::WrongDelivery => {
                "deliveries to the webhook receiver that are not signed or not as recorded"
            }
            Self::NotAudited => "checks that could not be made",
            Self::NothingAudited => "runs without an answered request, so nothing was audited",
            Self::NotConserved => "differences between accepted events and outcomes",
            Self::LedgerDiffers => "differences from the service's own ledger",
        }
    }
}

impl AuditFindings {
    pub(super) fn add(&mut self, kind: FindingKind, example: impl Into<String>) {
        self.count += 1;
        let found = self.kinds.entry(kind).or_default();
        found.count += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(example.into());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (kind, theirs) in other.kinds {
            let ours = self.kinds.entry(kind).or_default();
            ours.count += theirs.count;
            let room = EXAMPLES.saturating_sub(ours.examples.len());
            ours.examples.extend(theirs.examples.into_iter().take(room));
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// One line for each kind, followed by one line for each example of the kind.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, found) in &self.kinds {
            lines.push(format!("{} {}", found.count, kind.describe()));
            lines.extend(found.examples.iter().map(|example| format!("  {example}")));
            let more = found.count - found.examples.len() as u64;
            lines.extend((more > 0).then(|| format!("  … and {more} more")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_their_examples_are_limited() {
        let mut all = AuditFindings::default();
        assert!(all.is_clean());
        for _ in 0..2 {
            let mut some = AuditFindings::default();
            for i in 0..4 {
                some.add(FindingKind::NoOutcome, format!("event {i}"));
            }
            all.merge(some);
        }
        all.add(FindingKind::OutOfOrder, "order o-1");
        let lines = all.lines();
        assert_eq!((all.count, lines.len()), (9, 1 + EXAMPLES + 1 + 2), "{lines:?}");
        assert!(lines[0].starts_with("8 accepted events that"), "{lines:?}");
        assert_eq!(lines[6], "  … and 3 more");
    }
}
