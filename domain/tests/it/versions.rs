//! Tests the version that an event expects of its order: the current version, an earlier version, or a later
//! version.

use domain::{Envelope, EventType, RejectReason, Verdict, judge};

use crate::given::{envelope, event, event_type, order_after_types};

fn expecting(version: u64, event_type: EventType) -> Envelope {
    Envelope { expected_version: Some(version), ..envelope(event(event_type)) }
}

/// Judges an event after a history. Returns the verdict in one word, with the reason code of a refusal.
fn verdict(history: &str, expected_version: u64, short: &str) -> String {
    let order = order_after_types(history);
    match judge(order.as_ref(), None, &expecting(expected_version, event_type(short))) {
        Verdict::Legal => "legal".to_owned(),
        Verdict::Early(refusal) => format!("early {}", refusal.reason.as_str()),
        Verdict::Never(refusal) => format!("never {}", refusal.reason.as_str()),
    }
}

#[test]
fn an_expected_version_is_checked_before_the_state() {
    let cases = [
        // Each case gives the history, the expected version, the event and the verdict.
        ("", 0, "created", "legal"),
        ("", 1, "created", "early version_mismatch"),
        ("", 0, "paid", "early illegal_transition"),
        ("", 2, "paid", "early version_mismatch"),
        ("created", 1, "confirmed", "legal"),
        ("created", 0, "confirmed", "never version_mismatch"),
        ("created", 2, "confirmed", "early version_mismatch"),
        ("created", 1, "paid", "legal"),
        ("created", 1, "shipped", "early illegal_transition"),
        ("created", 1, "created", "never illegal_transition"),
        ("created", 2, "paid", "early version_mismatch"),
        ("created amended", 1, "confirmed", "never version_mismatch"),
        ("created amended", 2, "confirmed", "legal"),
        ("created cancelled", 2, "confirmed", "never illegal_transition"),
        ("created confirmed paid", 3, "cancelled", "legal"),
        ("created confirmed paid", u64::MAX, "shipped", "early version_mismatch"),
    ];
    for (history, expected_version, short, expected) in cases {
        let found = verdict(history, expected_version, short);
        assert_eq!(found, expected, "{short} with the expected version {expected_version} after [{history}]");
    }
}

#[test]
fn an_event_without_an_expected_version_is_legal_at_any_version() {
    for history in ["created", "created amended", "created amended amended"] {
        let order = order_after_types(history);
        assert_eq!(
            judge(order.as_ref(), None, &envelope(event(EventType::Confirmed))),
            Verdict::Legal,
            "{history}"
        );
    }
}

#[test]
fn the_error_for_a_mismatch_contains_both_versions() {
    let order = order_after_types("created amended");
    let Verdict::Never(refusal) = judge(order.as_ref(), None, &expecting(1, EventType::Confirmed)) else {
        panic!("an earlier version can never be current again")
    };
    assert_eq!(refusal.reason, RejectReason::VersionMismatch);
    assert_eq!(refusal.detail, "the event expects version 1 of the order, but the order is at version 2");
}
