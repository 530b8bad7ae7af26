//! Tests the guards about the order as a whole.

use domain::{EventType, OrderId, Verdict, judge};
use serde_json::json;

use super::{legal, order, refused, units};
use crate::given::{data, envelope, event, proposed};

#[test]
fn new_and_exists() {
    let pending = order(&[]);
    refused(
        &pending,
        "created",
        data(EventType::Created),
        "verdict 'never', guard new: the order exists",
        json!({}),
    );
    for event_type in EventType::ALL {
        match judge(None, None, &envelope(event(event_type))) {
            Verdict::Legal => assert_eq!(event_type, EventType::Created),
            Verdict::Early(refusal) => {
                assert_eq!(
                    refusal.detail,
                    format!("{event_type} is not legal: the order does not exist yet")
                );
            }
            Verdict::Never(refusal) => panic!("{refusal:?}"),
        }
    }
}

#[test]
fn reference_free() {
    let pending = order(&[]);
    let holder = OrderId::parse("order-9").unwrap();
    let amended = envelope(proposed(EventType::Amended, &json!({"reference": "PO-1"})));
    assert_eq!(judge(Some(&pending), None, &amended), Verdict::Legal);
    assert_eq!(
        judge(Some(&pending), Some(&amended.order_id), &amended),
        Verdict::Legal,
        "an order may keep its own reference"
    );
    for (existing, event, is_legal_without) in [
        (Some(&pending), amended, true),
        (None, envelope(event(EventType::Created)), true),
        // An amendment with a taken reference can never become legal, even if its order does not exist yet. The
        // reference is still taken once the order exists.
        (None, envelope(proposed(EventType::Amended, &json!({"reference": "PO-1"}))), false),
    ] {
        assert_eq!(judge(existing, None, &event) == Verdict::Legal, is_legal_without);
        let Verdict::Never(refusal) = judge(existing, Some(&holder), &event) else { panic!() };
        assert!(refusal.detail.ends_with("order order-9 has this reference"), "{}", refusal.detail);
        let violation = refusal.violation.unwrap();
        assert_eq!((violation.guard.as_str(), violation.order_id), ("reference_free", Some(holder.clone())));
    }
}

#[test]
fn open_not_cancelled_and_unconfirmed() {
    let closed = order(&[("cancelled", json!({}))]);
    for (short, data) in [("amended", json!({})), ("held", json!({"hold": "h"}))] {
        refused(&closed, short, data, "verdict 'never', guard open: nothing is left to ship", json!({}));
    }
    refused(
        &closed,
        "confirmed",
        json!({}),
        "verdict 'never', guard unconfirmed: nothing is left to ship",
        json!({}),
    );
    let authorization = json!({"payment_id": "p", "amount": 1});
    let detail = "verdict 'never', guard not_cancelled: every unit is cancelled";
    refused(&closed, "payment_authorized", authorization.clone(), detail, json!({}));

    let partly = order(&[("cancelled", units(&[("a", 2)]))]);
    legal(&partly, "amended", json!({"reference": "PO-1"}));
    legal(&partly, "payment_authorized", authorization.clone());
    let confirmed = legal(&partly, "confirmed", json!({}));
    refused(
        &confirmed,
        "confirmed",
        json!({}),
        "verdict 'never', guard unconfirmed: the order is already confirmed",
        json!({}),
    );

    // An invoice can be authorized even after the goods were shipped.
    let shipped = legal(&legal(&confirmed, "paid", json!({"amount": 50})), "shipped", json!({}));
    legal(&shipped, "payment_authorized", authorization);
}

#[test]
fn confirmed() {
    let detail = "verdict 'early', guard confirmed: the order is not confirmed";
    let paid = order(&[("paid", json!({"amount": 250}))]);
    refused(&paid, "shipped", json!({}), detail, json!({}));
    legal(&legal(&paid, "confirmed", json!({})), "shipped", json!({}));
}

#[test]
fn holds() {
    let ready = order(&[("confirmed", json!({})), ("paid", json!({"amount": 250}))]);
    let detail = "verdict 'early', guard hold_known: the order has no hold \"h\"";
    refused(&ready, "released", json!({"hold": "h"}), detail, json!({}));
    let held = legal(&ready, "held", json!({"hold": "h"}));
    let detail = "verdict 'early', guard hold_free: the order already has the hold \"h\"";
    refused(&held, "held", json!({"hold": "h"}), detail, json!({}));
    let twice = legal(&held, "held", json!({"hold": "i"}));
    refused(
        &twice,
        "shipped",
        json!({}),
        "verdict 'early', guard not_held: the order is held: \"h\"",
        json!({"holds": 2}),
    );

    // A hold prevents shipments, but no other events.
    legal(&twice, "cancelled", json!({}));
    legal(&twice, "amended", json!({}));
    let once = legal(&twice, "released", json!({"hold": "h"}));
    refused(
        &once,
        "shipped",
        json!({}),
        "verdict 'early', guard not_held: the order is held: \"i\"",
        json!({"holds": 1}),
    );
    let free = legal(&once, "released", json!({"hold": "i"}));
    legal(&legal(&free, "held", json!({"hold": "h"})), "released", json!({"hold": "h"}));
    let shipped = legal(&free, "shipped", json!({}));
    let detail = "verdict 'never', guard hold_known: the order has no hold \"h\"";
    refused(&shipped, "released", json!({"hold": "h"}), detail, json!({}));
    // A hold can still be released if nothing of the order is left to ship.
    let cancelled = legal(&twice, "cancelled", json!({}));
    legal(&cancelled, "released", json!({"hold": "h"}));
}

#[test]
fn metadata_fits() {
    let entries = |from: usize, to: usize| -> serde_json::Value {
        json!({ "metadata": (from..to).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>() })
    };
    let full = legal(&order(&[]), "annotated", entries(0, 20));
    let detail = "verdict 'early', guard metadata_fits: the metadata would have more than 20 entries";
    refused(&full, "annotated", entries(20, 21), detail, json!({"present": 20, "limit": 20}));
    legal(&full, "annotated", entries(19, 20));
    legal(&full, "annotated", json!({"metadata": {"0": null, "20": "x"}}));
}
