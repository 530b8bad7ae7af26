//! Guards about the order as a whole: whether it is open, confirmed or held, and how large it is.

use super::{Check, Guard, GuardFailure};
use crate::event_kinds::Event;
use crate::metadata::Metadata;
use crate::order::Order;

/// The maximum number of payments, refunds, shipments and returns of an order, each.
const MAX_ENTRIES: usize = 100;
/// The maximum number of holds of an order.
const MAX_HOLDS: usize = 20;
/// The maximum size of an order's JSON in bytes. An item of DynamoDB has at most 400 KB
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)).
const MAX_BYTES: usize = 380_000;
/// An order with fewer lines and parts of parcels than this is far smaller than [`MAX_BYTES`], so its size is not computed.
const MANY_PARTS: usize = 300;

pub(super) fn open(order: &Order) -> Check {
    match order.units().left() {
        0 => Err(GuardFailure::never(Guard::Open, "nothing is left to ship")),
        _ => Ok(()),
    }
}

pub(super) fn not_cancelled(order: &Order) -> Check {
    match order.units().active() {
        0 => Err(GuardFailure::never(Guard::NotCancelled, "every unit is cancelled")),
        _ => Ok(()),
    }
}

pub(super) fn unconfirmed(order: &Order) -> Check {
    if order.confirmed {
        return Err(GuardFailure::never(Guard::Unconfirmed, "the order is confirmed already"));
    }
    match order.units().left() {
        0 => Err(GuardFailure::never(Guard::Unconfirmed, "nothing is left to ship")),
        _ => Ok(()),
    }
}

pub(super) fn confirmed(order: &Order) -> Check {
    match order.confirmed {
        true => Ok(()),
        false => Err(GuardFailure::early(Guard::Confirmed, "the order is not confirmed")),
    }
}

pub(super) fn hold_free(order: &Order, event: &Event) -> Check {
    let Event::Held(held) = event else { return Ok(()) };
    match order.holds.iter().any(|hold| hold.hold == held.hold) {
        true => {
            let detail = format!("the order has the hold {:?} already", held.hold.as_str());
            Err(GuardFailure::early(Guard::HoldFree, detail))
        }
        false => Ok(()),
    }
}

pub(super) fn hold_known(order: &Order, event: &Event) -> Check {
    let Event::Released(released) = event else { return Ok(()) };
    if order.holds.iter().any(|hold| hold.hold == released.hold) {
        return Ok(());
    }
    let detail = format!("the order has no hold {:?}", released.hold.as_str());
    Err(GuardFailure::new(Guard::HoldKnown, detail, order.units().left() > 0))
}

pub(super) fn not_held(order: &Order) -> Check {
    let Some(first) = order.holds.first() else { return Ok(()) };
    let detail = format!("the order is held: {:?}", first.hold.as_str());
    let failure = GuardFailure::early(Guard::NotHeld, detail);
    Err(failure.with_numbers(&[("holds", order.holds.len() as i64)]))
}

pub(super) fn metadata_fits(order: &Order, event: &Event) -> Check {
    let Event::Annotated(annotated) = event else { return Ok(()) };
    if annotated.metadata.apply(&order.metadata).is_ok() {
        return Ok(());
    }
    let present = order.metadata.entries().len() as i64;
    let failure = GuardFailure::early(Guard::MetadataFits, "the metadata would have more than 20 entries");
    Err(failure.with_numbers(&[("present", present), ("limit", Metadata::MAX_ENTRIES as i64)]))
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
    if entries >= limit && adds_entry(order, event) {
        let is_early = matches!(event, Event::Held(_)) && order.units().left() > 0;
        let failure = GuardFailure::new(Guard::SizeFits, format!("the order has {entries} {what}"), is_early);
        return Err(failure.with_numbers(&[("present", entries as i64), ("limit", limit as i64)]));
    }
    let shipped: usize = order.shipments.iter().map(|shipment| shipment.items.len()).sum();
    let returned: usize = order.returns.iter().map(|it| it.items.len()).sum();
    let amended = match event {
        Event::Amended(amended) => amended.items.as_ref().map_or(0, |items| items.lines().len()),
        _ => 0,
    };
    if order.items.len() + shipped + returned + amended < MANY_PARTS {
        return Ok(());
    }
    match order.size_after(event) {
        size if size > MAX_BYTES => {
            let detail = format!("the order would have {size} bytes");
            let failure = GuardFailure::never(Guard::SizeFits, detail);
            Err(failure.with_numbers(&[("bytes", size as i64), ("limit", MAX_BYTES as i64)]))
        }
        _ => Ok(()),
    }
}

/// Whether the event adds an entry to a list, rather than changing one.
fn adds_entry(order: &Order, event: &Event) -> bool {
    match event {
        Event::Paid(paid) => crate::fold_money::known_payment(order, paid.payment_id.as_ref()).is_none(),
        Event::Returned(returned) => {
            crate::fold_returns::known_return(order, returned.return_id.as_ref()).is_none()
        }
        _ => true,
    }
}
