//! `POST /v1/orders` and `POST /v1/orders/{order_id}/events`: turns a body into an event, publishes it and answers with
//! a receipt or the outcome. `batch` calls the functions of this module for each of its orders.
//!
//! These handlers do not check whether an event is legal: an accepted event is a proposal, and the consumer decides.

use axum::extract::State;
use axum::response::Response;
use domain::event::Created;
use domain::{Envelope, Event, OrderId, Receipt};

use crate::auth::{Principal, Scope};
use crate::describe::{OrderOrReceipt, ProposedEvent};
use crate::http::{ChangeAttempt, UncertainEvent, begin_change};
use crate::input::{IdempotencyKey, IfMatch, JsonBody, OrderPath, Prefer};
use crate::orders::answer;
use crate::orders::idempotency::{CreationPlace, EventIdentity};
use crate::orders::publish::publish_events;
use crate::orders::write_context::{AcceptedEvent, WriteContext};
use crate::ports::{Acceptance, OrderSnapshot};
use crate::problem::{Problem, ProblemKind};
use crate::state::{AppState, SharedState};

/// Creates an order
///
/// Proposes an `order_created` event, and returns its receipt with `202` as soon as the event is durable. The order can
/// be read once the event is recorded. Follow the receipt's `self` link to see whether the event is recorded. With
/// `Prefer: wait=N`, the request waits up to N seconds until the event is recorded, and returns the order with `201`.
///
/// Send an `Idempotency-Key`, so that a retry cannot create a second order.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "createOrder",
    tag = "orders",
    params(IdempotencyKey, Prefer),
    request_body(
        content = crate::orders::body::CreateOrder,
        description = "The order to create; at most 256 KiB",
        examples(
            ("minimal" = (summary = "The required members", value = json!({
                "customer_id": "customer-7", "currency": "EUR",
                "items": [{ "sku": "MUG-BLUE", "quantity": 2, "unit_price": 1250 }],
            }))),
        ),
    ),
    responses(
        (status = 201, description = "The order was recorded within the time to wait", body = OrderOrReceipt),
        (status = 202, description = "The event was accepted: it is durable", body = OrderOrReceipt),
        (status = 400, description = "The body is not valid JSON, or a header is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 413, description = "The body, or the event made from it, is too large"),
        (status = 422, description = "The body has errors (up to 100 are listed), or the key was used for a different request"),
        (status = 503, description = "The queue is full or cannot be reached, or the request timed out. Nothing was \
            accepted, unless the type is `outcome-unknown`: then read `links.receipt`"),
    )
)]
pub(crate) async fn create_order(
    State(state): State<SharedState>,
    context: WriteContext,
    JsonBody(created, grant): JsonBody<Created>,
) -> Result<Response, Problem> {
    let event = creation(&context.principal, created)?;
    let identity = context.key.of_creation(&state, &context.principal, &event, CreationPlace::Single);
    let replayed = is_replay(&state, &identity).await?;
    let mut accepted = AcceptedEvent { receipt: receipt(&identity, &event), replayed };
    if !replayed {
        let envelope = envelope(&state, &context, identity, event, None);
        accepted.replayed = publish(&state, &context, envelope, &accepted.receipt).await?;
    }
    // The body is no longer needed, so its memory is returned to the budget before the wait for the outcome.
    drop(grant);
    answer::to_creation(&state, &context, accepted).await
}

/// The event that creates the order. Fails unless the principal may create orders of the customer.
pub(crate) fn creation(principal: &Principal, created: Created) -> Result<Event, Problem> {
    if principal.sees(&created.customer_id) {
        return Ok(Event::Created(created));
    }
    Err(Problem::new(ProblemKind::Forbidden, "The token is limited to another customer."))
}

