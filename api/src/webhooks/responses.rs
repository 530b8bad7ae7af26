//! Response bodies about subscriptions and deliveries.

use std::collections::BTreeMap;

use domain::subscription::Stopped;
use domain::{EventType, SubscriptionId, SubscriptionState, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::attempt::AttemptBody;
use crate::describe::{schemas, webhook_schemas};
use crate::http::LinkBuilder;
use crate::input::cursor;
use crate::ports::webhooks::{Delivery, DeliveryProgress, Skip, SubscriptionStatus};

/// What answers show instead of the values of headers. Requests with this value are refused, so a client that sends a masked
/// value back cannot overwrite the real one.
pub(super) const MASK: &str = "••••••••";

/// A webhook subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookBody {
    #[schema(schema_with = webhook_schemas::webhook_object)]
    object: &'static str,
    /// The id of the subscription.
    #[schema(value_type = String, format = "uuid")]
    id: SubscriptionId,
    /// Grows by one with each change. It is also the `ETag`.
    #[schema(minimum = 1)]
    revision: u64,
    /// The URL that deliveries are posted to.
    url: String,
    /// The types of event that are delivered. Empty: all types.
    #[schema(schema_with = webhook_schemas::types)]
    types: Vec<EventType>,
    /// Only events of this customer's orders are delivered. Absent: those of all customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    customer_id: Option<String>,
    /// What the subscription is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<String>,
    /// The names of the additional headers of each delivery. Their values are masked.
    headers: BTreeMap<String, String>,
    #[schema(schema_with = webhook_schemas::subscription_state)]
    state: SubscriptionState,
    /// Why the subscription is not active, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stopped: Option<StoppedBody>,
    /// The secret that signs deliveries. Only the answers that create a subscription or rotate its secret contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
    /// When each secret expires, newest first. The secrets themselves are not shown.
    secrets: Vec<SecretBody>,
    progress: ProgressBody,
    /// When the subscription was created.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// When the subscription was last changed.
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
    links: WebhookLinks,
}

/// Why a subscription is not active.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookStopped)]
struct StoppedBody {
    /// The reason, in a sentence.
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
}

/// When a secret that signs deliveries expires. The secret itself is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
struct SecretBody {
    /// Until when the secret signs deliveries. Absent for the newest secret, which does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    expires_at: Option<Timestamp>,
}

/// The progress of a subscription's deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookProgress)]
struct ProgressBody {
    /// The place of the feed up to which every event is delivered, skipped or held back. A replay can begin at this place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// The number of recorded events after `cursor`, of all types and customers. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lag_events: Option<u64>,
    /// The age of the oldest event that is not delivered, in milliseconds. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lag_ms: Option<u64>,
    /// The number of orders whose events wait for a delivery that failed.
    held_orders: u64,
    /// When the oldest event that holds back its order was recorded. Absent if no order is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    held_since: Option<Timestamp>,
    /// When a delivery last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    succeeded_at: Option<Timestamp>,
    /// When the event of that delivery was recorded. Absent on services that know `lag_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    succeeded_recorded_at: Option<Timestamp>,
    /// Since when every attempt has failed. Absent while attempts succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    failing_since: Option<Timestamp>,
    /// The latest failure, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<String>,
}

/// Links of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookLinks)]
struct WebhookLinks {
    /// The link to this subscription.
    #[serde(rename = "self")]
    own: String,
    /// The link to its deliveries.
    deliveries: String,
}

impl WebhookBody {
    pub(crate) fn of(status: &SubscriptionStatus, links: &LinkBuilder) -> Self {
        let SubscriptionStatus { subscription, progress } = status;
        let stopped = |Stopped { reason, at }: &Stopped| StoppedBody { reason: reason.clone(), at: *at };
        let secrets = subscription.secrets.iter();
        Self {
            object: schemas::WEBHOOK,
            id: subscription.id,
            revision: subscription.revision,
            url: subscription.url.clone(),
            types: subscription.types.iter().copied().collect(),
            customer_id: subscription.customer_id.as_ref().map(ToString::to_string),
            description: subscription.description.clone(),
            headers: subscription.headers.keys().map(|name| (name.clone(), MASK.to_owned())).collect(),
            state: subscription.state,
            stopped: subscription.stopped.as_ref().map(stopped),
            secret: None,
            secrets: secrets.map(|secret| SecretBody { expires_at: secret.expires_at }).collect(),
            progress: ProgressBody::of(progress),
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
            links: WebhookLinks {
                own: links.webhook(subscription.id),
                deliveries: links.deliveries(subscription.id),
            },
        }
    }

