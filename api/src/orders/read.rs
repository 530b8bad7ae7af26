//! The read side: orders, as the [`crate::ports::OrderReader`] has them. Their past is in [`crate::orders::history`].

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::{Principal, Scope};
use crate::http::Links;
use crate::input::{cursor, etag, IfNoneMatch, OrderPath, OrderQuery, OrdersQuery};
use crate::orders::responses::{OrderBody, OrderPage};
use crate::ports::OrderSnapshot;
use crate::problem::Problem;
use crate::state::Shared;

/// Shows an order
///
/// As it is now, or with `version` or `at` as it was.
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}",
    operation_id = "getOrder",
    tag = "orders",
    params(
        OrderPath,
        ("version" = Option<u64>, Query, description = "Shows the order as of this version", nullable = false, minimum = 1),
        ("at" = Option<String>, Query, description = "Shows the order as of this time (RFC 3339): with what was recorded \
            by then", nullable = false, format = "date-time"),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The order", body = OrderBody<'static>),
        (status = 304, description = "The order is still as the tag in `If-None-Match` has it"),
        (status = 400, description = "The order id is not one, or the query or a header has errors"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "No event of this order is recorded, or not yet; or the order was not at that version, or did not \
            exist at that time (`version-not-found`)"),
    )
)]
pub(crate) async fn get_order(
    State(state): State<Shared>,
    principal: Principal,
    links: Links,
    if_none_match: IfNoneMatch,
    OrderPath(order_id): OrderPath,
    OrderQuery { as_of }: OrderQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let snapshot = match as_of {
        None => state.reader.order(&order_id).await?,
        Some(as_of) => {
            let order = state.reader.order_as_of(&order_id, as_of).await?;
            order.map(|order| OrderSnapshot { order, parked: 0 })
        }
    };
    let visible = |snapshot: &OrderSnapshot| principal.sees(&snapshot.order.customer_id);
    let Some(snapshot) = snapshot.filter(visible) else {
        let now = match as_of {
            Some(asked) => state.reader.order(&order_id).await?.filter(visible).map(|now| (now, asked)),
            None => None,
        };
        let unknown = || Problem::unknown_order(&order_id);
        return Err(now.map_or_else(unknown, |(now, asked)| Problem::unknown_version(&now.order, asked)));
    };
    let tag = etag(&snapshot);
    // Clients may keep it, and have to ask before they use it again.
    let headers = HeaderMap::from_iter([
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, tag.clone()),
    ]);
    if if_none_match.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, Json(OrderBody::of(&snapshot, &links))).into_response())
}

/// Lists a customer's orders, newest first
///
/// A page may be short, or empty, and still have a next one, where many orders had to be looked at that the filter does
/// not let through.
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(
        ("customer_id" = String, Query, description = "Whose orders", min_length = 1, max_length = 128),
        ("status" = Option<String>, Query, description = "Only orders that stand here", nullable = false,
            pattern = "^(pending|confirmed|paid|shipped|delivered|returned|cancelled|refunded)$"),
        ("created_from" = Option<String>, Query, description = "Only orders created at this time (RFC 3339) or later",
            nullable = false, format = "date-time"),
        ("created_before" = Option<String>, Query, description = "Only orders created before this time (RFC 3339)",
            nullable = false, format = "date-time"),
        ("limit" = Option<u32>, Query, description = "The most orders on a page; 50 if absent", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before, of the same list",
            nullable = false),
    ),
    responses(
        (status = 200, description = "A page of orders", body = OrderPage<'static>),
        (status = 400, description = "The query has errors; the first 100 are listed"),
        (status = 403, description = "The token does not allow it"),
    )
)]
pub(crate) async fn list_orders(
    State(state): State<Shared>,
    principal: Principal,
    links: Links,
    query: OrdersQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    if !principal.sees(&query.customer_id) {
        return Ok(Json(OrderPage::of(Vec::new(), None)).into_response());
    }
    let OrdersQuery { customer_id, filter, limit, after } = &query;
    let list = state.reader.orders_of(customer_id, filter, after.as_ref(), *limit).await?;
    let scope = OrdersQuery::scope(customer_id, filter);
    let next_cursor = list.next.map(|position| cursor::after_order(&position, &scope));
    let link = next_cursor.as_deref().map(|cursor| links.next_orders(&query.next(cursor)));
    let items = list.orders.iter().map(|order| OrderBody::of(order, &links)).collect();
    let mut response = Json(OrderPage::of(items, next_cursor)).into_response();
    if let Some(link) = link {
        let link = HeaderValue::try_from(link).map_err(anyhow::Error::from)?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
