//! The guard about the size of an order, which limits the entries in its lists and the bytes of its JSON. The parent
//! module calls these functions.

use super::{Check, Guard, GuardFailure};
use crate::event::{Amended, Created};
use crate::event_kinds::{Event, EventType};
use crate::fold_money::known_payment;
use crate::fold_returns::known_return;
use crate::order::Order;
use crate::parcels::{Return, ReturnState};

/// The maximum number of payments, of refunds, of shipments and of returns of an order.
const MAX_ENTRIES: usize = 100;
/// The maximum number of holds of an order.
const MAX_HOLDS: usize = 20;
/// The maximum size of an order's JSON in bytes. An item of DynamoDB has at most 400 KB
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)). This guard does not
/// check events that only count units. Such events add at most 20 bytes for each counter of each line.
const MAX_BYTES: usize = 350_000;
/// The maximum size of an order's JSON after an `order_created` or `order_amended` event. The rest of the
/// limit is reserved for payments, shipments and returns.
const MAX_ORDERED_BYTES: usize = 200_000;

/// The maximum bytes of JSON for each kind of entry, if every text has its maximum length and consists of 4-byte
/// characters. A test measures these sizes.
pub(crate) mod longest {
    /// A line with its counters.
    pub(crate) const LINE: usize = 1_700;
    /// The entry for one order line in a shipment or a return.
    pub(crate) const PART: usize = 310;
    pub(crate) const ADJUSTMENT: usize = 1_500;
    pub(crate) const PAYMENT: usize = 1_000;
    pub(crate) const REFUND: usize = 3_200;
    /// A shipment, without its entries for order lines.
    pub(crate) const SHIPMENT: usize = 1_400;
    /// A return, without its entries for order lines.
    pub(crate) const RETURN: usize = 2_400;
    pub(crate) const HOLD: usize = 2_400;
    /// The members of an order that the data of its `order_created` event does not contain: ids, status,
    /// version and times.
    pub(crate) const HEAD: usize = 600;
    /// All members of an order outside its lists, such as metadata, notes, contact and ids.
    pub(crate) const REST: usize = 90_000;
}

/// Checks the size of the order that an event creates.
pub(super) fn creation_fits(event: &Event) -> Check {
    let Event::Created(created) = event else { return Ok(()) };
    if longest_creation(created) <= MAX_ORDERED_BYTES {
        return Ok(());
    }
    let data = serde_json::to_vec(created).map_or(usize::MAX, |json| json.len());
    bytes_fit(data.saturating_add(longest::HEAD), MAX_ORDERED_BYTES, false)
}

pub(super) fn size_fits(order: &Order, event: &Event) -> Check {
    let (what, entries, limit) = match event {
        Event::PaymentAuthorized(_) | Event::Paid(_) => ("payments", order.payments.len(), MAX_ENTRIES),
        Event::Refunded(_) => ("refunds", order.refunds.len(), MAX_ENTRIES),
        Event::Shipped(_) => ("shipments", order.shipments.len(), MAX_ENTRIES),
        Event::ReturnRequested(_) | Event::Returned(_) => ("returns", order.returns.len(), MAX_ENTRIES),
        Event::Held(_) => ("holds", order.holds.len(), MAX_HOLDS),
        _ => ("", 0, MAX_ENTRIES),
    };
    let is_open = order.units().left() > 0;
    if entries >= limit && adds_entry(order, event) {
        let is_early = matches!(event, Event::Held(_)) && is_open;
        let failure = GuardFailure::new(Guard::SizeFits, format!("the order has {entries} {what}"), is_early);
        return Err(failure.with_numbers(&[("present", entries as i64), ("limit", limit as i64)]));
    }
    let (added, limit) = match event {
        Event::Amended(amended) => (longest_amendment(amended), MAX_ORDERED_BYTES),
        // The largest entry that an event can add is a shipment or a return with all lines of the order.
        _ => (longest::PART * order.items.len() + longest::REFUND, MAX_BYTES),
    };
    if longest_order(order) + added <= limit {
        return Ok(());
    }
    bytes_fit(order.size_after(event), limit, is_open)
}

fn bytes_fit(size: usize, limit: usize, is_early: bool) -> Check {
    if size <= limit {
        return Ok(());
    }
    let failure = GuardFailure::new(Guard::SizeFits, format!("the order would have {size} bytes"), is_early);
    Err(failure.with_numbers(&[("bytes", size as i64), ("limit", limit as i64)]))
}

/// The size of the largest possible JSON of an order with as many entries as `order`.
fn longest_order(order: &Order) -> usize {
    let shipped: usize = order.shipments.iter().map(|shipment| shipment.items.len()).sum();
    let returned: usize = order.returns.iter().map(|it| it.items.len()).sum();
    longest::REST
        + longest::LINE * order.items.len()
        + longest::PART * (shipped + returned)
        + longest::ADJUSTMENT * order.adjustments.list().len()
        + longest::PAYMENT * order.payments.len()
        + longest::REFUND * order.refunds.len()
        + longest::SHIPMENT * order.shipments.len()
        + longest::RETURN * order.returns.len()
        + longest::HOLD * order.holds.len()
}

fn longest_amendment(amended: &Amended) -> usize {
    let lines = amended.items.as_ref().map_or(0, |items| items.lines().len());
    let adjustments = amended.adjustments.as_ref().map_or(0, |adjustments| adjustments.list().len());
    longest::LINE * lines + longest::ADJUSTMENT * adjustments
}

