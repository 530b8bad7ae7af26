//! Generates the status diagram and the tables of guards that `docs/api.md` contains. A test compares the document with
//! this output. The console draws the diagram too.

use std::collections::HashSet;

use serde::Serialize;

use crate::envelope::Envelope;
use crate::event_kinds::EventType;
use crate::guard::Guard;
use crate::money::Currency;
use crate::order::Order;
use crate::recorded::RecordedEvent;
use crate::status::OrderStatus;

/// The events that the order in the diagram can get, with their data apart from the order id. The order has two units,
/// one payment, and one refund of the whole payment. Amendments and further events would not lead to any other status.
const EVENTS: &[(EventType, &str)] = &[
    (
        EventType::Created,
        r#","customer_id":"c","currency":"EUR","total":2,"items":[{"sku":"s","quantity":2,"unit_price":1}]"#,
    ),
    (EventType::Confirmed, ""),
    (EventType::Paid, r#","payment_id":"p","amount":2"#),
    (EventType::Shipped, r#","items":[{"line_id":"1","quantity":1}]"#),
    (EventType::Shipped, ""),
    (EventType::Delivered, ""),
    (EventType::Cancelled, r#","items":[{"line_id":"1","quantity":1}]"#),
    (EventType::Cancelled, ""),
    (EventType::Returned, r#","items":[{"line_id":"1","quantity":1}]"#),
    (EventType::Returned, ""),
    (EventType::Refunded, r#","amount":2"#),
];

/// How events change the status of a small order, as a Mermaid state diagram. Events that do not change the status are
/// not shown.
pub fn diagram() -> String {
    let name = |status: Option<OrderStatus>| status.map_or("[*]", OrderStatus::as_str);
    let mut lines = vec!["stateDiagram-v2".to_owned()];
    for StatusChange { from, to, events } in status_changes() {
        let events: Vec<_> = events.into_iter().map(EventType::as_str).collect();
        lines.push(format!("    {} --> {to}: {}", name(from), events.join(", ")));
    }
    lines.join("\n")
}

/// A change of the status, and the events that can cause it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// The status before the change. `None` for an order that does not exist yet.
    pub from: Option<OrderStatus>,
    /// The status after the change.
    pub to: OrderStatus,
    /// The events, in the order of the table of event kinds.
    pub events: Vec<EventType>,
}

/// The changes that [`diagram`] shows.
pub fn status_changes() -> Vec<StatusChange> {
    let mut found: Vec<StatusChange> = Vec::new();
    for (from, event, to) in changes() {
        match found.iter_mut().find(|change| (change.from, change.to) == (from, to)) {
            Some(change) => change.events.push(event),
            None => found.push(StatusChange { from, to, events: vec![event] }),
        }
    }
    for change in &mut found {
        change.events.sort();
        change.events.dedup();
    }
    found.sort_by_key(|change| (change.from, change.to));
    found
}

/// Every change of the status that some sequence of the events in [`EVENTS`] can cause.
fn changes() -> Vec<(Option<OrderStatus>, EventType, OrderStatus)> {
    let events: Vec<_> = EVENTS.iter().map(|(event_type, data)| entry(*event_type, data)).collect();
    let mut changes = Vec::new();
    let (mut open, mut known) = (vec![None], HashSet::new());
    while let Some(order) = open.pop() {
        for event in &events {
            let version = order.as_ref().map_or(1, |order: &Order| order.version + 1);
            let event = RecordedEvent { version, ..event.clone() };
            let Ok(after) = Order::apply(order.clone(), &event) else { continue };
            let from = order.as_ref().map(|order| order.status);
            if from != Some(after.status) {
                changes.push((from, event.envelope.event.event_type(), after.status));
            }
            if known.insert(Order { version: 1, ..after.clone() }.encode()) {
                open.push(Some(after));
            }
        }
    }
    changes
}

fn entry(event_type: EventType, data: &str) -> RecordedEvent {
    let message = format!(
        r#"{{"type":"{event_type}","schema_version":2,"timestamp":"2026-01-01T00:00:00Z","data":{{"order_id":"o"{data}}}}}"#
    );
    let currency = Currency::parse("EUR").expect("EUR is a currency");
    let envelope = Envelope::decode(message.as_bytes(), currency).expect("the events are valid");
    RecordedEvent { version: 1, recorded_at: envelope.timestamp, repaired: None, envelope }
}

/// Two tables in Markdown: the guards of each event, and the condition of each guard.
pub fn guards_table() -> String {
    let mut lines = vec!["| event | guards |".to_owned(), "|---|---|".to_owned()];
    for event in EventType::ALL {
        let guards: Vec<_> = event.guards().iter().map(|guard| format!("`{guard}`")).collect();
        lines.push(format!("| `{event}` | {} |", guards.join(", ")));
    }
    lines.push("\n| guard | rule | an event that fails it is early |".to_owned());
    lines.push("|---|---|---|".to_owned());
    let row = |guard: Guard| format!("| `{guard}` | {} | {} |", guard.rule(), guard.early());
    lines.extend(Guard::ALL.map(row));
    lines.join("\n")
}