/// Proposes an event
///
/// Proposes an event for an order, and returns its receipt with `202` as soon as the event is durable. The rules then
/// decide whether the event is recorded or rejected, and the receipt shows the outcome. With `Prefer: wait=N`, the
/// request waits up to N seconds for the outcome: it returns the order with `200` if the event was recorded, or `409`
/// if the event is not legal.
///
/// The order's `allowed_events` are the events that are legal now. Send an `Idempotency-Key`, so that a retry has no second
/// effect, and `If-Match` if the event depends on the version that you read.
#[utoipa::path(
    post,
    path = "/v1/orders/{order_id}/events",
    operation_id = "proposeEvent",
    tag = "orders",
    params(OrderPath, IdempotencyKey, IfMatch, Prefer),
    request_body(
        content = ProposedEvent,
        description = "The event to propose; at most 256 KiB",
    ),
    responses(
        (status = 200, description = "The event was recorded within the time to wait", body = OrderOrReceipt),
        (status = 202, description = "The event was accepted: it is durable", body = OrderOrReceipt),
        (status = 400, description = "The body is not valid JSON, or the order id or a header is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The order does not exist. Returned only within the time to wait, or if the token is \
            limited to one customer"),
        (status = 409, description = "The event was rejected within the time to wait: it is not legal, or was discarded"),
        (status = 412, description = "The order is not at a version that `If-Match` names"),
        (status = 413, description = "The body, or the event made from it, is too large"),
        (status = 422, description = "The body has errors (up to 100 are listed), or the key was used for a different request"),
        (status = 503, description = "The queue is full or cannot be reached, or the request timed out. Nothing was \
            accepted, unless the type is `outcome-unknown`: then read `links.receipt`"),
    )
)]
pub(crate) async fn propose_event(
    State(state): State<SharedState>,
    context: WriteContext,
    if_match: IfMatch,
    OrderPath(order_id): OrderPath,
    JsonBody(event, grant): JsonBody<Event>,
) -> Result<Response, Problem> {
    let snapshot = current_order(&state, &context.principal, &order_id, &if_match).await?;
    let identity = context.key.of_event(&state, &context.principal, order_id, &event, &if_match);
    let replayed = is_replay(&state, &identity).await?;
    let mut accepted = AcceptedEvent { receipt: receipt(&identity, &event), replayed };
    if !replayed {
        let expected_version = if_match.check(snapshot.as_ref());
        let expected_version =
            expected_version.map_err(|problem| match context.principal.may(Scope::Read) {
                true => problem,
                false => Problem::new(
                    ProblemKind::PreconditionFailed,
                    "The order is not at a version that If-Match names.",
                ),
            })?;
        let envelope = envelope(&state, &context, identity, event, expected_version);
        accepted.replayed = publish(&state, &context, envelope, &accepted.receipt).await?;
    }
    drop(grant);
    answer::to_event(&state, &context, accepted).await
}

/// The current order. The order is read only if the request has a condition or the principal is limited to one
/// customer. Otherwise, returns `None`.
async fn current_order(
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

pub(crate) fn receipt(identity: &EventIdentity, event: &Event) -> Receipt {
    Receipt {
        order_id: identity.order_id.clone(),
        event_id: identity.event_id,
        event_type: event.event_type(),
        outcome: None,
        request_hash: identity.request_hash.clone(),
        message: None,
    }
}

/// Whether the request was already accepted under its idempotency key. Fails if a different request was accepted under
/// this key.
pub(crate) async fn is_replay(state: &AppState, identity: &EventIdentity) -> Result<bool, Problem> {
    if identity.request_hash.is_none() {
        return Ok(false);
    }
    match state.reader.earlier_receipt(&identity.order_id, identity.event_id).await? {
        None => Ok(false),
        Some(known) if known.request_hash == identity.request_hash => Ok(true),
        Some(_) => Err(Problem::key_reused()),
    }
}

/// The event with its metadata, as it is put on the queue.
pub(crate) fn envelope(
    state: &AppState,
    context: &WriteContext,
    identity: EventIdentity,
    event: Event,
    expected_version: Option<u64>,
) -> Envelope {
    let EventIdentity { order_id, event_id, request_hash } = identity;
    let subject = &context.principal.subject;
    Envelope {
        event_id,
        order_id,
        timestamp: (state.clock)(),
        correlation_id: context.correlation_id.clone(),
        expected_version,
        request_hash,
        actor: (!subject.is_empty()).then(|| subject.clone()),
        event,
    }
}

/// Publishes the event that `receipt` describes. Returns whether the request was accepted before.
async fn publish(
    state: &AppState,
    context: &WriteContext,
    envelope: Envelope,
    receipt: &Receipt,
) -> Result<bool, Problem> {
    begin_change(ChangeAttempt::Event(UncertainEvent::of(receipt)));
    let uncertain = |cause| UncertainEvent::of(receipt).problem(&context.links, cause);
    let published = publish_events(state.publisher.as_ref(), std::slice::from_ref(&envelope)).await.pop();
    match published {
        Some(Ok(Acceptance::New)) => Ok(false),
        Some(Ok(Acceptance::Repeated)) => {
            let repeated = is_concurrent_replay(state, receipt).await.map_err(uncertain)?;
            repeated.then_some(true).ok_or_else(Problem::key_reused)
        }
        Some(Err(error)) => Err(Problem::unpublished(error, uncertain)),
        None => Err(uncertain(anyhow::anyhow!("the publisher returned no result for an event"))),
    }
}

/// Whether the event that was accepted concurrently under the id of `receipt` comes from the request of `receipt`.
pub(crate) async fn is_concurrent_replay(state: &AppState, receipt: &Receipt) -> anyhow::Result<bool> {
    let known = state.reader.receipt(&receipt.order_id, receipt.event_id).await?;
    Ok(known.is_none_or(|known| known.request_hash == receipt.request_hash))
}
