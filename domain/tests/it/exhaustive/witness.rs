//! Constructs events that a search's alphabet lacks: the easiest event of each type, and events that can make an
//! early event legal.

use domain::{Event, EventType, Order, OrderLine, Verdict, judge};
use serde_json::{Value, json};

use super::search::apply;
use crate::given::{envelope, proposed};

/// The data that names one unit of the first line for which `available` returns more than 0.
fn one_unit(order: &Order, available: fn(&OrderLine) -> u32) -> Option<Value> {
    let mut lines = domain::order_line::line_ids(&order.items).zip(&order.items);
    let (id, _) = lines.find(|(_, line)| available(line) > 0)?;
    Some(json!([{"line_id": id, "quantity": 1}]))
}

/// The event of the given type that is most easily legal: if any event of the type is legal, this event is
/// legal too.
pub(super) fn easiest(order: &Order, event_type: EventType) -> Option<Event> {
    let voidable =
        || order.payments.iter().find(|it| it.authorized.is_some() && !it.voided && it.captured.minor() == 0);
    let data = match event_type {
        EventType::Created => return None,
        EventType::Amended | EventType::Annotated | EventType::Confirmed | EventType::Delivered => json!({}),
        EventType::Held => json!({"hold": "easiest"}),
        EventType::Released => json!({"hold": order.holds.first()?.hold}),
        EventType::PaymentAuthorized | EventType::Paid => json!({"payment_id": "easiest", "amount": 0}),
        EventType::PaymentVoided => json!({"payment_id": voidable()?.payment_id}),
        EventType::Shipped => json!({"shipment_id": "easiest", "items": one_unit(order, OrderLine::left)?}),
        EventType::Cancelled => json!({"items": one_unit(order, OrderLine::left)?}),
        EventType::ReturnRequested | EventType::Returned => {
            json!({"return_id": "easiest", "items": one_unit(order, OrderLine::returnable)?})
        }
        EventType::Refunded => json!({"refund_id": "easiest", "amount": 1}),
    };
    Some(proposed(event_type, &data))
}

/// Applies helpful events to the order, step by step, such as payments and shipments. Returns whether `event` was
/// legal at any step.
pub(super) fn can_become_legal(order: &Order, event: &Event) -> bool {
    let mut order = order.clone();
    for step in 0..6 {
        for helpful in steps(&order, step, event) {
            if judge(Some(&order), None, &envelope(event.clone())) == Verdict::Legal {
                return true;
            }
            order = apply(&order, &helpful).unwrap_or(order);
        }
    }
    judge(Some(&order), None, &envelope(event.clone())) == Verdict::Legal
}

fn steps(order: &Order, step: usize, event: &Event) -> Vec<Event> {
    match step {
        0 => order.holds.iter().map(|it| proposed(EventType::Released, &json!({"hold": it.hold}))).collect(),
        1 => vec![proposed(EventType::Confirmed, &json!({}))],
        // Captures the payments of the order, the payment that the event refunds, and one more payment that covers
        // the rest of the total.
        2 => {
            let known = order.payments.iter().map(|payment| json!({"payment_id": payment.payment_id}));
            let meant = match event {
                Event::Refunded(refunded) => refunded.payment_id.as_ref(),
                _ => None,
            };
            let meant = meant.map(|id| json!({"payment_id": id, "amount": 1000}));
            let more = std::iter::once(json!({"payment_id": "more", "amount": 1000}));
            known.chain(meant).chain(more).map(|data| proposed(EventType::Paid, &data)).collect()
        }
        3 => {
            let known = domain::order_line::line_ids(&order.items).map(|id| id.into_owned());
            let mut lines: Vec<(String, u32)> =
                known.zip(order.items.iter().map(|line| line.quantity.get())).collect();
            for id in ["a", "b"] {
                if lines.iter().all(|(known, _)| known != id) {
                    lines.push((id.to_owned(), 0));
                }
            }
            let lines = lines.into_iter().map(|(id, quantity)| {
                json!({"line_id": id, "sku": "s", "quantity": quantity + 5, "unit_price": 1000})
            });
            let more = json!({"items": lines.collect::<Vec<_>>()});
            vec![proposed(EventType::Amended, &more)]
        }
        4 => vec![proposed(EventType::Paid, &json!({"payment_id": "most", "amount": 1_000_000}))],
        _ => {
            let shipment_id = match event {
                Event::Delivered(delivered) => json!(delivered.shipment_id),
                _ => json!(null),
            };
            vec![
                proposed(EventType::Shipped, &json!({"shipment_id": shipment_id})),
                proposed(EventType::Delivered, &json!({})),
            ]
        }
    }
}
