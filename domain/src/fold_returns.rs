//! Applies returns to an order. [`crate::fold`] calls this module.

use crate::event::{ReturnRequested, Returned};
use crate::lines::{LineQuantities, LineQuantity};
use crate::order::Order;
use crate::order_line::{OrderLine, line_quantities, units};
use crate::parcels::{Return, ReturnState, free_number};
use crate::value::Text;

/// The return with the id `return_id`. `None` if no return has the id, or if no id is given.
pub(crate) fn known_return<'a>(order: &'a Order, return_id: Option<&Text<64>>) -> Option<&'a Return> {
    let id = return_id?;
    order.returns.iter().find(|it| it.return_id == *id)
}

/// The units that come back with a return: the units in the event, or otherwise the units of the requested
/// return. `None` means all units that are delivered and not returned.
pub(crate) fn returned_items<'a>(order: &'a Order, returned: &'a Returned) -> Option<&'a [LineQuantity]> {
    let requested = || known_return(order, returned.return_id.as_ref()).map(|it| it.items.as_slice());
    returned.items.as_ref().map(LineQuantities::lines).or_else(requested)
}

pub(crate) fn request_return(order: &mut Order, requested: &ReturnRequested) {
    let given = requested.items.as_ref().map(LineQuantities::lines);
    let units = units(&order.items, given, OrderLine::returnable).unwrap_or_default();
    order.returns.push(Return {
        return_id: requested.return_id.clone().unwrap_or_else(|| free_return_number(order)),
        reason: requested.reason.clone(),
        items: line_quantities(&order.items, &units),
        state: ReturnState::Requested,
    });
}

pub(crate) fn take_back(order: &mut Order, returned: &Returned) {
    let given = returned_items(order, returned);
    let units = units(&order.items, given, OrderLine::returnable).unwrap_or_default();
    let items = line_quantities(&order.items, &units);
    units.into_iter().for_each(|(index, count)| order.items[index].returned += count);
    let known = known_return(order, returned.return_id.as_ref()).map(|it| it.return_id.clone());
    let return_id = known.clone().or_else(|| returned.return_id.clone());
    let new = Return {
        return_id: return_id.unwrap_or_else(|| free_return_number(order)),
        reason: returned.reason.clone(),
        items,
        state: ReturnState::Received,
    };
    match order.returns.iter_mut().find(|it| Some(&it.return_id) == known.as_ref()) {
        Some(requested) => {
            let reason = new.reason.clone().or_else(|| requested.reason.clone());
            *requested = Return { reason, ..new };
        }
        None => order.returns.push(new),
    }
}

fn free_return_number(order: &Order) -> Text<64> {
    free_number(order.returns.len(), |id| order.returns.iter().any(|it| it.return_id == *id))
}
