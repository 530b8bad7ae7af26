//! `GET /v1/orders/{order_id}/events` and `GET /v1/orders/{order_id}/events/{event_id}`: an order's log, and the receipt of
//! each of its events.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Receipt;

use crate::auth::{Principal, Scope};
use crate::http::{LinkBuilder, RequestTag, page_response};
use crate::input::{EventPath, HistoryQuery, OrderPath, Prefer, ReceiptQuery, cursor};
use crate::orders::responses::{EventPage, ReceiptBody};
use crate::orders::visibility;
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// Lists an order's recorded events, oldest first
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/events",
    operation_id = "listEvents",
    tag = "orders",
    params(
        OrderPath,
        ("limit" = Option<u32>, Query, description = "The maximum number of events on a page; 50 by default", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the previous page", nullable = false),
    ),
    responses(
        (status = 200, description = "A page of events", body = EventPage),
        (status = 400, description = "The order id is invalid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "No event of this order is recorded yet"),
    )
)]
pub(crate) async fn list_events(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    OrderPath(order_id): OrderPath,
    HistoryQuery { limit, after }: HistoryQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    if principal.customer_id.is_some() {
        visibility::visible_order(&state, &principal, &order_id).await?;
    }
    let mut items = state.reader.events(&order_id, after, limit + 1).await?;
    if items.is_empty() && after == 0 {
        return Err(Problem::unknown_order(&order_id));
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let operates = principal.operates();
    items.iter_mut().for_each(|event| event.conceal(operates));
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| cursor::after_version(last.version, order_id.as_str()));
    let link = next_cursor
        .as_deref()
        .map(|cursor| links.next_events(&order_id, &format!("limit={limit}&cursor={cursor}")));
    page_response(EventPage::of(items, next_cursor), link)
}

/// Shows the receipt of an accepted event
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/events/{event_id}",
    operation_id = "getReceipt",
    tag = "orders",
    params(EventPath, ReceiptQuery, Prefer),
    responses(
        (status = 200, description = "The receipt", body = ReceiptBody<'static>),
        (status = 400, description = "The order id or the event id is invalid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The event was not accepted for this order; or it has no outcome yet, and the URL is not the \
            complete link of its receipt"),
        (status = 422, description = "The event was accepted from a different request with the same key"),
    )
)]
pub(crate) async fn get_receipt(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    prefer: Prefer,
    EventPath(order_id, event_id): EventPath,
    ReceiptQuery { event_type, request }: ReceiptQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let missing = || {
        let detail = if principal.customer_id.is_some() {
            format!("No event {event_id} of order {order_id} was accepted, or the token may not see it.")
        } else if state.reader.sees_queued() {
            format!("No event {event_id} of order {order_id} was accepted.")
        } else {
            format!(
                "Event {event_id} of order {order_id} has no outcome. If it was accepted, it is still on the queue, which \
                 cannot be searched."
            )
        };
        Problem::new(ProblemKind::EventNotFound, detail)
    };
    let is_visible = async || visibility::is_visible(&state, &principal, &order_id, event_id).await;
    if is_visible().await? == Some(false) {
        return Err(missing());
    }
    let promised = event_type.filter(|_| !state.reader.sees_queued());
    let found = match prefer.until() {
        // Do not wait for an event that was never accepted.
        Some(until) if promised.is_some() || state.reader.receipt(&order_id, event_id).await?.is_some() => {
            state.reader.settled(&order_id, event_id, until).await?
        }
        _ => state.reader.receipt(&order_id, event_id).await?,
    };
    // Check again: while the request waited, the customer of the event may have become known.
    if found.is_some() && is_visible().await? != Some(true) {
        return Err(missing());
    }
    let receipt = match (found, promised) {
        (Some(receipt), _) if is_of_other_request(&receipt, request) => return Err(Problem::key_reused()),
        (Some(receipt), _) => receipt,
        // A link that contains the event's type comes from a `202`. So the event is durable, and the receipt is built
        // from the link.
        (None, Some(event_type)) => {
            let request_hash = request.map(|request| request.to_string());
            Receipt { order_id, event_id, event_type, outcome: None, request_hash, message: None }
        }
        (None, None) => return Err(missing()),
    };
    Ok(prefer.add_applied(Json(ReceiptBody::of(&receipt, &links)).into_response()))
}

/// Whether the event of `receipt` was proposed by another request than the one with the tag `request`.
fn is_of_other_request(receipt: &Receipt, request: Option<RequestTag>) -> bool {
    request.is_some() && receipt.request_hash.as_deref().and_then(RequestTag::of) != request
}
