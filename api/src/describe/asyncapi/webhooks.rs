//! The channel of webhooks in the AsyncAPI description: what the service posts to the receivers of subscriptions.

use domain::EventType;
use serde_json::{Value, json};

use crate::describe::{samples, webhook_events};

/// The name of the webhooks' channel in the AsyncAPI description.
pub(super) const CHANNEL: &str = "webhooks";
/// The names of the channel's messages: a recorded event, and the event that tests a subscription.
pub(super) const MESSAGES: [&str; 2] = ["webhook_event", "webhook_test"];

/// Describes the channel of webhooks. `messages` contains references to the channel's messages.
pub(super) fn channel(messages: &Value) -> Value {
    json!({
        "address": null,
        "title": "Webhooks",
        "description": "HTTP requests to the URLs of the webhook subscriptions (`/v1/webhooks`). A delivery is repeated until the \
            receiver answers with a 2xx status: an event arrives at least once, and the events of an order arrive in order.",
        "messages": messages,
    })
}

/// Describes the messages of the channel.
pub(super) fn messages() -> [(String, Value); 2] {
    let [event, test] = MESSAGES;
    [
        (
            event.to_owned(),
            message(
                event,
                "A recorded event that the subscription selects.",
                "WebhookEvent",
                &samples::webhooks::event(),
            ),
        ),
        (
            test.to_owned(),
            message(
                test,
                "An operator tests the subscription. The event belongs to no order.",
                "WebhookTestEvent",
                &samples::webhooks::test_event(),
            ),
        ),
    ]
}

fn message(name: &str, summary: &str, schema: &str, example: &Value) -> Value {
    let headers = webhook_events::headers();
    let required: Vec<_> = headers.iter().map(|(name, ..)| *name).collect();
    let member = |(name, mut schema, description): (&str, Value, &str)| {
        schema["description"] = description.into();
        (name.to_owned(), schema)
    };
    json!({
        "name": name,
        "title": name,
        "summary": summary,
        "contentType": webhook_events::CONTENT_TYPE,
        "headers": {
            "type": "object", "title": format!("{name}_headers"), "required": required,
            "properties": headers.clone().map(member).into_iter().collect::<serde_json::Map<_, _>>(),
        },
        "bindings": { "http": { "bindingVersion": "0.3.0" } },
        "payload": { "$ref": format!("#/components/schemas/{schema}") },
        "examples": [{ "name": name, "payload": example }],
    })
}

/// The schemas of the webhook messages. The data of a recorded event has the members of its type's schema, and the
/// members that recording adds.
pub(super) fn schemas() -> [(String, Value); 3] {
    let types: Vec<_> =
        EventType::ALL.iter().map(|kind| json!({ "$ref": format!("#/components/schemas/{kind}") })).collect();
    let recorded = json!({
        "type": "object",
        "description": "The members that recording adds to the data of an event.",
        "properties": recorded_members(),
        "required": ["version", "recorded_at"],
    });
    let data = json!({ "allOf": [{ "$ref": "#/components/schemas/Recorded" }, { "oneOf": types }] });
    [
        ("WebhookEvent".to_owned(), webhook_events::event(&data)),
        ("WebhookTestEvent".to_owned(), webhook_events::test_event()),
        ("Recorded".to_owned(), recorded),
    ]
}

/// The schemas of the members that an event gets when it is recorded. The messages of the feed contain these members
/// too.
pub(super) fn recorded_members() -> Value {
    json!({
        "version": {
            "type": "integer", "minimum": 1, "description": "The order's version after this event: 1, 2, 3 …",
        },
        "recorded_at": {
            "type": "string", "format": "date-time",
            "description": "When the event was recorded, by the consumer's clock.",
        },
    })
}
