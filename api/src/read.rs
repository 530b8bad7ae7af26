//! The read side: orders, their history and receipts, as the [`crate::ports::OrderReader`] has them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{OrderId, Receipt};

use crate::cursor;
use crate::links::Links;
use crate::params::{EventPath, HistoryQuery, OrderPath, OrdersQuery, ReceiptQuery};
use crate::ports::ListPosition;
use crate::problem::{Kind, Problem};
use crate::responses::{EventPage, OrderBody, OrderPage, ReceiptBody};
use crate::state::AppState;

/// Shows an order
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}",
    operation_id = "getOrder",
    tag = "orders",
    params(OrderPath),
    responses(
        (status = 200, description = "The order", body = OrderBody<'static>),
        (status = 400, description = "The order id is not one"),
        (status = 404, description = "No event of this order is recorded, or not yet"),
    )
)]
pub(crate) async fn get_order(
    State(state): State<AppState>,
    links: Links,
    OrderPath(order_id): OrderPath,
) -> Result<Response, Problem> {
    let snapshot = state.reader.order(&order_id).await?.ok_or_else(|| unknown_order(&order_id))?;
    Ok(Json(OrderBody::of(&snapshot, &links)).into_response())
}

/// Lists a customer's orders, newest first
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(
        ("customer_id" = String, Query, description = "Whose orders", min_length = 1, max_length = 128),
        ("limit" = Option<u32>, Query, description = "The most orders on a page; 50 if absent", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before", nullable = false),
    ),
    responses(
        (status = 200, description = "A page of orders", body = OrderPage<'static>),
        (status = 400, description = "The query has faults; all of them are listed"),
    )
)]
pub(crate) async fn list_orders(
    State(state): State<AppState>,
    links: Links,
    query: OrdersQuery,
) -> Result<Response, Problem> {
    let OrdersQuery { customer_id, limit, after } = query;
    // One more than asked for tells whether there is a next page.
    let mut orders = state.reader.orders_of(&customer_id, after.as_ref(), limit + 1).await?;
    let more = orders.len() > limit;
    orders.truncate(limit);
    let next_cursor = orders.last().filter(|_| more).map(|last| {
        cursor::after_order(&ListPosition {
            created_at_micros: last.order.created_at.micros(),
            order_id: last.order.order_id.clone(),
        })
    });
    let items = orders.iter().map(|order| OrderBody::of(order, &links)).collect();
    Ok(Json(OrderPage { items, next_cursor }).into_response())
}

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
        (status = 400, description = "The order id is not one, or the query has faults"),
        (status = 404, description = "No event of this order is recorded, or not yet"),
    )
)]
pub(crate) async fn list_events(
    State(state): State<AppState>,
    OrderPath(order_id): OrderPath,
    HistoryQuery { limit, after }: HistoryQuery,
) -> Result<Response, Problem> {
    let mut items = state.reader.events(&order_id, after, limit + 1).await?;
    if items.is_empty() && after == 0 {
        return Err(unknown_order(&order_id));
    }
    let more = items.len() > limit;
    items.truncate(limit);
    for event in &mut items {
        // It would let anyone test guesses at what another client sent.
        event.envelope.request_hash = None;
    }
    let next_cursor = items.last().filter(|_| more).map(|last| cursor::after_version(last.version));
    Ok(Json(EventPage { items, next_cursor }).into_response())
}

/// Shows where an accepted event stands
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/events/{event_id}",
    operation_id = "getReceipt",
    tag = "orders",
    params(EventPath, ReceiptQuery),
    responses(
        (status = 200, description = "The receipt", body = ReceiptBody<'static>),
        (status = 400, description = "The order id or the event id is not one, or the query has faults"),
        (status = 404, description = "No such event of this order was accepted"),
    )
)]
pub(crate) async fn get_receipt(
    State(state): State<AppState>,
    links: Links,
    EventPath(order_id, event_id): EventPath,
    ReceiptQuery { event_type }: ReceiptQuery,
) -> Result<Response, Problem> {
    let receipt = match (state.reader.receipt(&order_id, event_id).await?, event_type) {
        (Some(receipt), _) => receipt,
        // Who asks like this holds the link of a 202: the event is durable, and all that is known of it is in the link.
        (None, Some(event_type)) if !state.reader.sees_waiting() => {
            Receipt { order_id, event_id, event_type, outcome: None }
        }
        (None, _) => {
            let detail = format!("No event {event_id} of order {order_id} was accepted.");
            return Err(Problem::new(Kind::EventNotFound, detail));
        }
    };
    Ok(Json(ReceiptBody::of(&receipt, &links)).into_response())
}

fn unknown_order(order_id: &OrderId) -> Problem {
    let detail =
        format!("No event of order {order_id} is recorded. If one was accepted, its receipt tells more.");
    Problem::new(Kind::OrderNotFound, detail)
}
