//! The endpoints under `/v1/webhooks`: webhook subscriptions and their deliveries. A subscription has a URL, and the
//! service posts recorded events to that URL. `lib.rs` adds the [`routes`]; `describe` uses the bodies. The port
//! [`WebhookStore`] stores subscriptions and delivers events.
//!
//! All endpoints need the scope `orders.operate` and a token that is not limited to one customer, because a URL and
//! its headers may contain credentials, and a subscription sends the orders of all customers elsewhere.

mod action_bodies;
mod actions;
mod attempt;
mod change;
mod create;
mod create_body;
mod deliveries;
mod failures;
mod patch;
mod read;
mod receiver;
mod responses;
mod secret;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::SubscriptionId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::attempt::AttemptBody;
pub(crate) use self::responses::{DeliveryPage, WebhookBody, WebhookList};
use crate::auth::Principal;
use crate::ports::webhooks::{SubscriptionStatus, WebhookStore};
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// The endpoints and their descriptions.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_webhook, read::list_webhooks))
        .routes(routes!(read::get_webhook, change::update_webhook, change::delete_webhook))
        .routes(routes!(change::rotate_webhook_secret))
        .routes(routes!(actions::test_webhook))
        .routes(routes!(actions::replay_webhook))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::skip_delivery))
}

/// A principal that may manage webhook subscriptions, together with the store of the subscriptions.
struct WebhookOperator {
    principal: Principal,
    store: Arc<dyn WebhookStore>,
}

impl WebhookOperator {
    /// Finds the subscription and its progress. If the subscription does not exist, the error is a 404.
    async fn find(&self, id: SubscriptionId) -> Result<SubscriptionStatus, Problem> {
        self.store.subscription(id).await?.ok_or_else(|| failures::missing(id))
    }

    /// Logs a change. The log line contains no URL and no header, because URLs and headers may contain credentials.
    fn log(&self, id: SubscriptionId, change: &'static str) {
        let by = &self.principal.subject;
        tracing::info!(by, webhook = %id, change, "webhook subscription changed");
    }
}

impl FromRequestParts<SharedState> for WebhookOperator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require_operator()?;
        let absent = || Problem::new(ProblemKind::NotFound, "This service does not deliver webhooks.");
        let store = state.webhooks.clone().ok_or_else(absent)?;
        Ok(Self { principal, store })
    }
}
