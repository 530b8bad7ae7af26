//! Guards about goods: the units of lines, shipments and returns. The parent module calls these functions.

use super::{Check, Guard, GuardFailure};
use crate::event::Amended;
use crate::event_kinds::Event;
use crate::fold_returns::{known_return, returned_items};
use crate::lines::{LineId, LineQuantities, LineQuantity};
use crate::money::Quantity;
use crate::order::Order;
use crate::order_line::{LineFinder, OrderLine, line_ids};
use crate::parcels::{ReturnState, Shipment, ShipmentState};
use crate::value::Text;

pub(super) fn lines_kept(order: &Order, event: &Event) -> Check {
    let Event::Amended(amended) = event else { return Ok(()) };
    let Some(items) = &amended.items else { return Ok(()) };
    for (id, line) in line_ids(&order.items).zip(&order.items) {
        let used = line.cancelled + line.shipped;
        if used == 0 {
            continue;
        }
        let asked = items.line(&id).map_or(0, |line| line.quantity.get());
        if asked < used {
            let OrderLine { cancelled, shipped, .. } = line;
            let detail = format!("line {id:?}: {cancelled} cancelled, {shipped} shipped; {asked} requested");
            let failure = GuardFailure::never(Guard::LinesKept, detail).of_line(id);
            let numbers = [("cancelled", *cancelled), ("shipped", *shipped), ("asked", asked)];
            return Err(failure.with_numbers(&numbers));
        }
    }
    Ok(())
}

pub(super) fn adjusted_lines(order: &Order, event: &Event) -> Check {
    let Event::Amended(Amended { items, adjustments: Some(adjustments), .. }) = event else { return Ok(()) };
    let unknown = match items {
        Some(items) => adjustments.unknown_line(|id| items.line(id).is_some()),
        None => adjustments.unknown_line(|id| LineFinder::new(&order.items).find(id).is_some()),
    };
    let Some(id) = unknown.map(LineId::as_str) else { return Ok(()) };
    let detail = format!("the order has no line {id:?}");
    Err(GuardFailure::new(Guard::AdjustedLines, detail, items.is_none()).of_line(id))
}

pub(super) fn units_left(order: &Order, event: &Event) -> Check {
    let given = match event {
        Event::Shipped(shipped) => shipped.items.as_ref(),
        Event::Cancelled(cancelled) => cancelled.items.as_ref(),
        _ => return Ok(()),
    };
    let given = given.map(LineQuantities::lines);
    let left = order.units().left();
    let is_open = left > 0;
    let Some(given) = given else {
        return match is_open {
            true => Ok(()),
            false => Err(GuardFailure::never(Guard::UnitsLeft, "nothing is left to ship")),
        };
    };
    each_line(order, given, Guard::UnitsLeft, is_open, |line, id, asked| {
        let left = line.left();
        if asked <= left {
            return Ok(());
        }
        let OrderLine { cancelled, shipped, .. } = line;
        let ordered = line.quantity.get();
        let detail = format!(
            "line {id:?}: {ordered} ordered, {cancelled} cancelled, {shipped} shipped; {asked} requested, {left} left"
        );
        let is_early = is_open && cancelled + shipped + asked <= Quantity::MAX;
        let failure = GuardFailure::new(Guard::UnitsLeft, detail, is_early).of_line(id);
        Err(failure.with_numbers(&[
            ("ordered", ordered),
            ("cancelled", *cancelled),
            ("shipped", *shipped),
            ("asked", asked),
            ("left", left),
        ]))
    })
}

