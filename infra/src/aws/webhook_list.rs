//! Lists the deliveries of a subscription on AWS: first the failed deliveries that hold back their orders, then the
//! skipped deliveries. The store of subscriptions calls this module.
//!
//! Each page begins after a position in the list. A position is a text: `h:` with an order, or `s:` with the event of a
//! skipped delivery. A page examines a limited number of rows, so a page of a filtered list may be empty although it is
//! not the last.

use api::ports::webhooks::{DeliveryFilter, DeliveryList, DeliveryState};
use consumer::webhooks::queued::HeldPage;
use domain::{OrderId, Subscription};

use crate::deliveries;
use crate::outbound::OutboundTable;

/// The maximum numbers of rows of held orders that a page examines and that a call reads.
const MAX_EXAMINED: usize = 2000;
const CALL: usize = 250;

/// The page that begins after the position `after`.
pub(super) async fn page(
    table: &OutboundTable,
    of: &Subscription,
    filter: &DeliveryFilter,
    after: Option<&str>,
    limit: usize,
) -> anyhow::Result<DeliveryList> {
    let mut list = DeliveryList::default();
    let (kind, place) = after.unwrap_or("h:").split_once(':').unwrap_or(("h", ""));
    let (is_in_held, place) = (kind == "h", place.to_owned());
    if is_in_held && wants(filter, &[DeliveryState::Retrying, DeliveryState::GaveUp]) {
        let goes_on = match &filter.order_id {
            Some(order_id) => held_order(table, of, filter, order_id, &mut list).await?,
            None => held_orders(table, of, filter, place.clone(), limit, &mut list).await?,
        };
        if !goes_on {
            return Ok(list);
        }
    }
    let place = if is_in_held { "" } else { &place };
    let room = limit.saturating_sub(list.deliveries.len());
    if !wants(filter, &[DeliveryState::Skipped]) {
        return Ok(list);
    }
    if room == 0 {
        list.next = Some("s:".to_owned());
        return Ok(list);
    }
    let skipped = table.skipped_after(of, place, room).await?;
    let last = skipped.last().map(|skipped| skipped.event.event_id);
    list.next = last.filter(|_| skipped.len() == room).map(|last| format!("s:{last}"));
    let deliveries = skipped.into_iter().map(deliveries::of_skipped);
    list.deliveries.extend(deliveries.filter(|delivery| filter.passes(delivery)));
    Ok(list)
}

fn wants(filter: &DeliveryFilter, states: &[DeliveryState]) -> bool {
    filter.state.is_none_or(|state| states.contains(&state))
}

/// Adds the delivery of one order, which needs no search.
async fn held_order(
    table: &OutboundTable,
    of: &Subscription,
    filter: &DeliveryFilter,
    order_id: &OrderId,
    list: &mut DeliveryList,
) -> anyhow::Result<bool> {
    let row = table.held(of, order_id).await?;
    let delivery = row.and_then(|row| deliveries::of_held(row.order));
    list.deliveries.extend(delivery.filter(|delivery| filter.passes(delivery)));
    Ok(true)
}

/// Adds the deliveries of the held orders after `after`. Returns whether the page has room for more.
async fn held_orders(
    table: &OutboundTable,
    of: &Subscription,
    filter: &DeliveryFilter,
    mut place: String,
    limit: usize,
    list: &mut DeliveryList,
) -> anyhow::Result<bool> {
    for _ in 0..MAX_EXAMINED / CALL {
        let start = if place.is_empty() { None } else { Some(OrderId::parse(&place)?) };
        let HeldPage { rows, next } = table.held_after(of, start.as_ref(), CALL).await?;
        for row in rows {
            if list.deliveries.len() >= limit {
                list.next = Some(format!("h:{place}"));
                return Ok(false);
            }
            row.order.order_id.as_str().clone_into(&mut place);
            let held = deliveries::of_held(row.order);
            list.deliveries.extend(held.filter(|delivery| filter.passes(delivery)));
        }
        match next {
            Some(next) => next.as_str().clone_into(&mut place),
            None => return Ok(true),
        }
    }
    list.next = Some(format!("h:{place}"));
    Ok(false)
}
