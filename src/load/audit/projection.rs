//! Compares the order that the service shows with the fold of the events that this run sent. The audit of an order uses it.

use domain::order::Money;
use domain::{Order, RecordedEvent};
use serde_json::{Value, json};

use super::logged_event::LoggedEvent;
use crate::load::known_orders::KnownOrder;
use crate::load::requests::RequestBodies;

/// Members of stored orders that the service does not show.
const NOT_SHOWN: [&str; 3] = ["settled_by_payment", "settled_by_refund", "recorded_at"];
/// Members that stored orders omit while they are empty or false. The service always shows them.
const LISTS: [&str; 6] = ["adjustments", "payments", "refunds", "shipments", "returns", "holds"];
const FLAGS: [&str; 2] = ["confirmed", "ship_unpaid"];
/// Members of lines, payments and refunds that stored orders omit while they are 0 or false. The service always shows
/// them.
const COUNTERS: [(&str, &[&str]); 2] =
    [("items", &["cancelled", "shipped", "delivered", "returned"]), ("payments", &["captured", "refunded"])];
const FLAGS_OF_LISTS: [(&str, &str); 2] = [("payments", "voided"), ("refunds", "goodwill")];

/// The order that the service must show: the fold of the log, in which the events of this run have the data that was
/// sent. `None` if the log is empty.
pub(super) fn expected(
    requests: &RequestBodies,
    known: &KnownOrder,
    entries: &[LoggedEvent],
) -> Result<Option<Value>, String> {
    let mut order = None;
    for LoggedEvent { event, .. } in entries {
        let id = event.envelope.event_id;
        let accepted = known.events.iter().find(|accepted| accepted.event_id == id);
        let mut event: RecordedEvent = event.clone();
        if let Some(accepted) = accepted {
            event.envelope.event = known.sent(requests).event(accepted.sent())?;
        }
        order = Some(Order::apply(order, &event).map_err(|error| error.to_string())?);
    }
    Ok(order.map(|order| shown(&order)))
}

/// The order as the service shows it, without the members that do not follow from its events.
pub(super) fn shown(order: &Order) -> Value {
    let mut shown = serde_json::to_value(order).unwrap_or_default();
    if let Value::Object(members) = &mut shown {
        members.retain(|name, _| !NOT_SHOWN.contains(&name.as_str()));
    }
    LISTS.iter().for_each(|list| fill(&mut shown, list, json!([])));
    FLAGS.iter().for_each(|flag| fill(&mut shown, flag, json!(false)));
    for (list, counters) in COUNTERS {
        for entry in shown[list].as_array_mut().into_iter().flatten() {
            counters.iter().for_each(|counter| fill(entry, counter, json!(0)));
        }
    }
    for (list, flag) in FLAGS_OF_LISTS {
        shown[list].as_array_mut().into_iter().flatten().for_each(|entry| fill(entry, flag, json!(false)));
    }
    let Money { authorized, captured, refunded, balance } = order.money();
    shown["payment_status"] = json!(order.payment_status());
    shown["fulfilment_status"] = json!(order.fulfilment_status());
    shown["money"] =
        json!({ "authorized": authorized, "captured": captured, "refunded": refunded, "balance": balance });
    shown
}

fn fill(object: &mut Value, member: &str, value: Value) {
    if let Value::Object(members) = object {
        members.entry(member).or_insert(value);
    }
}

/// Whether `shown` contains everything in `expected`: every member of an object, and every element of an array, with
/// the same value.
pub(super) fn contains(shown: &Value, expected: &Value) -> bool {
    match (shown, expected) {
        (Value::Object(_), Value::Object(members)) => {
            members.iter().all(|(name, value)| shown.get(name).is_some_and(|shown| contains(shown, value)))
        }
        (Value::Array(shown), Value::Array(expected)) => {
            shown.len() == expected.len()
                && shown.iter().zip(expected).all(|(one, other)| contains(one, other))
        }
        _ => shown == expected,
    }
}