fn longest_creation(created: &Created) -> usize {
    let (lines, adjustments) = (created.items.lines().len(), created.adjustments.list().len());
    longest::REST + longest::LINE * lines + longest::ADJUSTMENT * adjustments
}

/// Whether the order has room for at least one event of the given type. An event that only changes an
/// existing entry needs no room.
pub(super) fn has_room(order: &Order, event: EventType) -> bool {
    let is_requested = |it: &Return| it.state == ReturnState::Requested;
    match event {
        EventType::PaymentAuthorized => order.payments.len() < MAX_ENTRIES,
        EventType::Paid => {
            order.payments.len() < MAX_ENTRIES || order.payments.iter().any(|it| it.capturable() > 0)
        }
        EventType::Refunded => order.refunds.len() < MAX_ENTRIES,
        EventType::Shipped => order.shipments.len() < MAX_ENTRIES,
        EventType::ReturnRequested => order.returns.len() < MAX_ENTRIES,
        EventType::Returned => order.returns.len() < MAX_ENTRIES || order.returns.iter().any(is_requested),
        EventType::Held => order.holds.len() < MAX_HOLDS,
        _ => true,
    }
}

/// Whether the event adds an entry to a list of the order, rather than changing an existing payment or return.
fn adds_entry(order: &Order, event: &Event) -> bool {
    match event {
        Event::Paid(paid) => known_payment(order, paid.payment_id.as_ref()).is_none(),
        Event::Returned(returned) => known_return(order, returned.return_id.as_ref()).is_none(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Value, json};

    use crate::adjustments::Adjustment;
    use crate::order_line::OrderLine;
    use crate::parcels::{Hold, Return, Shipment};
    use crate::payments::{Payment, Refund};

    /// A text of `chars` characters, each of which takes 4 bytes, the maximum in UTF-8.
    fn longest(chars: usize) -> String {
        "🫖".repeat(chars)
    }

    /// Checks that `value`, the longest value of its type, fits into `limit` bytes of JSON with a comma. The limit
    /// must be less than twice the size.
    fn check<T: serde::de::DeserializeOwned + Serialize>(value: Value, limit: usize) {
        let value: T = serde_json::from_value(value).unwrap();
        let size = serde_json::to_vec(&value).unwrap().len() + 1;
        assert!(size <= limit && limit < 2 * size, "the size is {size} bytes, and {limit} are allowed");
    }

    #[test]
    fn no_entry_is_longer_than_assumed() {
        let (amount, id, reason) = (crate::Amount::MAX, longest(128), longest(500));
        let n = 1_000_000;
        check::<OrderLine>(
            json!({
                "line_id": longest(64), "sku": longest(64), "name": longest(200), "quantity": n, "unit_price": amount,
                "cancelled": n, "shipped": n, "delivered": n, "returned": n
            }),
            super::longest::LINE,
        );
        check::<crate::LineQuantity>(json!({"line_id": longest(64), "quantity": n}), super::longest::PART);
        check::<Adjustment>(
            json!({
                "adjustment_id": longest(64), "kind": "discount", "label": longest(200), "amount": -amount,
                "line_id": longest(64)
            }),
            super::longest::ADJUSTMENT,
        );
        check::<Payment>(
            json!({
                "payment_id": id, "method": longest(64), "authorized": amount, "voided": true, "captured": amount,
                "refunded": amount
            }),
            super::longest::PAYMENT,
        );
        check::<Refund>(
            json!({"refund_id": id, "amount": amount, "payment_id": id, "reason": reason, "goodwill": true}),
            super::longest::REFUND,
        );
        check::<Shipment>(
            json!({
                "shipment_id": longest(64), "carrier": id, "tracking_number": id, "items": [], "state": "delivered"
            }),
            super::longest::SHIPMENT,
        );
        check::<Return>(
            json!({"return_id": longest(64), "reason": reason, "items": [], "state": "requested"}),
            super::longest::RETURN,
        );
        check::<Hold>(json!({"hold": longest(64), "reason": reason}), super::longest::HOLD);
    }

    #[test]
    fn the_other_members_are_no_longer_than_assumed() {
        let address = json!({
            "name": longest(200), "company": longest(200), "line1": longest(200), "line2": longest(200),
            "city": longest(100), "postal_code": longest(20), "region": longest(100), "country": "DE"
        });
        let entry = |n: usize| (format!("{}{n:02}", longest(38)), json!("\u{1}".repeat(500)));
        let head = json!({
            "order_id": "o".repeat(64), "status": "partially_shipped", "version": u64::MAX, "currency": "EUR",
            "total": crate::Amount::MAX, "items": [], "ship_unpaid": true, "confirmed": true,
            "settled_by_payment": true, "settled_by_refund": true, "created_at": "2026-11-23T10:00:00.123456Z",
            "updated_at": "2026-11-23T10:00:00.123456Z", "recorded_at": "2026-11-23T10:00:00.123456Z",
            "customer_id": ""
        });
        let order = json!({
            "customer_id": longest(128), "metadata": (0..20).map(entry).collect::<serde_json::Map<_, _>>(),
            "reference": longest(64), "notes": longest(2000), "expires_at": "2026-11-23T10:00:00.123456Z",
            "contact": {
                "name": longest(200), "email": "a".repeat(254), "phone": longest(40), "shipping_address": address,
                "billing_address": address
            },
        });
        let (head, order) = (head.to_string().len(), order.to_string().len());
        assert!(head + order <= super::longest::REST, "{head} + {order}");
        assert!(head <= super::longest::HEAD, "{head}");
    }
}
