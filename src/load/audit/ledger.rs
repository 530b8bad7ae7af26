//! The service's own account, compared with what this run did.

use super::OutcomeCounts;
use crate::load::pipeline::ServiceLedger;

/// What does not agree. With `shared`, others may have done more meanwhile.
pub(super) fn differences(
    before: &ServiceLedger,
    after: &ServiceLedger,
    done: &OutcomeCounts,
    shared: bool,
) -> Vec<String> {
    let grown = |of: fn(&ServiceLedger) -> u64| i128::from(of(after)) - i128::from(of(before));
    let mut differences = Vec::new();
    if !after.balanced {
        differences.push(format!("the service says itself that its ledger is not balanced: {after:?}"));
    }
    // What was in flight before this run is in the growth as well.
    let at_least = shared || before.in_flight > 0;
    let duplicates = grown(|ledger| ledger.duplicate);
    for (name, ours, theirs) in [
        ("accepted", done.accepted, grown(|ledger| ledger.accepted) - if shared { 0 } else { duplicates }),
        ("recorded", done.recorded, grown(|ledger| ledger.recorded)),
        ("rejected", done.rejected, grown(|ledger| ledger.rejected)),
        ("parked", done.parked, grown(|ledger| ledger.parked)),
    ] {
        let agrees = if at_least { theirs >= i128::from(ours) } else { theirs == i128::from(ours) };
        if !agrees {
            differences.push(format!("{name}: this run {ours}, the ledger grew by {theirs}"));
        }
    }
    if after.in_flight > 0 && !shared {
        differences.push(format!("{} events are still in flight", after.in_flight));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(accepted: u64, recorded: u64, rejected: u64, duplicate: u64) -> ServiceLedger {
        let in_flight = accepted - recorded - rejected - duplicate;
        ServiceLedger {
            accepted,
            recorded,
            rejected,
            duplicate,
            parked: 0,
            in_flight,
            balanced: true,
            exact: true,
            discarded: 0,
        }
    }

    fn done(recorded: u64, rejected: u64) -> OutcomeCounts {
        OutcomeCounts { accepted: recorded + rejected, recorded, rejected, ..OutcomeCounts::default() }
    }

    #[test]
    fn a_ledger_that_grew_by_what_was_done_agrees() {
        assert!(differences(&ledger(10, 10, 0, 0), &ledger(18, 15, 2, 1), &done(5, 2), false).is_empty());
    }

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        let missing = differences(&ledger(0, 0, 0, 0), &ledger(7, 4, 2, 0), &done(5, 2), false);
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing[0].contains("recorded: this run 5, the ledger grew by 4"), "{missing:?}");
        assert!(missing[1].contains("still in flight"), "{missing:?}");
        let more = (ledger(0, 0, 0, 0), ledger(9, 7, 2, 0));
        assert_eq!(differences(&more.0, &more.1, &done(5, 2), false).len(), 2);
        assert!(differences(&more.0, &more.1, &done(5, 2), true).is_empty(), "others may have done that");
        let unbalanced = ServiceLedger { balanced: false, ..ledger(7, 5, 2, 0) };
        assert_eq!(differences(&ledger(0, 0, 0, 0), &unbalanced, &done(5, 2), true).len(), 1);
    }
}
