//! The write side: `POST` makes an event of a body, publishes it and answers with a receipt.
//!
//! Whether the event is legal is not looked at here: what is accepted is a proposal, and the consumer decides.

use axum::extract::State;
use axum::response::Response;
use domain::event::Created;
use domain::{Envelope, Event, OrderId, Receipt};

use crate::auth::{Principal, Scope};
use crate::describe::{OrderOrReceipt, ProposedEvent};
use crate::http::{correlation, metering, Attempt, InDoubt};
use crate::input::{IfMatch, JsonBody, OrderPath, Prefer};
use crate::orders::answer;
use crate::orders::caller::{Accepted, Caller};
use crate::orders::idempotency::{IdempotencyKey, Identity, Place};
use crate::ports::{OrderSnapshot, Published};
use crate::problem::{Kind, Problem};
use crate::state::{AppState, Shared};

/// Creates an order
///
/// Publishes `order_created`. The answer is a receipt: the order can be read once the event is recorded, which the
/// receipt's own address tells.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "createOrder",
    tag = "orders",
    params(IdempotencyKey, Prefer),
    request_body(
        content = crate::orders::dto::CreateOrder,
        description = "The order; at most 256 KiB",
        examples(
            ("minimal" = (summary = "What must be there", value = json!({
                "customer_id": "customer-7", "currency": "EUR",
                "items": [{ "sku": "MUG-BLUE", "quantity": 2, "unit_price": 1250 }],
            }))),
            ("full" = (summary = "With a total to check and metadata", value = json!({
                "customer_id": "customer-7", "currency": "EUR", "total": 3300,
                "items": [
                    { "sku": "MUG-BLUE", "quantity": 2, "unit_price": 1250 },
                    { "sku": "TEA-ASSAM-250G", "quantity": 1, "unit_price": 800 },
                ],
                "metadata": { "channel": "web" },
            }))),
        ),
    ),
    responses(
        (status = 201, description = "Recorded, within the time to wait", body = OrderOrReceipt),
        (status = 202, description = "Accepted: the event is durable", body = OrderOrReceipt),
        (status = 400, description = "The body is not valid JSON, or a header has a fault"),
        (status = 403, description = "The token does not allow it"),
        (status = 413, description = "The body is too large, or the event made of it is larger than the queue takes"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body has errors, the first 100 of them listed; or the key was used for another request"),
        (status = 503, description = "The queue is full or cannot be reached, or the request took too long. Unless the type \
            is `outcome-unknown`, nothing was accepted; if it is, `links.receipt` leads to the receipt"),
    )
)]
pub(crate) async fn create_order(
    State(state): State<Shared>,
    caller: Caller,
    JsonBody(created, grant): JsonBody<Created>,
) -> Result<Response, Problem> {
    let event = creation(&caller.principal, created)?;
    let identity = caller.key.of_creation(&state, &caller.principal, &event, Place::Single);
    let replayed = is_repetition(&state, &identity).await?;
    let mut accepted = Accepted { receipt: receipt(&identity, &event), replayed };
    if !replayed {
        let envelope = envelope(&state, &caller, identity, event, None);
        accepted.replayed = publish(&state, &caller, envelope, &accepted.receipt).await?;
    }
    // Nothing of the body is left, and the answer may be waited for.
    drop(grant);
    answer::to_creation(&state, &caller, accepted).await
}

/// The creation of an order, if it is one that the principal may create.
pub(crate) fn creation(principal: &Principal, created: Created) -> Result<Event, Problem> {
    if principal.sees(&created.customer_id) {
        return Ok(Event::Created(created));
    }
    Err(Problem::new(Kind::Forbidden, "The token is for another customer's orders."))
}