    /// Adds the secret that the request has created to the body of the answer.
    pub(crate) fn with_secret(self, secret: String) -> Self {
        Self { secret: Some(secret), ..self }
    }
}

impl ProgressBody {
    fn of(progress: &DeliveryProgress) -> Self {
        Self {
            cursor: progress.cursor.as_ref().map(cursor::after_event),
            lag_events: progress.lag_events,
            lag_ms: progress.lag_ms,
            held_orders: progress.held_orders,
            held_since: progress.held_since,
            succeeded_at: progress.succeeded_at,
            succeeded_recorded_at: progress.succeeded_recorded_at,
            failing_since: progress.failing_since,
            last_error: progress.last_error.clone(),
        }
    }
}

/// All webhook subscriptions, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookList)]
pub(crate) struct WebhookList {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    #[schema(max_items = 100)]
    items: Vec<WebhookBody>,
    /// Always `null`, because one page contains all subscriptions.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl WebhookList {
    pub(crate) fn of(all: &[SubscriptionStatus], links: &LinkBuilder) -> Self {
        let items = all.iter().map(|status| WebhookBody::of(status, links)).collect();
        Self { object: schemas::LIST, items, next_cursor: None }
    }
}

/// The delivery of one event to a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryBody {
    #[schema(schema_with = webhook_schemas::delivery_object)]
    object: &'static str,
    /// The id of the event, which is the `webhook-id` of all its attempts.
    #[schema(value_type = String, format = "uuid")]
    event_id: domain::EventId,
    #[schema(schema_with = webhook_schemas::event_type)]
    event_type: EventType,
    /// The order of the event.
    #[schema(value_type = String)]
    order_id: domain::OrderId,
    /// The order's version after the event.
    #[schema(minimum = 1)]
    version: u64,
    #[schema(schema_with = webhook_schemas::delivery_state)]
    state: &'static str,
    /// The number of attempts.
    attempts: u32,
    /// The latest attempt. Absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_attempt: Option<AttemptBody>,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    next_attempt_at: Option<Timestamp>,
    /// Who skipped the delivery, when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    skipped: Option<SkipBody>,
    links: DeliveryLinks,
}

/// Who skipped a delivery, when and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliverySkip)]
struct SkipBody {
    /// The reason, in free text.
    reason: String,
    /// When the delivery was skipped.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// The operator's token subject. Absent if the service does not authenticate requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
}

/// Links of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryLinks)]
struct DeliveryLinks {
    /// The link to the order of the event.
    order: String,
}

impl DeliveryBody {
    fn of(delivery: &Delivery, links: &LinkBuilder) -> Self {
        let skipped =
            |skip: &Skip| SkipBody { reason: skip.reason.clone(), at: skip.at, by: skip.by.clone() };
        Self {
            object: schemas::DELIVERY,
            event_id: delivery.event_id,
            event_type: delivery.event_type,
            order_id: delivery.order_id.clone(),
            version: delivery.version,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_attempt: delivery.last_attempt.as_ref().map(AttemptBody::of),
            next_attempt_at: delivery.next_attempt_at,
            skipped: delivery.skip.as_ref().map(skipped),
            links: DeliveryLinks { order: links.order(&delivery.order_id) },
        }
    }
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub(crate) struct DeliveryPage {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    items: Vec<DeliveryBody>,
    /// The cursor of the next page: send it as `after`. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl DeliveryPage {
    pub(crate) fn of(all: &[Delivery], links: &LinkBuilder, next_cursor: Option<String>) -> Self {
        let items = all.iter().map(|delivery| DeliveryBody::of(delivery, links)).collect();
        Self { object: schemas::LIST, items, next_cursor }
    }
}
