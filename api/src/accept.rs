//! The write side: `POST` makes an event of a body, publishes it and answers with a receipt.
//!
//! Whether the event is legal is not looked at here: what is accepted is a proposal, and the consumer decides.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::event::Created;
use domain::{CorrelationId, Envelope, Event, EventId, OrderId, Receipt};

use crate::json::JsonBody;
use crate::links::Links;
use crate::openapi::ProposedEvent;
use crate::params::OrderPath;
use crate::problem::Problem;
use crate::responses::ReceiptBody;
use crate::state::AppState;

/// Creates an order
///
/// Publishes `order_created`. The answer is a receipt: the order can be read once the event is recorded, which the
/// receipt's own address tells.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "createOrder",
    tag = "orders",
    request_body(
        content = crate::dto::CreateOrder,
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
        (status = 202, description = "Accepted: the event is durably on the queue", body = ReceiptBody<'static>),
        (status = 400, description = "The body is not valid JSON"),
        (status = 413, description = "The body is too large, or the event made of it is larger than the queue takes"),
        (status = 415, description = "The body is not JSON by its content type"),
        (status = 422, description = "The body has faults; all of them are listed"),
        (status = 503, description = "The queue is full or cannot be reached, or the request took too long"),
    )
)]
pub(crate) async fn create_order(
    State(state): State<AppState>,
    Extension(correlation_id): Extension<CorrelationId>,
    links: Links,
    JsonBody(created): JsonBody<Created>,
) -> Result<Response, Problem> {
    let order_id = OrderId::from((state.new_id)());
    accept(&state, &links, order_id, correlation_id, Event::Created(created)).await
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
    params(OrderPath),
    request_body(
        content = ProposedEvent,
        description = "The event; at most 256 KiB",
        examples(
            ("confirmed" = (value = json!({ "type": "order_confirmed" }))),
            ("paid" = (value = json!({
                "type": "order_paid", "data": { "payment_id": "pay-81", "amount": 3300 },
            }))),
            ("shipped" = (value = json!({
                "type": "order_shipped", "data": { "carrier": "DHL", "tracking_number": "00340434161094015902" },
            }))),
            ("cancelled" = (value = json!({
                "type": "order_cancelled", "data": { "reason": "The customer changed their mind." },
            }))),
        ),
    ),
    responses(
        (status = 202, description = "Accepted: the event is durably on the queue", body = ReceiptBody<'static>),
        (status = 400, description = "The body is not valid JSON, or the order id is not one"),
        (status = 413, description = "The body is too large, or the event made of it is larger than the queue takes"),
        (status = 415, description = "The body is not JSON by its content type"),
        (status = 422, description = "The body has faults; all of them are listed"),
        (status = 503, description = "The queue is full or cannot be reached, or the request took too long"),
    )
)]
pub(crate) async fn propose_event(
    State(state): State<AppState>,
    Extension(correlation_id): Extension<CorrelationId>,
    links: Links,
    OrderPath(order_id): OrderPath,
    JsonBody(event): JsonBody<Event>,
) -> Result<Response, Problem> {
    accept(&state, &links, order_id, correlation_id, event).await
}

async fn accept(
    state: &AppState,
    links: &Links,
    order_id: OrderId,
    correlation_id: CorrelationId,
    event: Event,
) -> Result<Response, Problem> {
    let envelope = Envelope {
        event_id: EventId::from((state.new_id)()),
        order_id,
        timestamp: (state.clock)(),
        correlation_id,
        expected_version: None,
        request_hash: None,
        actor: None,
        event,
    };
    let published = state.publisher.publish(std::slice::from_ref(&envelope)).await.pop();
    published.ok_or_else(|| anyhow::anyhow!("the publisher gave no result for an event"))??;

    let event_type = envelope.event.event_type();
    let receipt =
        Receipt { order_id: envelope.order_id, event_id: envelope.event_id, event_type, outcome: None };
    let body = ReceiptBody::of(&receipt, links);
    let location = HeaderValue::try_from(&body.links.own).map_err(anyhow::Error::from)?;
    let mut response = Json(body).into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
