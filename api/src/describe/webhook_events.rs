//! The schemas of what is posted to a webhook subscription, for both descriptions, and the headers of each delivery. The
//! consumer encodes these bodies; `tests/it/spec` compares its output with these schemas.

use serde_json::{Value, json};

/// The content type of a delivery.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The headers of each delivery: name, schema and description.
pub(crate) fn headers() -> [(&'static str, Value, &'static str); 3] {
    [
        (
            "webhook-id",
            json!({ "type": "string" }),
            "The event's id. It is the same on every attempt, so a receiver recognizes repeated events by it.",
        ),
        (
            "webhook-timestamp",
            json!({ "type": "string", "pattern": "^[0-9]+$" }),
            "When the attempt was made, in seconds since 1970 (UTC). Refuse attempts that are more than five minutes old.",
        ),
        (
            "webhook-signature",
            json!({ "type": "string", "pattern": "^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$" }),
            "For each valid secret, `v1,` and the base64 of the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`, \
             separated by blanks (Standard Webhooks).",
        ),
    ]
}

/// The schema of the body that delivers an event. `data` is the schema of the recorded event.
pub(crate) fn event(data: &Value) -> Value {
    let mut schema = cloud_event("A recorded event, as a CloudEvents 1.0 event in JSON.", data);
    let members = &mut schema["properties"];
    members["type"] = json!({
        "type": "string", "pattern": "^orders\\.order_",
        "description": "`orders.` and the event's type, such as `orders.order_paid`.",
    });
    members["subject"] = json!({
        "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "The order that the event belongs to.",
    });
    members["orderversion"] = json!({
        "type": "integer", "format": "int64", "minimum": 1,
        "description": "The order's version after this event. Within an order, versions arrive in order: 1, 2, 3 …",
    });
    let required = schema["required"].as_array_mut().into_iter();
    required.for_each(|names| names.extend(["subject", "orderversion"].map(Value::from)));
    schema
}

/// The schema of the event that tests a subscription.
pub(crate) fn test_event() -> Value {
    let data = json!({
        "type": "object",
        "properties": { "message": { "type": "string", "description": "A text for people." } },
        "required": ["message"],
    });
    let mut schema = cloud_event("An event that tests a subscription. It belongs to no order.", &data);
    schema["properties"]["type"] = json!({ "type": "string", "enum": ["orders.webhook_test"], "description": "Always `orders.webhook_test`." });
    schema
}

fn cloud_event(description: &str, data: &Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "specversion": { "type": "string", "pattern": "^1\\.0$", "description": "The version of CloudEvents: `1.0`." },
            "id": { "type": "string", "format": "uuid", "description": "The event's id, as in `webhook-id`." },
            "source": {
                "type": "string", "format": "uri-reference",
                "description": "The service that recorded the event: `/orders`, unless its operator configured another name.",
            },
            "type": {},
            "time": { "type": "string", "format": "date-time", "description": "When the event was recorded." },
            "datacontenttype": { "type": "string", "description": "Always `application/json`." },
            "data": data,
        },
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
    })
}
