//! `GET /v1/orders` and `GET /v1/orders/{order_id}`: shows orders from the [`OrderReader`](crate::ports::OrderReader).
//! The module `history` shows the events and receipts of an order.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::{Principal, Scope};
use crate::http::{LinkBuilder, page_response};
use crate::input::{IfNoneMatch, OrderPath, OrderQuery, OrdersQuery, cursor, etag};
use crate::orders::order_response::OrderBody;
use crate::orders::responses::OrderPage;
use crate::ports::{OrderList, OrderSnapshot};
use crate::problem::Problem;
use crate::state::SharedState;

/// Shows an order
///
/// Returns the order as of its latest recorded event or, with `version` or `at`, as it was earlier. Events in flight
/// are not included. If you already have the order, send its `ETag` as `If-None-Match` to get `304` if the order has
/// not changed.
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
        (status = 403, description = "The token does not allow this request"),
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

/// Finds orders
///
/// Returns a page of the orders that pass every filter: the orders of one customer or, with the scope `orders.operate`,
/// of all customers. A `reference` belongs to at most one order, so a list with this filter contains at most one order.
/// A token that is limited to a customer finds only that customer's orders. `metadata.KEY=VALUE` finds orders by their
/// metadata, for keys that the operator of the service has declared as searchable.
///
/// The list is sorted by creation time, newest first. With `updated_from` or `updated_before`, it is sorted by update
/// time, oldest first. If an order is updated while you read such a list, it moves towards the end of the list, and you
/// may get it twice.
///
/// A page can be short or even empty although more pages follow, if few of the orders that were read pass the filter.
/// Continue with `next_cursor` until it is `null`.
#[utoipa::path(
    get,
    path = "/v1/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(OrdersQuery),
    responses(
        (status = 200, description = "A page of orders", body = OrderPage<'static>),
        (status = 400, description = "The query has errors; up to 100 are listed. Or the service has no index for the \
            query (`query-not-configured`)"),
        (status = 403, description = "The token does not allow this request"),
    )
)]
pub(crate) async fn list_orders(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    query: OrdersQuery,
) -> Result<Response, Problem> {
    let OrdersQuery { filter, reference, limit, after } = &query;
    match (&filter.customer_id, reference) {
        (None, None) => principal.require_all_customers()?,
        _ => principal.require(Scope::Read)?,
    }
    if filter.customer_id.as_ref().is_some_and(|customer_id| !principal.sees(customer_id)) {
        return Ok(Json(OrderPage::of(&[], &links, None)).into_response());
    }
    let list = match reference {
        Some(reference) => {
            let found = state.reader.order_by_reference(reference).await?;
            let is_wanted = |OrderSnapshot { order, .. }: &OrderSnapshot| {
                principal.sees(&order.customer_id) && filter.passes(order)
            };
            OrderList { orders: found.into_iter().filter(is_wanted).collect(), next: None }
        }
        None => state.reader.find_orders(filter, after.as_ref(), *limit).await?,
    };
    let next_cursor = list.next.map(|position| cursor::after_order(&position, &query.scope()));
    let link = next_cursor.as_deref().map(|cursor| links.next_orders(&query.next(cursor)));
    page_response(OrderPage::of(&list.orders, &links, next_cursor), link)
}
