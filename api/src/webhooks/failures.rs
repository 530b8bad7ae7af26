//! Problems of requests about subscriptions. All handlers of this folder create them here.

use domain::{EventId, SubscriptionId};

use crate::http::{ChangeAttempt, LinkBuilder};
use crate::input::{BodyErrors, ValidationCode};
use crate::ports::webhooks::{MAX_SUBSCRIPTIONS, WebhookError};
use crate::problem::{Problem, ProblemKind};

/// The problem for a subscription that does not exist.
pub(super) fn missing(id: SubscriptionId) -> Problem {
    Problem::new(ProblemKind::WebhookNotFound, format!("There is no webhook subscription {id}."))
}

/// The problem for an event without a delivery that an operator can skip.
pub(super) fn no_delivery(event_id: EventId) -> Problem {
    let detail = format!(
        "Event {event_id} has no delivery of this subscription that can be skipped. Only a delivery that is retried, or that \
         the service gave up, can be skipped."
    );
    Problem::new(ProblemKind::DeliveryNotFound, detail)
}

/// The problem for a request that the state of the subscriptions does not allow.
pub(super) fn conflict(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::WebhookConflict, detail.into())
}

/// The problem for a failed attempt to change the subscription. If the store failed instead of refusing the change, the change
/// may have been made.
pub(super) fn of_change(error: WebhookError, id: SubscriptionId, links: &LinkBuilder) -> Problem {
    match error {
        WebhookError::Failed(cause) => ChangeAttempt::Webhook(id).problem(links, cause),
        error => of_read(error, id),
    }
}

/// The problem for a request that failed and has changed nothing.
pub(super) fn of_read(error: WebhookError, id: SubscriptionId) -> Problem {
    match error {
        WebhookError::NotFound => missing(id),
        WebhookError::NoDelivery => {
            Problem::new(ProblemKind::DeliveryNotFound, "The subscription has no such delivery.")
        }
        WebhookError::NoOrder => {
            Problem::new(ProblemKind::OrderNotFound, "No event of the order to replay is recorded.")
        }
        WebhookError::Changed => conflict(
            "Another request changed the subscription meanwhile. Read the subscription, and send the request again.",
        ),
        WebhookError::TooMany => {
            conflict(format!("There are {MAX_SUBSCRIPTIONS} subscriptions, which is the maximum."))
        }
        WebhookError::UnknownCursor => at_cursor("must be a cursor of this service's feed"),
        WebhookError::ExpiredCursor => at_cursor("must be a cursor whose later events the feed still keeps"),
        WebhookError::NotSupported(why) => Problem::new(ProblemKind::NotSupported, why),
        WebhookError::Failed(cause) => cause.into(),
    }
}

fn at_cursor(rule: &'static str) -> Problem {
    let mut errors = BodyErrors::default();
    errors.add("cursor", ValidationCode::Format, rule);
    Problem::of_body(errors)
}
