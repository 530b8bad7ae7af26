//! `GET /v1/orders` and `GET /v1/orders/{order_id}`: orders from the [`OrderReader`](crate::ports::OrderReader). Their events
//! and receipts are in `history`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::{Principal, Scope};
use crate::http::{LinkBuilder, page_response};
use crate::input::{IfNoneMatch, OrderPath, OrderQuery, OrdersQuery, cursor, etag};
use crate::orders::responses::{OrderBody, OrderPage};
use crate::ports::OrderSnapshot;
use crate::problem::Problem;
use crate::state::SharedState;

/// Shows an order
///
/// Returns the order as of its latest recorded event or, with `version` or `at`, as it was earlier. Events in flight are not
/// included. Send an `ETag` that you have as `If-None-Match` to get `304` if the order has not changed.
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}",
    operation_id = "getOrder",
    tag = "orders",
    params(
        OrderPath,
        ("version" = Option<u64>, Query, description = "Returns the order as of this version", nullable = false, minimum = 1),
        ("at" = Option<String>, Query, description = "Returns the order as of this time (RFC 3339), with the events \
            recorded by then", nullable = false, format = "date-time"),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The order", body = OrderBody<'static>),
        (status = 304, description = "The order still has the `ETag` in `If-None-Match`"),
        (status = 400, description = "The order id is invalid, or the query or a header has errors"),
        (status = 403, description = "The token does not allow this"),
        (status = 404, description = "No event of this order is recorded yet; or the order does not have that version, or did not \
            exist at that time (`version-not-found`)"),
    )
)]
pub(crate) async fn get_order(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    if_none_match: IfNoneMatch,
    OrderPath(order_id): OrderPath,
    OrderQuery { as_of }: OrderQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let snapshot = match as_of {
        None => state.reader.order(&order_id).await?,
        Some(as_of) => {
            let order = state.reader.order_as_of(&order_id, as_of).await?;
            order.map(|order| OrderSnapshot { order: order.into(), parked: 0 })
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
    // Clients may store the order but must revalidate it before each use.
    let headers = HeaderMap::from_iter([
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, tag.clone()),
    ]);
    if if_none_match.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, Json(OrderBody::of(&snapshot.order, snapshot.parked, &links))).into_response())
}

/// Lists a customer's orders, newest first
///
/// Returns a page of one customer's orders. A page can be short or even empty and still have a next one, if few of the
/// orders that were read pass the filter. Continue with `next_cursor` until it is `null`.
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(
        ("customer_id" = String, Query, description = "The customer whose orders to list", min_length = 1, max_length = 128),
        ("status" = Option<String>, Query, description = "Only orders with this status", nullable = false,
            pattern = "^(pending|confirmed|paid|shipped|delivered|returned|cancelled|refunded)$"),
        ("created_from" = Option<String>, Query, description = "Only orders created at this time (RFC 3339) or later",
            nullable = false, format = "date-time"),
        ("created_before" = Option<String>, Query, description = "Only orders created before this time (RFC 3339)",
            nullable = false, format = "date-time"),
        ("limit" = Option<u32>, Query, description = "The maximum number of orders on a page; 50 by default", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the previous page of the same list",
            nullable = false),
    ),
    responses(
        (status = 200, description = "A page of orders", body = OrderPage<'static>),
        (status = 400, description = "The query has errors; up to 100 are listed"),
        (status = 403, description = "The token does not allow this"),
    )
)]
pub(crate) async fn list_orders(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    query: OrdersQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    if !principal.sees(&query.customer_id) {
        return Ok(Json(OrderPage::of(&[], &links, None)).into_response());
    }
    let OrdersQuery { customer_id, filter, limit, after } = &query;
    let list = state.reader.orders_of(customer_id, filter, after.as_ref(), *limit).await?;
    let scope = OrdersQuery::scope(customer_id, filter);
    let next_cursor = list.next.map(|position| cursor::after_order(&position, &scope));
    let link = next_cursor.as_deref().map(|cursor| links.next_orders(&query.next(cursor)));
    page_response(OrderPage::of(&list.orders, &links, next_cursor), link)
}
