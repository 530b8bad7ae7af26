//! The past of an order: its recorded events, what became of each, and the order as it was.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::Receipt;

use crate::auth::{Principal, Scope};
use crate::http::{Links, RequestTag};
use crate::input::{cursor, EventPath, HistoryQuery, OrderPath, Prefer, ReceiptQuery};
use crate::orders::responses::{EventPage, ReceiptBody};
use crate::orders::visible;
use crate::problem::{Kind, Problem};
use crate::state::Shared;

/// Lists an order's recorded events, oldest first
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/events",
    operation_id = "listEvents",
    tag = "orders",
    params(
        OrderPath,
        ("limit" = Option<u32>, Query, description = "The most events on a page; 50 if absent", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before", nullable = false),
    ),
    responses(
        (status = 200, description = "A page of events", body = EventPage),
        (status = 400, description = "The order id is not one, or the query has errors"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "No event of this order is recorded, or not yet"),
    )
)]
pub(crate) async fn list_events(
    State(state): State<Shared>,
    principal: Principal,
    links: Links,
    OrderPath(order_id): OrderPath,
    HistoryQuery { limit, after }: HistoryQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    if principal.customer_id.is_some() {
        let snapshot = state.reader.order(&order_id).await?;
        let visible = snapshot.is_some_and(|snapshot| principal.sees(&snapshot.order.customer_id));
        visible.then_some(()).ok_or_else(|| Problem::unknown_order(&order_id))?;
    }
    let mut items = state.reader.events(&order_id, after, limit + 1).await?;
    if items.is_empty() && after == 0 {
        return Err(Problem::unknown_order(&order_id));
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let operates = principal.operates();
    for event in &mut items {
        if let Some(repaired) = event.repaired.as_mut().filter(|_| !operates) {
            // What was sent may be anything, about anybody.
            repaired.original = None;
        }
        // It would let anyone test guesses at what another client sent.
        event.envelope.request_hash = None;
    }
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| cursor::after_version(last.version, order_id.as_str()));
    let link = next_cursor.as_deref().map(|cursor| links.next_events(&order_id, limit, cursor));
    let mut response = Json(EventPage::of(items, next_cursor)).into_response();
    if let Some(link) = link {
        let link = HeaderValue::try_from(link).map_err(anyhow::Error::from)?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Shows where an accepted event stands
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/events/{event_id}",
    operation_id = "getReceipt",
    tag = "orders",
    params(EventPath, ReceiptQuery, Prefer),
    responses(
        (status = 200, description = "The receipt", body = ReceiptBody<'static>),
        (status = 400, description = "The order id or the event id is not one, or the query has errors"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "No such event of this order was accepted, or it has no outcome yet and the link says \
            too little"),
        (status = 422, description = "The event was accepted from another request under the same key"),
    )
)]
pub(crate) async fn get_receipt(
    State(state): State<Shared>,
    principal: Principal,
    links: Links,
    prefer: Prefer,
    EventPath(order_id, event_id): EventPath,
    ReceiptQuery { event_type, request }: ReceiptQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let missing = || {
        let detail = if principal.customer_id.is_some() {
            format!("No event {event_id} of order {order_id} was accepted, or none that the token may see.")
        } else if state.reader.sees_waiting() {
            format!("No event {event_id} of order {order_id} was accepted.")
        } else {
            format!(
                "Event {event_id} of order {order_id} has no outcome. If it was accepted, it is still on the queue, which \
                 cannot be looked into."
            )
        };
        Problem::new(Kind::EventNotFound, detail)
    };
    let is_visible = async || visible::is_visible(&state, &principal, &order_id, event_id).await;
    if is_visible().await? == Some(false) {
        return Err(missing());
    }
    let promised = event_type.filter(|_| !state.reader.sees_waiting());
    let found = match prefer.until() {
        // Who asks for what was never accepted need not wait for it.
        Some(until) if promised.is_some() || state.reader.receipt(&order_id, event_id).await?.is_some() => {
            state.reader.settled(&order_id, event_id, until).await?
        }
        _ => state.reader.receipt(&order_id, event_id).await?,
    };
    // Whose the event is may have turned out meanwhile; what is found is shown only to those whom it belongs to.
    if found.is_some() && is_visible().await? != Some(true) {
        return Err(missing());
    }
    let receipt = match (found, promised) {
        (Some(receipt), _) if is_of_another(&receipt, request) => return Err(Problem::key_reused()),
        (Some(receipt), _) => receipt,
        // Who asks like this holds the link of a 202: the event is durable, and all that is known of it is in the link.
        (None, Some(event_type)) => {
            let request_hash = request.map(|request| request.to_string());
            Receipt { order_id, event_id, event_type, outcome: None, request_hash, message: None }
        }
        (None, None) => return Err(missing()),
    };
    Ok(prefer.applied(Json(ReceiptBody::of(&receipt, &links)).into_response()))
}

/// Whether the receipt belongs to another request than the one that its reader made.
fn is_of_another(receipt: &Receipt, request: Option<RequestTag>) -> bool {
    request.is_some() && receipt.request_hash.as_deref().and_then(RequestTag::of) != request
}
