//! Tests outcomes, and the receipts that contain them.

use domain::{EventId, EventType, OrderId, Outcome, ParkReason, Receipt, ReceiptState, RejectReason};
use serde_json::{Value, json, to_value};
use uuid::Uuid;

fn receipt(outcome: Option<Outcome>) -> Receipt {
    Receipt {
        order_id: OrderId::parse("order-1").unwrap(),
        event_id: EventId::from(Uuid::from_u128(1)),
        event_type: EventType::Paid,
        outcome,
        request_hash: None,
        message: None,
    }
}

fn rejected() -> Outcome {
    Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "no".to_owned(),
        at_version: Some(4),
        violation: None,
    }
}

fn parked() -> Outcome {
    Outcome::Parked { reason: ParkReason::BehindParked, detail: "wait".to_owned() }
}

#[test]
fn a_receipt_contains_state_version_and_reason() {
    let cases = [
        (None, ReceiptState::Accepted, None, None),
        (Some(Outcome::Recorded { version: 3 }), ReceiptState::Recorded, Some(3), None),
        (Some(rejected()), ReceiptState::Rejected, None, Some(("illegal_transition", "no"))),
        (Some(parked()), ReceiptState::Parked, None, Some(("behind_parked", "wait"))),
    ];
    for (outcome, state, version, reason) in cases {
        let receipt = receipt(outcome);
        assert_eq!((receipt.state(), receipt.version(), receipt.reason()), (state, version, reason));
    }
}

#[test]
fn outcomes_are_stored_as_this_json() {
    let cases = [
        (Outcome::Recorded { version: 3 }, json!({"state": "recorded", "version": 3})),
        (
            rejected(),
            json!({"state": "rejected", "reason": "illegal_transition", "detail": "no", "at_version": 4}),
        ),
        // A rejection as older versions of this program stored it, without `at_version`.
        (
            Outcome::Rejected {
                reason: RejectReason::VersionMismatch,
                detail: "no".to_owned(),
                at_version: None,
                violation: None,
            },
            json!({"state": "rejected", "reason": "version_mismatch", "detail": "no"}),
        ),
        (parked(), json!({"state": "parked", "reason": "behind_parked", "detail": "wait"})),
    ];
    for (outcome, json) in cases {
        assert_eq!(to_value(&outcome).unwrap(), json);
        assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
    }
}

#[test]
fn reasons_and_states_are_the_same_in_json_and_text() {
    for reason in [RejectReason::IllegalTransition, RejectReason::VersionMismatch] {
        assert_eq!(to_value(reason).unwrap(), Value::from(reason.as_str()));
    }
    let park = [
        (ParkReason::Malformed, "malformed"),
        (ParkReason::UnknownType, "unknown_type"),
        (ParkReason::UnknownSchema, "unknown_schema"),
        (ParkReason::Invalid, "invalid"),
        (ParkReason::TriesExhausted, "tries_exhausted"),
        (ParkReason::BehindParked, "behind_parked"),
    ];
    for (reason, code) in park {
        assert_eq!((reason.as_str(), to_value(reason).unwrap()), (code, Value::from(code)));
    }
    for event_type in EventType::ALL {
        assert_eq!(to_value(event_type).unwrap(), Value::from(event_type.as_str()));
        assert_eq!(EventType::from_name(event_type.as_str()), Some(event_type));
    }
    assert_eq!(EventType::from_name("order_updated"), None);
    assert_eq!(to_value(ReceiptState::Accepted).unwrap(), Value::from("accepted"));
}
