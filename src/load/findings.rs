//! What is not as it must be: counted by kind, with some examples of each.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many examples of a kind are kept.
const EXAMPLES: usize = 5;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingKind {
    /// Accepted, and neither recorded nor rejected nor parked.
    NoOutcome,
    /// The receipt of an accepted event is missing, or is about something else.
    WrongReceipt,
    /// Recorded although the rules forbid it, or rejected although they do not.
    WrongOutcome,
    /// A receipt says recorded, and the log has no such event; or the other way round.
    LogAndReceiptDiffer,
    /// The versions of a log are not 1, 2, 3 …
    VersionsNotConsecutive,
    /// An event is in a log twice.
    RecordedTwice,
    /// A log has events in another order than they were accepted in.
    OutOfOrder,
    /// A log has an event that this run never sent.
    NeverSent,
    /// An event was recorded with other data than was sent.
    OtherData,
    /// A log does not fold, by the rules of the domain.
    LogDoesNotFold,
    /// An order is not what its log makes it.
    OrderDiffersFromLog,
    /// A request sent again under its key was taken for another one.
    RetryNotRecognised,
    /// An answer that such a request must not have.
    UnexpectedAnswer,
    /// A request that was never answered, however often it was sent.
    NeverAnswered,
    /// The audit could not read what it has to look at.
    NotAudited,
    /// There was nothing to look at: no request was answered.
    NothingAudited,
    /// What became of the events does not add up to those accepted.
    NotConserved,
    /// The ledger of the service does not agree with what this run did.
    LedgerDiffers,
}

/// Everything that was found.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct AuditFindings {
    pub(super) count: u64,
    pub(super) kinds: BTreeMap<FindingKind, FindingExamples>,
}

/// All findings of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct FindingExamples {
    pub(super) count: u64,
    /// The first ones.
    pub(super) examples: Vec<String>,
}

impl FindingKind {
    /// In words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NoOutcome => "accepted, but neither recorded nor rejected nor parked",
            Self::WrongReceipt => "receipts that are missing, or about something else",
            Self::WrongOutcome => "outcomes that the rules do not allow",
            Self::LogAndReceiptDiffer => "receipts that say other than the log",
            Self::VersionsNotConsecutive => "logs whose versions are not 1, 2, 3 …",
            Self::RecordedTwice => "events that are in a log twice",
            Self::OutOfOrder => "events recorded in another order than they were accepted in",
            Self::NeverSent => "events in a log that nobody sent",
            Self::OtherData => "events recorded with other data than was sent",
            Self::LogDoesNotFold => "logs that do not fold",
            Self::OrderDiffersFromLog => "orders that are not what their logs make them",
            Self::RetryNotRecognised => "requests sent again under their keys and taken for others",
            Self::UnexpectedAnswer => "answers that such a request must not have",
            Self::NeverAnswered => "requests that were never answered",
            Self::NotAudited => "things that could not be looked at",
            Self::NothingAudited => "runs in which no request was answered, so that nothing was audited",
            Self::NotConserved => "events that do not add up",
            Self::LedgerDiffers => "differences from the service's own ledger",
        }
    }
}

impl AuditFindings {
    pub(super) fn add(&mut self, fault: FindingKind, example: impl Into<String>) {
        self.count += 1;
        let kind = self.kinds.entry(fault).or_default();
        kind.count += 1;
        if kind.examples.len() < EXAMPLES {
            kind.examples.push(example.into());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (fault, found) in other.kinds {
            let kind = self.kinds.entry(fault).or_default();
            kind.count += found.count;
            let room = EXAMPLES.saturating_sub(kind.examples.len());
            kind.examples.extend(found.examples.into_iter().take(room));
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// A line for each kind, and one for each example.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (fault, kind) in &self.kinds {
            lines.push(format!("{} {}", kind.count, fault.describe()));
            lines.extend(kind.examples.iter().map(|example| format!("  {example}")));
            let more = kind.count - kind.examples.len() as u64;
            lines.extend((more > 0).then(|| format!("  … and {more} more")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_their_examples_bounded() {
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
        assert!(lines[0].starts_with("8 accepted, but"), "{lines:?}");
        assert_eq!(lines[6], "  … and 3 more");
    }
}
