//! Hand-written schemas of webhook subscriptions. The bodies in `webhooks` refer to these schemas.

use domain::{EventType, SubscriptionState};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::schemas::{DELIVERY, WEBHOOK, constant, schema, words};
use crate::ports::webhooks::DeliveryState;

pub(crate) fn webhook_object() -> RefOr<Schema> {
    constant(WEBHOOK)
}

pub(crate) fn delivery_object() -> RefOr<Schema> {
    constant(DELIVERY)
}

/// The schema of a subscription's event types in an answer.
pub(crate) fn types() -> RefOr<Schema> {
    schema(json!({
        "type": "array",
        "description": "The types of event that are delivered. Empty: all types.",
        "items": { "type": "string", "enum": EventType::ALL },
    }))
}

/// The schema of a subscription's event types in a request.
pub(crate) fn selected_types() -> RefOr<Schema> {
    schema(json!({
        "type": ["array", "null"],
        "description": "The types of event to deliver. Absent, empty or `null`: all types.",
        "items": { "type": "string", "enum": EventType::ALL },
        "uniqueItems": true,
        "maxItems": EventType::ALL.len(),
    }))
}

pub(crate) fn event_type() -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": EventType::ALL, "description": "The type of the event." }))
}

/// The schema of the additional headers of a new subscription.
pub(crate) fn headers() -> RefOr<Schema> {
    schema(header_map(
        "Additional headers of each delivery, such as credentials for the receiver. Headers that the service or HTTP sets \
         (`host`, `content-*`, `webhook-*`, `connection` and others) are refused.",
        10,
        &json!("string"),
    ))
}

/// The schema of changes of a subscription's additional headers.
pub(crate) fn header_changes() -> RefOr<Schema> {
    schema(header_map(
        "Changes of the additional headers, as a merge patch: a string sets a header, `null` removes it, and other headers \
         stay. `null` instead of the object removes all headers.",
        20,
        &json!(["string", "null"]),
    ))
}

fn header_map(description: &str, max: usize, value: &Value) -> Value {
    json!({
        "type": ["object", "null"],
        "description": description,
        "maxProperties": max,
        "propertyNames": { "type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$" },
        "additionalProperties": {
            "type": value, "minLength": 1, "maxLength": 1024, "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
    })
}

pub(crate) fn subscription_state() -> RefOr<Schema> {
    let meaning = |state: SubscriptionState| match state {
        SubscriptionState::Active => "events are delivered.",
        SubscriptionState::Paused => "an operator paused it, or its receiver answered 410 Gone.",
        SubscriptionState::Disabled => {
            "the service stopped deliveries, because all of them failed for a long time."
        }
    };
    let states: Vec<_> =
        SubscriptionState::ALL.iter().map(|state| (state.as_str(), meaning(*state))).collect();
    schema(words("Whether events are delivered. No event is lost while deliveries are stopped.", &states))
}

pub(crate) fn delivery_state() -> RefOr<Schema> {
    let meaning = |state: DeliveryState| match state {
        DeliveryState::Delivered => "the receiver answered with a 2xx status.",
        DeliveryState::Retrying => "every attempt so far has failed, and another one follows.",
        DeliveryState::Held => "an earlier delivery of its order must succeed first.",
        DeliveryState::GaveUp => {
            "every attempt has failed, and none follows until an operator replays or skips the delivery."
        }
        DeliveryState::Skipped => "an operator has skipped the delivery.",
    };
    let states: Vec<_> = DeliveryState::ALL.iter().map(|state| (state.as_str(), meaning(*state))).collect();
    schema(words("The state of the delivery.", &states))
}
