//! Endpoints about the deliveries of a subscription: the list, and skipping one that failed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::action_bodies::{SkipReason, SkipRequest};
use super::responses::DeliveryPage;
use super::{WebhookOperator, failures};
use crate::http::{ChangeAttempt, LinkBuilder, begin_change, page_response};
use crate::input::{DeliveriesQuery, DeliveryPath, JsonBody, WebhookPath, cursor};
use crate::ports::webhooks::{Skip, WebhookError};
use crate::problem::Problem;
use crate::state::SharedState;

/// Lists deliveries of a webhook subscription
///
/// Returns a page of deliveries: first failed deliveries and the deliveries held because of them, then other recent ones. Of
/// the deliveries that succeeded, only recent ones are listed. Continue with `next_cursor` as `after` until it is `null`.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{webhook_id}/deliveries",
    operation_id = "listDeliveries",
    tag = "webhooks",
    params(WebhookPath, DeliveriesQuery),
    responses(
        (status = 200, description = "A page of deliveries", body = DeliveryPage),
        (status = 400, description = "The id is not valid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
        (status = 501, description = "The backend of this service does not support this request"),
    )
)]
pub(super) async fn list_deliveries(
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
    query: DeliveriesQuery,
) -> Result<Response, Problem> {
    let DeliveriesQuery { filter, limit, after, .. } = &query;
    let list = operator.store.deliveries(id, filter, after.as_deref(), *limit).await;
    let list = list.map_err(|error| failures::of_read(error, id))?;
    let next_cursor = list.next.map(|place| cursor::after_delivery(&place, &query.scope()));
    let link = next_cursor.as_deref().map(|cursor| links.next_deliveries(id, &query.next(cursor)));
    page_response(DeliveryPage::of(&list.deliveries, &links, next_cursor), link)
}

/// Skips a delivery
///
/// Gives up the delivery of an event that the receiver cannot accept, so that the later events of its order are delivered.
/// Only the first undelivered event of an order can be skipped. The skip is recorded with its reason, and a replay delivers
/// the event again.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook_id}/deliveries/{event_id}/skip",
    operation_id = "skipDelivery",
    tag = "webhooks",
    params(DeliveryPath),
    request_body(content = SkipRequest, description = "The reason"),
    responses(
        (status = 204, description = "The change was made"),
        (status = 400, description = "An id is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or has no such delivery that can be skipped"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 501, description = "The backend of this service does not support this request"),
        (status = 503, description = "It is unknown whether the delivery was skipped (`outcome-unknown`)"),
    )
)]
pub(super) async fn skip_delivery(
    State(state): State<SharedState>,
    operator: WebhookOperator,
    links: LinkBuilder,
    DeliveryPath(id, event_id): DeliveryPath,
    JsonBody(SkipReason(reason), _grant): JsonBody<SkipReason>,
) -> Result<StatusCode, Problem> {
    let skip =
        Skip { reason: reason.as_str().to_owned(), at: (state.clock)(), by: operator.principal.name() };
    begin_change(ChangeAttempt::Webhook(id));
    match operator.store.skip(id, event_id, &skip).await {
        Ok(()) => {
            operator.log(id, "skipped a delivery");
            Ok(StatusCode::NO_CONTENT)
        }
        Err(WebhookError::NoDelivery) => Err(failures::no_delivery(event_id)),
        Err(error) => Err(failures::of_change(error, id, &links)),
    }
}
