//! Endpoints that make a subscription deliver: a test attempt, and the replay of earlier events.

use axum::Json;
use axum::response::Response;

use super::WebhookOperator;
use super::action_bodies::{ReplayPlace, ReplayRequest};
use super::attempt::AttemptBody;
use super::failures;
use super::read::shown;
use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{JsonBody, WebhookPath};
use crate::problem::Problem;

/// Tests a webhook subscription
///
/// Posts one signed test event to the URL now, and returns the attempt: the status, the time it took, and the beginning of the
/// receiver's answer. The test also works while the subscription is paused or disabled, and changes nothing. The answer is
/// `200` even if the attempt failed: read `succeeded`.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook_id}/test",
    operation_id = "testWebhook",
    tag = "webhooks",
    params(WebhookPath),
    responses(
        (status = 200, description = "The attempt, successful or not", body = AttemptBody),
        (status = 400, description = "The id is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
        (status = 501, description = "The backend of this service does not support this request"),
    )
)]
pub(super) async fn test_webhook(
    operator: WebhookOperator,
    WebhookPath(id): WebhookPath,
) -> Result<Json<AttemptBody>, Problem> {
    let attempt = operator.store.test(id).await.map_err(|error| failures::of_read(error, id))?;
    Ok(Json(AttemptBody::of(&attempt)))
}

/// Replays events to a webhook subscription
///
/// Delivers events again, in order: all events after a `cursor` of the feed, all events `from` a time or the oldest one, or all
/// events of one order (`order_id`). Deliveries that the service gave up are tried again too. Receivers recognize repeated
/// events by their `webhook-id`.
///
/// Returns the subscription. `progress` shows how many events it has to deliver.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook_id}/replay",
    operation_id = "replayWebhook",
    tag = "webhooks",
    params(WebhookPath),
    request_body(content = ReplayRequest, description = "Where to begin"),
    responses(
        (status = 200, description = "The subscription. The events are delivered from now on", body = super::WebhookBody),
        (status = 400, description = "The id is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription or the order does not exist, or the service does not deliver webhooks"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 501, description = "The backend of this service does not support this request"),
        (status = 503, description = "It is unknown whether the replay has begun (`outcome-unknown`)"),
    )
)]
pub(super) async fn replay_webhook(
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
    JsonBody(ReplayPlace(from), _grant): JsonBody<ReplayPlace>,
) -> Result<Response, Problem> {
    begin_change(ChangeAttempt::Webhook(id));
    let replayed = operator.store.replay(id, &from).await;
    replayed.map_err(|error| failures::of_change(error, id, &links))?;
    operator.log(id, "replayed");
    Ok(shown(&operator.find(id).await?, &links))
}
