//! `POST /v1/webhooks`: creates a subscription and shows its secret.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::SubscriptionId;
use domain::derived_ids::subscription_id_for_key;
use domain::subscription::SigningSecret;

use super::create_body::{CreateWebhook, NewWebhook};
use super::responses::WebhookBody;
use super::{WebhookOperator, failures, secret};
use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{IdempotencyKey, JsonBody, revision_etag};
use crate::ports::webhooks::{SubscriptionStatus, WebhookError};
use crate::problem::{Problem, REPLAYED};
use crate::state::{AppState, SharedState};

/// Creates a webhook subscription
///
/// From now on, or from the place that `from` names, every recorded event that passes `types` and `customer_id` is
/// posted to `url`. The events of one order are posted in the sequence of their versions. The answer contains the
/// `secret` that signs deliveries. No later answer contains it: if you lose the secret, rotate it.
///
/// With an `Idempotency-Key`, a retry creates no second subscription. It returns the subscription as it is now, with
/// `Idempotent-Replayed: true` and without the secret.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    operation_id = "createWebhook",
    tag = "webhooks",
    params(IdempotencyKey),
    request_body(content = CreateWebhook, description = "The subscription to create; at most 256 KiB"),
    responses(
        (status = 201, description = "The subscription, with its secret", body = WebhookBody),
        (status = 400, description = "The body is not valid JSON, or a header is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not deliver webhooks"),
        (status = 409, description = "There are 100 subscriptions already"),
        (status = 422, description = "The body has errors, of which up to 100 are listed; or the key was used for a different request"),
        (status = 501, description = "The backend of this service cannot begin at the place that `from` names"),
        (status = 503, description = "It is unknown whether the subscription was created (`outcome-unknown`)"),
    )
)]
pub(super) async fn create_webhook(
    State(state): State<SharedState>,
    operator: WebhookOperator,
    key: IdempotencyKey,
    links: LinkBuilder,
    JsonBody(new, _grant): JsonBody<NewWebhook>,
) -> Result<Response, Problem> {
    let (id, request_hash) = identity(&state, &operator, &key, &new);
    if request_hash.is_some()
        && let Some(known) = operator.store.subscription(id).await?
    {
        return replayed(&known, request_hash.as_ref(), &links);
    }
    let (secret, by) = (secret::generate()?, operator.principal.name());
    let (mut subscription, start) = new.subscription(id, (state.clock)(), by.as_deref());
    subscription.secrets = vec![SigningSecret { secret: secret.clone(), expires_at: None }];
    subscription.request_hash.clone_from(&request_hash);
    begin_change(ChangeAttempt::Webhook(id));
    match operator.store.create(&subscription, start).await {
        Ok(()) => {}
        // A concurrent request with the same key created the subscription.
        Err(WebhookError::Changed) if request_hash.is_some() => {
            return replayed(&operator.find(id).await?, request_hash.as_ref(), &links);
        }
        Err(error) => return Err(failures::of_change(error, id, &links)),
    }
    operator.log(id, "created");
    let stored = operator.store.subscription(id).await.ok().flatten();
    let created = stored.unwrap_or(SubscriptionStatus { subscription, progress: Default::default() });
    answer(WebhookBody::of(&created, &links).with_secret(secret), &created, &links)
}

/// The id for the new subscription, and the hash of the request. An idempotency key determines the id, so a retry gets
/// the same id. Without an idempotency key, the id is new and there is no hash.
fn identity(
    state: &AppState,
    operator: &WebhookOperator,
    key: &IdempotencyKey,
    new: &NewWebhook,
) -> (SubscriptionId, Option<String>) {
    match key.as_str() {
        Some(key) => (subscription_id_for_key(&operator.principal.subject, key), Some(new.hash())),
        None => ((state.new_id)().into(), None),
    }
}

/// The answer to a retry, without the secret. If it contained the secret, anybody who has seen or guessed an idempotency key
/// could read the secret.
fn replayed(
    known: &SubscriptionStatus,
    request_hash: Option<&String>,
    links: &LinkBuilder,
) -> Result<Response, Problem> {
    if known.subscription.request_hash.as_ref() != request_hash {
        return Err(Problem::key_reused());
    }
    let mut response = answer(WebhookBody::of(known, links), known, links)?;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn answer(body: WebhookBody, status: &SubscriptionStatus, links: &LinkBuilder) -> Result<Response, Problem> {
    let subscription = &status.subscription;
    let location = HeaderValue::try_from(links.webhook(subscription.id)).map_err(anyhow::Error::from)?;
    let headers = [(header::LOCATION, location), (header::ETAG, revision_etag(subscription.revision))];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}
