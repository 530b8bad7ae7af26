//! `GET /v1/webhooks` and `GET /v1/webhooks/{webhook_id}`: subscriptions with their progress.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::WebhookOperator;
use super::responses::{WebhookBody, WebhookList};
use crate::http::LinkBuilder;
use crate::input::{NoQuery, WebhookPath, revision_etag};
use crate::ports::webhooks::SubscriptionStatus;
use crate::problem::Problem;

/// Lists webhook subscriptions
///
/// Returns all subscriptions, oldest first, each with the progress of its deliveries. A service has at most 100.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    operation_id = "listWebhooks",
    tag = "webhooks",
    responses(
        (status = 200, description = "All subscriptions", body = WebhookList),
        (status = 400, description = "The query has errors; up to 100 are listed"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not deliver webhooks"),
    )
)]
pub(super) async fn list_webhooks(
    operator: WebhookOperator,
    links: LinkBuilder,
    NoQuery: NoQuery,
) -> Result<Json<WebhookList>, Problem> {
    let all = operator.store.subscriptions().await?;
    Ok(Json(WebhookList::of(&all, &links)))
}

/// Shows a webhook subscription
///
/// Returns the subscription with the progress of its deliveries, but without its secrets. `state` shows whether events are
/// delivered, and `stopped` why they are not.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{webhook_id}",
    operation_id = "getWebhook",
    tag = "webhooks",
    params(WebhookPath),
    responses(
        (status = 200, description = "The subscription", body = WebhookBody),
        (status = 400, description = "The id is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
    )
)]
pub(super) async fn get_webhook(
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
) -> Result<Response, Problem> {
    Ok(shown(&operator.find(id).await?, &links))
}

/// The answer that shows one subscription, with the subscription's revision as its `ETag`.
pub(super) fn shown(status: &SubscriptionStatus, links: &LinkBuilder) -> Response {
    let etag = revision_etag(status.subscription.revision);
    ([(header::ETAG, etag)], Json(WebhookBody::of(status, links))).into_response()
}
