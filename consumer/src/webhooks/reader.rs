//! Reads pages of the feed and the events of orders for the worker, and applies the subscription's filter.

use std::sync::Arc;

use anyhow::Context;
use domain::subscription::Selection;
use domain::{EventType, OrderId, Subscription};

use super::deliveries::{Deliveries, Ticket};
use super::payload::EventPayload;
use super::ports::EventSource;

/// What the worker must do for a ticket.
pub(crate) enum Found {
    /// An event to deliver.
    Event(Arc<EventPayload>),
    /// An event that the subscription does not select.
    NotSelected,
    /// The log of the order has no event with the ticket's version. The number is the end of the feed, as it
    /// was before the log was read.
    EndOfLog(u64),
}

/// Reads a page of the feed. Returns whether any event was examined.
pub(crate) async fn read_page(
    source: &dyn EventSource,
    subscription: &Subscription,
    deliveries: &mut Deliveries,
    page: usize,
) -> anyhow::Result<bool> {
    let page = source.read(subscription, deliveries.read_to(), page).await?;
    let mut selected = Vec::with_capacity(page.entries.len());
    for entry in page.entries {
        let is_selected = selects(source, subscription, &entry.order_id, entry.event_type).await?;
        selected.push((entry, is_selected));
    }
    let has_read = page.next > deliveries.read_to();
    deliveries.read(selected, page.next);
    Ok(has_read)
}

/// Reads the event of a ticket.
pub(crate) async fn find(
    source: &dyn EventSource,
    subscription: &Subscription,
    ticket: &Ticket,
) -> anyhow::Result<Found> {
    // Only a held order has a use for the end of the feed, because its events are read up to the end of its
    // log.
    let end = if ticket.is_held() { source.end() } else { 0 };
    let Some(payload) = source.event(&ticket.order_id, ticket.version).await? else {
        anyhow::ensure!(
            ticket.is_held(),
            "the feed contains version {} of order {}, but the log of the order does not",
            ticket.version,
            ticket.order_id
        );
        return Ok(Found::EndOfLog(end));
    };
    let event_type = payload.event_type.context("a recorded event has no type")?;
    if selects(source, subscription, &ticket.order_id, event_type).await? {
        Ok(Found::Event(payload))
    } else {
        Ok(Found::NotSelected)
    }
}

async fn selects(
    source: &dyn EventSource,
    subscription: &Subscription,
    order_id: &OrderId,
    event_type: EventType,
) -> anyhow::Result<bool> {
    match subscription.selection(Some(event_type)) {
        Selection::All => Ok(true),
        Selection::OfCustomer(customer_id) => source.is_of_customer(order_id, customer_id).await,
        Selection::None => Ok(false),
    }
}
