//! Compares the growth of the service's ledger with the outcomes of this run. The audit uses it.

use super::OutcomeCounts;
use crate::load::pipeline::ServiceLedger;

/// Describes each difference between the growth of the ledger and the outcomes. If `shared` is set, other clients may
/// have added to the ledger, so it may have grown by more than this run's events.
pub(super) fn differences(
    before: &ServiceLedger,
    after: &ServiceLedger,
    ours: &OutcomeCounts,
    shared: bool,
) -> Vec<String> {
    let grown = |of: fn(&ServiceLedger) -> u64| i128::from(of(after)) - i128::from(of(before));
    let mut differences = Vec::new();
    if after.balanced == Some(false) {
        differences.push(format!("the service reports that its ledger is not balanced: {after:?}"));
    }
    // The ledger may grow by more than this run's events, if other events were in flight before the run.
    let at_least = shared || before.in_flight > 0;
    let duplicates = grown(|ledger| ledger.duplicate);
    // The ledger also counts the service's own proposals to cancel orders. A proposal is rejected if the order is paid
    // first.
    let proposed = ours.expired;
    let may_be_rejected = ours.with_deadline;
    for (name, count, more, growth) in [
        (
            "accepted",
            ours.accepted + proposed,
            may_be_rejected,
            grown(|ledger| ledger.accepted) - if shared { 0 } else { duplicates },
        ),
        ("recorded", ours.recorded + proposed, 0, grown(|ledger| ledger.recorded)),
        ("rejected", ours.rejected, may_be_rejected, grown(|ledger| ledger.rejected)),
        ("parked", ours.parked, 0, grown(|ledger| ledger.parked)),
    ] {
        let count_and_more = i128::from(count)..=i128::from(count + more);
        let agrees = if at_least { growth >= i128::from(count) } else { count_and_more.contains(&growth) };
        if !agrees {
            differences.push(format!("{name}: {count} in this run, but the ledger grew by {growth}"));
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
            balanced: Some(true),
            exact: true,
            discarded: 0,
        }
    }

    fn outcomes(recorded: u64, rejected: u64) -> OutcomeCounts {
        OutcomeCounts { accepted: recorded + rejected, recorded, rejected, ..OutcomeCounts::default() }
    }

    #[test]
    fn a_ledger_that_grew_by_this_run_agrees() {
        assert!(differences(&ledger(10, 10, 0, 0), &ledger(18, 15, 2, 1), &outcomes(5, 2), false).is_empty());
    }

    #[test]
    fn missing_and_surplus_events_are_differences() {
        let missing = differences(&ledger(0, 0, 0, 0), &ledger(7, 4, 2, 0), &outcomes(5, 2), false);
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing[0].contains("recorded: 5 in this run, but the ledger grew by 4"), "{missing:?}");
        assert!(missing[1].contains("still in flight"), "{missing:?}");
        let more = (ledger(0, 0, 0, 0), ledger(9, 7, 2, 0));
        assert_eq!(differences(&more.0, &more.1, &outcomes(5, 2), false).len(), 2);
        assert!(
            differences(&more.0, &more.1, &outcomes(5, 2), true).is_empty(),
            "other clients may have sent the additional events"
        );
        let unbalanced = ServiceLedger { balanced: Some(false), ..ledger(7, 5, 2, 0) };
        assert_eq!(differences(&ledger(0, 0, 0, 0), &unbalanced, &outcomes(5, 2), true).len(), 1);
        let unknown = ServiceLedger { balanced: None, ..ledger(7, 5, 2, 0) };
        assert!(differences(&ledger(0, 0, 0, 0), &unknown, &outcomes(5, 2), true).is_empty());
    }
}