/// Proposes an event
///
/// Publishes the event. Whether it is legal is decided when it is recorded; the receipt tells. An order's
/// `allowed_events` are those that are legal now.
#[utoipa::path(
    post,
    path = "/v1/orders/{order_id}/events",
    operation_id = "proposeEvent",
    tag = "orders",
    params(OrderPath, IdempotencyKey, IfMatch, Prefer),
    request_body(
        content = ProposedEvent,
        description = "The event; at most 256 KiB",
        examples(
            // Pages show the first by name, so these are in the order of what happens to an order.
            ("1-confirmed" = (summary = "The order is confirmed", value = json!({ "type": "order_confirmed" }))),
            ("2-paid" = (summary = "It is paid", value = json!({
                "type": "order_paid", "data": { "payment_id": "pay-81", "amount": 3300 },
            }))),
            ("3-shipped" = (summary = "It is shipped", value = json!({
                "type": "order_shipped", "data": { "carrier": "DHL", "tracking_number": "00340434161094015902" },
            }))),
            ("4-cancelled" = (summary = "It is cancelled", value = json!({
                "type": "order_cancelled", "data": { "reason": "The customer changed their mind." },
            }))),
        ),
    ),
    responses(
        (status = 200, description = "Recorded, within the time to wait", body = OrderOrReceipt),
        (status = 202, description = "Accepted: the event is durable", body = OrderOrReceipt),
        (status = 400, description = "The body is not valid JSON, the order id is not one, or a header has a fault"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "There is no such order: told within the time to wait, or if the token is for one \
            customer's orders"),
        (status = 409, description = "Not legal: told within the time to wait"),
        (status = 412, description = "The order is not at the version that If-Match names"),
        (status = 413, description = "The body is too large, or the event made of it is larger than the queue takes"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body has errors, the first 100 of them listed; or the key was used for another request"),
        (status = 503, description = "The queue is full or cannot be reached, or the request took too long. Unless the type \
            is `outcome-unknown`, nothing was accepted; if it is, `links.receipt` leads to the receipt"),
    )
)]
pub(crate) async fn propose_event(
    State(state): State<Shared>,
    caller: Caller,
    if_match: IfMatch,
    OrderPath(order_id): OrderPath,
    JsonBody(event, grant): JsonBody<Event>,
) -> Result<Response, Problem> {
    let snapshot = look(&state, &caller.principal, &order_id, &if_match).await?;
    let identity = caller.key.of_event(&state, &caller.principal, order_id, &event, &if_match);
    let replayed = is_repetition(&state, &identity).await?;
    let mut accepted = Accepted { receipt: receipt(&identity, &event), replayed };
    if !replayed {
        let expected_version = if_match.check(snapshot.as_ref());
        let expected_version =
            expected_version.map_err(|problem| match caller.principal.may(Scope::Read) {
                true => problem,
                false => {
                    Problem::new(Kind::PreconditionFailed, "The order is at no version that If-Match names.")
                }
            })?;
        let envelope = envelope(&state, &caller, identity, event, expected_version);
        accepted.replayed = publish(&state, &caller, envelope, &accepted.receipt).await?;
    }
    drop(grant);
    answer::to_event(&state, &caller, accepted).await
}

/// The order as it is, where that matters: to a condition, and to a principal for whom only some orders exist.
async fn look(
    state: &AppState,
    principal: &Principal,
    order_id: &OrderId,
    if_match: &IfMatch,
) -> Result<Option<OrderSnapshot>, Problem> {
    if *if_match == IfMatch::Absent && principal.customer_id.is_none() {
        return Ok(None);
    }
    let snapshot = state.reader.order(order_id).await?;
    let exists = snapshot.as_ref().is_some_and(|snapshot| principal.sees(&snapshot.order.customer_id));
    if principal.customer_id.is_some() && !exists {
        return Err(Problem::unknown_order(order_id));
    }
    Ok(snapshot)
}

pub(crate) fn receipt(identity: &Identity, event: &Event) -> Receipt {
    Receipt {
        order_id: identity.order_id.clone(),
        event_id: identity.event_id,
        event_type: event.event_type(),
        outcome: None,
        request_hash: identity.request_hash.clone(),
        message: None,
    }
}

/// Whether this very request was accepted before. An error if another one was, under the same key.
pub(crate) async fn is_repetition(state: &AppState, identity: &Identity) -> Result<bool, Problem> {
    if identity.request_hash.is_none() {
        return Ok(false);
    }
    match state.reader.receipt(&identity.order_id, identity.event_id).await? {
        None => Ok(false),
        Some(known) if known.request_hash == identity.request_hash => Ok(true),
        Some(_) => Err(Problem::key_reused()),
    }
}

/// The event with its metadata, as it goes on the queue.
pub(crate) fn envelope(
    state: &AppState,
    caller: &Caller,
    identity: Identity,
    event: Event,
    expected_version: Option<u64>,
) -> Envelope {
    let Identity { order_id, event_id, request_hash } = identity;
    let subject = &caller.principal.subject;
    Envelope {
        event_id,
        order_id,
        timestamp: (state.clock)(),
        correlation_id: caller.correlation_id.clone(),
        expected_version,
        request_hash,
        actor: (!subject.is_empty()).then(|| subject.clone()),
        event,
    }
}

/// Publishes the event that `receipt` is for. Returns whether this very request was accepted before.
async fn publish(
    state: &AppState,
    caller: &Caller,
    envelope: Envelope,
    receipt: &Receipt,
) -> Result<bool, Problem> {
    correlation::begin(Attempt::Event(InDoubt::of(receipt)));
    let in_doubt = |cause| InDoubt::of(receipt).problem(&caller.links, cause);
    let published = metering::publish(state.publisher.as_ref(), std::slice::from_ref(&envelope)).await.pop();
    match published {
        Some(Ok(Published::New)) => Ok(false),
        Some(Ok(Published::Repeated)) => {
            let repeated = was_repeated(state, receipt).await.map_err(in_doubt)?;
            repeated.then_some(true).ok_or_else(Problem::key_reused)
        }
        Some(Err(error)) => Err(Problem::unpublished(error, in_doubt)),
        None => Err(in_doubt(anyhow::anyhow!("the publisher gave no result for an event"))),
    }
}

/// Whether the request that was accepted under this event id, a moment ago by another of several concurrent requests, is
/// the one that `receipt` is for.
pub(crate) async fn was_repeated(state: &AppState, receipt: &Receipt) -> anyhow::Result<bool> {
    let known = state.reader.receipt(&receipt.order_id, receipt.event_id).await?;
    Ok(known.is_none_or(|known| known.request_hash == receipt.request_hash))
}
