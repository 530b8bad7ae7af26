//! Tests every guard with an event that passes it, and with events that fail it with the verdicts 'early' and 'never'.
//! The tests check the code, the detail and the numbers.

mod goods;
mod money;
mod size;
mod state;

use std::collections::BTreeSet;

use domain::{EventType, Guard, Order, Verdict, allowed_events, judge};
use serde_json::{Value, json};

use crate::given::{after, envelope, event_type, proposed};

/// An order that got `events`. Line `a` has 2 units at a price of 100, and line `b` has 1 unit at 50.
fn order(events: &[(&str, Value)]) -> Order {
    let created = json!({
        "customer_id": "c", "currency": "EUR", "total": 250,
        "items": [
            {"line_id": "a", "sku": "mug", "quantity": 2, "unit_price": 100},
            {"line_id": "b", "sku": "tea", "quantity": 1, "unit_price": 50}
        ],
    });
    order_of(&created, events)
}

/// The order that was created with the data in `created`, and then got `events`.
fn order_of(created: &Value, events: &[(&str, Value)]) -> Order {
    let start = after(None, proposed(EventType::Created, created)).unwrap();
    events.iter().fold(start, |order, (short, data)| {
        after(Some(order), proposed(event_type(short), data)).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Units of lines, in the format of an event's data.
fn units(lines: &[(&str, u32)]) -> Value {
    let unit = |(id, quantity): &(&str, u32)| json!({"line_id": id, "quantity": quantity});
    json!({ "items": lines.iter().map(unit).collect::<Vec<_>>() })
}

/// Whether `allowed_events` lists the event type with the given short name.
fn is_allowed(order: &Order, short: &str) -> bool {
    allowed_events(Some(order)).any(|allowed| allowed == event_type(short))
}

/// The members of `data`, extended by the members of `more`.
fn with(mut data: Value, more: &Value) -> Value {
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data
}

/// Checks that the event is legal and that its type is listed as allowed. Returns the order after the event.
#[expect(clippy::needless_pass_by_value, reason = "the callers write the data in place")]
fn legal(order: &Order, short: &str, data: Value) -> Order {
    let event = proposed(event_type(short), &data);
    let verdict = judge(Some(order), None, &envelope(event.clone()));
    assert_eq!(verdict, Verdict::Legal, "{short} {data}");
    assert!(is_allowed(order, short), "{short}");
    after(Some(order.clone()), event).unwrap()
}

/// Checks that a guard refuses the event. `expected` contains the verdict, the guard's code and the detail, as in
/// `verdict 'early', guard confirmed: the order is not confirmed`. `numbers` contains the numbers of the violation, and
/// its line if it has one.
#[expect(clippy::needless_pass_by_value, reason = "the callers write the data in place")]
fn refused(order: &Order, short: &str, data: Value, expected: &str, numbers: Value) {
    let event = proposed(event_type(short), &data);
    let (word, refusal) = match judge(Some(order), None, &envelope(event.clone())) {
        Verdict::Legal => panic!("{short} {data} is legal"),
        Verdict::Early(refusal) => ("early", refusal),
        Verdict::Never(refusal) => ("never", refusal),
    };
    let violation = refusal.violation.unwrap();
    let start = format!("order_{short} is not legal while the order is {}: ", order.status);
    let clause = refusal.detail.strip_prefix(&start).unwrap_or_else(|| panic!("{}", refusal.detail));
    assert_eq!(format!("verdict '{word}', guard {}: {clause}", violation.guard), expected, "{short} {data}");
    let mut found = json!(violation.numbers);
    if let Some(line) = violation.line_id {
        found["line"] = json!(line);
    }
    assert_eq!(found, numbers, "{short} {data}");
    after(Some(order.clone()), event).expect_err("the fold refuses the event, too");
}

#[test]
fn every_guard_is_used_and_described_and_its_code_is_its_json() {
    let used: BTreeSet<_> =
        EventType::ALL.iter().flat_map(|kind| kind.guards()).map(|it| it.as_str()).collect();
    assert_eq!(used, Guard::ALL.iter().map(|guard| guard.as_str()).collect());
    for guard in Guard::ALL {
        assert_eq!(json!(guard), json!(guard.as_str()));
        assert!(guard.rule().ends_with('.') && !guard.early().is_empty(), "{guard}");
    }
}

#[test]
fn of_several_failed_guards_one_that_never_passes_is_returned_or_else_the_first() {
    let held = order(&[("held", json!({"hold": "h"}))]);
    let early = "verdict 'early', guard confirmed: the order is not confirmed";
    refused(&held, "shipped", units(&[("a", 3)]), early, json!({}));
    let shipped = order(&[
        ("confirmed", json!({})),
        ("paid", json!({"amount": 250})),
        ("shipped", with(units(&[("a", 1)]), &json!({"shipment_id": "s"}))),
        ("held", json!({"hold": "h"})),
    ]);
    let never = "verdict 'never', guard shipment_new: the order already has the shipment \"s\"";
    refused(&shipped, "shipped", json!({"shipment_id": "s"}), never, json!({}));
}
