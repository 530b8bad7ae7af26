//! Decides which orders and events a principal can see. Endpoints below one order call [`visible_order`], and `history` calls
//! [`is_visible`] before it shows a receipt.
//!
//! A principal that is limited to one customer sees the events of that customer's orders. While no event of an order is
//! recorded, the principal sees only the event that creates the order for that customer. All other principals see every
//! event.

use domain::{CustomerId, EventId, OrderId};
use serde::Deserialize;

use crate::auth::Principal;
use crate::ports::OrderSnapshot;
use crate::problem::Problem;
use crate::state::AppState;

/// How many dead letters of an order are searched for the event that creates the order.
const MAX_LETTERS: usize = 100;

/// The order, or the problem that it is unknown. An order of a customer whom the principal cannot see is unknown too.
pub(crate) async fn visible_order(
    state: &AppState,
    principal: &Principal,
    order_id: &OrderId,
) -> Result<OrderSnapshot, Problem> {
    let order = state.reader.order(order_id).await?;
    let visible = order.filter(|snapshot| principal.sees(&snapshot.order.customer_id));
    visible.ok_or_else(|| Problem::unknown_order(order_id))
}

/// Whether the principal can see the event. `None` if the customer of the event is unknown.
pub(crate) async fn is_visible(
    state: &AppState,
    principal: &Principal,
    order_id: &OrderId,
    event_id: EventId,
) -> anyhow::Result<Option<bool>> {
    if principal.customer_id.is_none() {
        return Ok(Some(true));
    }
    let customer = match state.reader.order(order_id).await? {
        Some(snapshot) => Some(snapshot.order.customer_id.clone()),
        None => match state.reader.creates_for(order_id, event_id).await? {
            Some(customer) => Some(customer),
            None => customer_of_parked(state, order_id, event_id).await?,
        },
    };
    Ok(customer.map(|customer| principal.sees(&customer)))
}

/// The customer whose order a parked event would create. `None` if the event is not in the dead letters or creates no
/// order.
async fn customer_of_parked(
    state: &AppState,
    order_id: &OrderId,
    event_id: EventId,
) -> anyhow::Result<Option<CustomerId>> {
    let Some(operations) = &state.operations else { return Ok(None) };
    // A parked `order_created` event is among the first dead letters of its order's sequence.
    let parked = operations.letters.sequence(order_id, MAX_LETTERS).await?.letters;
    if let Some(letter) = parked.iter().find(|letter| letter.event_id == Some(event_id)) {
        return Ok(created_for(&letter.body.0));
    }
    // A discarded dead letter is no longer in the sequence, but the event's receipt contains the id of the dead letter.
    let receipt = state.reader.receipt(order_id, event_id).await?;
    let Some(message) = receipt.and_then(|receipt| receipt.message) else { return Ok(None) };
    let letter = operations.letters.letter(&message).await?;
    let letter = letter.filter(|letter| letter.event_id == Some(event_id));
    Ok(letter.and_then(|letter| created_for(&letter.body.0)))
}

/// The customer whose order the message creates. `None` if the message creates no order.
pub fn created_for(message: &[u8]) -> Option<CustomerId> {
    #[derive(Deserialize)]
    struct QueuedMessage<'a> {
        #[serde(rename = "type", borrow)]
        event_type: std::borrow::Cow<'a, str>,
        data: QueuedData,
    }
    #[derive(Deserialize)]
    struct QueuedData {
        customer_id: String,
    }
    let message: QueuedMessage<'_> = serde_json::from_slice(message).ok()?;
    let creates = message.event_type == domain::EventType::Created.as_str();
    CustomerId::parse(&message.data.customer_id).ok().filter(|_| creates)
}
