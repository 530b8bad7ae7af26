//! `GET /v1/orders/{order_id}/rejections`: the receipts of the events of an order that were rejected.

use axum::extract::State;
use axum::response::Response;
use domain::Receipt;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Principal, Scope};
use crate::describe::schemas;
use crate::http::{LinkBuilder, page_response};
use crate::input::{OrderPath, RejectionsQuery, cursor};
use crate::orders::responses::ReceiptBody;
use crate::orders::visibility::visible_order;
use crate::problem::Problem;
use crate::state::SharedState;

/// A page of receipts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptPage<'a> {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    items: Vec<ReceiptBody<'a>>,
    /// The `cursor` of the next page. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl<'a> ReceiptPage<'a> {
    pub(crate) fn of(receipts: &'a [Receipt], links: &LinkBuilder, next_cursor: Option<String>) -> Self {
        let items = receipts.iter().map(|receipt| ReceiptBody::of(receipt, links)).collect();
        Self { object: schemas::LIST, items, next_cursor }
    }
}

/// Lists the receipts of an order's rejected events
///
/// Returns the events that the rules refused or an operator discarded, each with the reason. They are in the order of their
/// event ids, which need not be the order of time. Recorded events are in the order's log, and parked events in the dead
/// letters.
///
/// A page can be short or even empty although more pages follow. Continue with `next_cursor` until it is `null`.
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/rejections",
    operation_id = "listRejections",
    tag = "orders",
    params(
        OrderPath,
        ("limit" = Option<u32>, Query, description = "The maximum number of receipts on a page; 50 by default", nullable = false,
            minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the previous page of receipts", nullable = false),
    ),
    responses(
        (status = 200, description = "A page of receipts", body = ReceiptPage<'static>),
        (status = 400, description = "The order id is invalid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "No event of this order is recorded yet"),
    )
)]
pub(crate) async fn list_rejections(
    State(state): State<SharedState>,
    principal: Principal,
    links: LinkBuilder,
    OrderPath(order_id): OrderPath,
    RejectionsQuery { limit, after }: RejectionsQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    visible_order(&state, &principal, &order_id).await?;
    let list = state.reader.rejections(&order_id, after, limit).await?;
    let next_cursor = list.next.map(|event_id| cursor::after_receipt(event_id, order_id.as_str()));
    let link = next_cursor
        .as_deref()
        .map(|cursor| links.next_rejections(&order_id, &format!("limit={limit}&cursor={cursor}")));
    page_response(ReceiptPage::of(&list.receipts, &links, next_cursor), link)
}