pub(super) fn units_delivered(order: &Order, event: &Event) -> Check {
    let given = match event {
        Event::ReturnRequested(requested) => requested.items.as_ref().map(LineQuantities::lines),
        Event::Returned(returned) => returned_items(order, returned),
        _ => return Ok(()),
    };
    let is_open = order.units().left() > 0;
    let Some(given) = given else {
        if order.items.iter().any(|line| line.returnable() > 0) {
            return Ok(());
        }
        let is_early = is_open || order.items.iter().any(|line| line.in_transit() > 0);
        return Err(GuardFailure::new(
            Guard::UnitsDelivered,
            "no delivered unit is left to return",
            is_early,
        ));
    };
    each_line(order, given, Guard::UnitsDelivered, is_open, |line, id, asked| {
        let left = line.returnable();
        if asked <= left {
            return Ok(());
        }
        let OrderLine { cancelled, delivered, returned, .. } = line;
        let detail = format!(
            "line {id:?}: {delivered} delivered, {returned} returned; {asked} requested, {left} left"
        );
        let can_be_shipped = is_open && cancelled + returned + asked <= Quantity::MAX;
        let is_early = can_be_shipped || line.shipped - line.returned >= asked;
        let failure = GuardFailure::new(Guard::UnitsDelivered, detail, is_early).of_line(id);
        Err(failure.with_numbers(&[
            ("delivered", *delivered),
            ("returned", *returned),
            ("asked", asked),
            ("left", left),
        ]))
    })
}

/// Checks each of the given lines, and fails for a line that the order does not have.
fn each_line(
    order: &Order,
    given: &[LineQuantity],
    guard: Guard,
    is_open: bool,
    check: impl Fn(&OrderLine, &str, u32) -> Check,
) -> Check {
    let mut finder = LineFinder::new(&order.items);
    super::all(given.iter().map(|line| {
        let id = line.line_id.as_str();
        match finder.find(id) {
            Some(index) => check(&order.items[index], id, line.quantity.get()),
            None => {
                Err(GuardFailure::new(guard, format!("the order has no line {id:?}"), is_open).of_line(id))
            }
        }
    }))
}

pub(super) fn shipment_new(order: &Order, event: &Event) -> Check {
    let Event::Shipped(shipped) = event else { return Ok(()) };
    let known = |id: &Text<64>| order.shipments.iter().any(|shipment| shipment.shipment_id == *id);
    match shipped.shipment_id.as_ref().filter(|id| known(id)) {
        Some(id) => {
            let detail = format!("the order already has the shipment {:?}", id.as_str());
            Err(GuardFailure::never(Guard::ShipmentNew, detail))
        }
        None => Ok(()),
    }
}

/// The shipments that are not delivered yet.
pub(super) fn undelivered(order: &Order) -> impl Iterator<Item = &Shipment> {
    order.shipments.iter().filter(|shipment| shipment.state == ShipmentState::Shipped)
}

pub(super) fn shipment_undelivered(order: &Order, event: &Event) -> Check {
    let Event::Delivered(delivered) = event else { return Ok(()) };
    let is_open = order.units().left() > 0;
    let fail =
        |detail: String, is_early| Err(GuardFailure::new(Guard::ShipmentUndelivered, detail, is_early));
    let Some(id) = &delivered.shipment_id else {
        return match undelivered(order).next() {
            Some(_) => Ok(()),
            None => fail("every shipment of the order is already delivered".to_owned(), is_open),
        };
    };
    match order.shipments.iter().find(|shipment| shipment.shipment_id == *id) {
        Some(shipment) if shipment.state == ShipmentState::Shipped => Ok(()),
        Some(_) => fail(format!("the shipment {:?} is already delivered", id.as_str()), false),
        None => fail(format!("the order has no shipment {:?}", id.as_str()), is_open),
    }
}

pub(super) fn return_new(order: &Order, event: &Event) -> Check {
    let Event::ReturnRequested(requested) = event else { return Ok(()) };
    match known_return(order, requested.return_id.as_ref()) {
        Some(known) => {
            let detail = format!("the order already has the return {:?}", known.return_id.as_str());
            Err(GuardFailure::never(Guard::ReturnNew, detail))
        }
        None => Ok(()),
    }
}

pub(super) fn return_open(order: &Order, event: &Event) -> Check {
    let Event::Returned(returned) = event else { return Ok(()) };
    match known_return(order, returned.return_id.as_ref()) {
        Some(known) if known.state == ReturnState::Received => {
            let detail = format!("the goods of the return {:?} have arrived", known.return_id.as_str());
            Err(GuardFailure::never(Guard::ReturnOpen, detail))
        }
        _ => Ok(()),
    }
}
