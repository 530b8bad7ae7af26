//! Endpoints that change one subscription: update, rotate the secret, and delete.
//!
//! A change reads the subscription, modifies it, and replaces the stored one. The store replaces only the revision that was read.
//! If another request has changed the subscription meanwhile, all three steps are repeated, so no change is lost.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::subscription::MAX_SECRETS;
use domain::{Subscription, SubscriptionId, Timestamp};

use super::action_bodies::{RotateRequest, RotationOverlap};
use super::patch::{UpdateWebhook, WebhookPatch};
use super::read::shown;
use super::responses::WebhookBody;
use super::{WebhookOperator, failures, secret};
use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{IfRevision, JsonBody, WebhookPath, revision_etag};
use crate::ports::webhooks::{SubscriptionStatus, WebhookError};
use crate::problem::Problem;
use crate::state::SharedState;

/// The maximum number of attempts to change a subscription while other requests change it too.
const TRIES: usize = 5;

/// Updates a webhook subscription
///
/// Changes the members that the body contains, as a JSON merge patch (RFC 7396): `null` removes an optional member, and
/// the members of `headers` are merged. `paused` stops deliveries or starts them again; `"paused": false` also enables
/// a subscription that the service disabled. No event is lost meanwhile: undelivered events are delivered afterwards.
///
/// A changed `url` applies from the next attempt of each delivery. That attempt is due immediately.
#[utoipa::path(
    patch,
    path = "/v1/webhooks/{webhook_id}",
    operation_id = "updateWebhook",
    tag = "webhooks",
    params(WebhookPath, IfRevision),
    request_body(
        content = UpdateWebhook,
        description = "The members to change; at most 256 KiB. The content type may also be `application/merge-patch+json`"
    ),
    responses(
        (status = 200, description = "The subscription after the change", body = WebhookBody),
        (status = 400, description = "The id or a header is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
        (status = 409, description = "Other requests kept changing the subscription"),
        (status = 412, description = "The subscription is not at a revision that `If-Match` names"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 503, description = "It is unknown whether the subscription was changed (`outcome-unknown`)"),
    )
)]
pub(super) async fn update_webhook(
    State(state): State<SharedState>,
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
    condition: IfRevision,
    JsonBody(patch, _grant): JsonBody<WebhookPatch>,
) -> Result<Response, Problem> {
    let now = (state.clock)();
    let by = operator.principal.name();
    let apply = |subscription: &mut Subscription| patch.apply(subscription, now, by.as_deref());
    let change = Change { name: "updated", apply };
    let changed = changed(&operator, &links, id, &condition, now, change).await?;
    Ok(shown(&changed, &links))
}

/// Rotates the secret of a webhook subscription
///
/// Returns a new `secret`, which no later answer contains. Every delivery is signed with each valid secret: earlier secrets
/// stay valid for `overlap_seconds`, so receivers can change to the new one without a gap. An overlap of 0 ends all earlier
/// secrets immediately, for example after a leak. At most 3 secrets are valid at the same time.
///
/// If you repeat this request, the secret is rotated again. To prevent that, name the revision in `If-Match`.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{webhook_id}/rotate",
    operation_id = "rotateWebhookSecret",
    tag = "webhooks",
    params(WebhookPath, IfRevision),
    request_body(content = RotateRequest, description = "How long the earlier secrets stay valid"),
    responses(
        (status = 200, description = "The subscription, with its new secret", body = WebhookBody),
        (status = 400, description = "The id or a header is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
        (status = 409, description = "The subscription has 3 valid secrets, or other requests kept changing it"),
        (status = 412, description = "The subscription is not at a revision that `If-Match` names"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 503, description = "It is unknown whether the secret was rotated (`outcome-unknown`)"),
    )
)]
pub(super) async fn rotate_webhook_secret(
    State(state): State<SharedState>,
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
    condition: IfRevision,
    JsonBody(overlap, _grant): JsonBody<RotationOverlap>,
) -> Result<Response, Problem> {
    let (now, secret) = ((state.clock)(), secret::generate()?);
    let end = overlap.end(now)?;
    let apply = |subscription: &mut Subscription| {
        subscription.rotate(secret.clone(), now, end).map_err(|refused| {
            failures::conflict(format!(
                "The subscription has {MAX_SECRETS} valid secrets, the next of which expires at {}. Rotate the secret after that \
                 time, or with an overlap of 0, which ends all earlier secrets immediately.",
                refused.until
            ))
        })
    };
    let change = Change { name: "secret rotated", apply };
    let rotated = changed(&operator, &links, id, &condition, now, change).await?;
    let etag = revision_etag(rotated.subscription.revision);
    let body = WebhookBody::of(&rotated, &links).with_secret(secret);
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}

/// A change of a subscription, with its name in the log.
struct Change<F> {
    name: &'static str,
    apply: F,
}

/// Changes the subscription, and returns it as it is afterwards. A change without effect keeps the revision.
async fn changed(
    operator: &WebhookOperator,
    links: &LinkBuilder,
    id: SubscriptionId,
    condition: &IfRevision,
    now: Timestamp,
    change: Change<impl Fn(&mut Subscription) -> Result<(), Problem>>,
) -> Result<SubscriptionStatus, Problem> {
    for _ in 0..TRIES {
        let known = operator.find(id).await?;
        condition.check(known.subscription.revision)?;
        let mut subscription = known.subscription.clone();
        (change.apply)(&mut subscription)?;
        if subscription == known.subscription {
            return Ok(known);
        }
        subscription.revision += 1;
        subscription.updated_at = now;
        begin_change(ChangeAttempt::Webhook(id));
        match operator.store.replace(&subscription).await {
            Ok(()) => {
                operator.log(id, change.name);
                return Ok(SubscriptionStatus { subscription, progress: known.progress });
            }
            // Another request changed the subscription first, so the loop reads it again. A request with `If-Match` then fails.
            Err(WebhookError::Changed) => {}
            Err(error) => return Err(failures::of_change(error, id, links)),
        }
    }
    Err(failures::of_change(WebhookError::Changed, id, links))
}

/// Deletes a webhook subscription
///
/// Deletes the subscription with its deliveries, including those that were to be retried. An attempt that is in progress may
/// still reach the receiver.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{webhook_id}",
    operation_id = "deleteWebhook",
    tag = "webhooks",
    params(WebhookPath),
    responses(
        (status = 204, description = "The change was made"),
        (status = 400, description = "The id is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The subscription does not exist, or the service does not deliver webhooks"),
        (status = 503, description = "It is unknown whether the subscription was deleted (`outcome-unknown`)"),
    )
)]
pub(super) async fn delete_webhook(
    operator: WebhookOperator,
    links: LinkBuilder,
    WebhookPath(id): WebhookPath,
) -> Result<StatusCode, Problem> {
    begin_change(ChangeAttempt::Webhook(id));
    let deleted = operator.store.delete(id).await;
    deleted.map_err(|error| failures::of_change(error, id, &links))?;
    operator.log(id, "deleted");
    Ok(StatusCode::NO_CONTENT)
}
