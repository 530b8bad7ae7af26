//! Guards about the order as a whole: whether it is open, confirmed or held, and its metadata. The parent module calls
//! these functions.

use super::{Check, Guard, GuardFailure};
use crate::event_kinds::Event;
use crate::metadata::Metadata;
use crate::order::Order;

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
        return Err(GuardFailure::never(Guard::Unconfirmed, "the order is already confirmed"));
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
            let detail = format!("the order already has the hold {:?}", held.hold.as_str());
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
