//! The channel of the feed in the AsyncAPI description: the events of `GET /v1/events` as a stream.

use serde_json::{Value, json};

use crate::describe::samples;

/// The names of the feed's channel and of its message in the AsyncAPI description.
pub(super) const CHANNEL: &str = "feed";
pub(super) const MESSAGE: &str = "feed_item";

pub(super) fn channel() -> Value {
    json!({
        "address": "/v1/events",
        "title": "The feed",
        "description": "`GET /v1/events` with `Accept: text/event-stream`: the recorded events of all orders as server-sent events, \
            in the order in which they were recorded. The stream stays open and sends new events as they are recorded. `id` is \
            the cursor after the event, `event` is its type, and `data` is the message as one line. A reader that reconnects \
            with `Last-Event-ID` gets every later event; it can get an event twice. The pages of JSON, which the OpenAPI \
            description describes, contain the same items.",
        "messages": super::references([MESSAGE].into_iter()),
    })
}

/// Describes the message of the channel: an item of the feed.
pub(super) fn message() -> Value {
    json!({
        "name": MESSAGE,
        "title": MESSAGE,
        "summary": "A recorded event with its place in the feed. Its `data` has the same members as the message of this type on the queue.",
        "contentType": "application/json",
        "correlationId": { "location": "$message.payload#/correlation_id" },
        "payload": { "$ref": format!("#/components/schemas/{MESSAGE}") },
        "examples": [{ "name": MESSAGE, "payload": samples::feed_item() }],
    })
}

/// The schema of an item of the feed.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut members = super::webhooks::recorded_members();
    members["position"] = text("The event's place in the feed.");
    members["cursor"] = text("The cursor after this event.");
    json!({
        "type": "object",
        "allOf": [
            { "$ref": "#/components/schemas/Envelope" },
            {
                "properties": members,
                "required": ["position", "cursor", "version", "recorded_at"],
            },
        ],
    })
}
