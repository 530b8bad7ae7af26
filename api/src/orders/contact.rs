//! `GET /v1/orders/{order_id}/contact`: shows the contact of an order, and logs who asked. The console masks contacts, and
//! shows one with this request.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::OrderId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Principal, Scope};
use crate::describe::schemas;
use crate::input::{NoQuery, OrderPath};
use crate::orders::visibility::visible_order;
use crate::problem::Problem;
use crate::state::SharedState;

/// The contact of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactOfOrder)]
pub(crate) struct ContactOfOrder<'a> {
    /// The order.
    #[schema(value_type = String)]
    order_id: &'a OrderId,
    /// Whom to contact about the order. Absent if the order has no contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::order_contact, required = false)]
    contact: Option<&'a domain::contact::Contact>,
}

impl<'a> ContactOfOrder<'a> {
    pub(crate) fn of(order: &'a domain::Order) -> Self {
        Self { order_id: &order.order_id, contact: order.contact.as_deref() }
    }
}

/// Shows the contact of an order, and logs who asked
///
/// Each request becomes a line of the service's log (`contact shown`) with the order and the token's subject. The order itself
/// and its history contain the contact too, without such a line: a client that masks contacts asks here when a person wants
/// to see one.
#[utoipa::path(
    get,
    path = "/v1/orders/{order_id}/contact",
    operation_id = "getContact",
    tag = "orders",
    params(OrderPath),
    responses(
        (status = 200, description = "The contact", body = ContactOfOrder<'static>),
        (status = 400, description = "The order id is invalid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "No event of this order is recorded yet"),
    )
)]
pub(crate) async fn get_contact(
    State(state): State<SharedState>,
    principal: Principal,
    OrderPath(order_id): OrderPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    principal.require(Scope::Read)?;
    let snapshot = visible_order(&state, &principal, &order_id).await?;
    tracing::info!(order_id = %order_id, by = principal.name(), "contact shown");
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ContactOfOrder::of(&snapshot.order))).into_response())
}
