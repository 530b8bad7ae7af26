//! JSON Schemas of events as they are recorded and as they travel: for both descriptions, OpenAPI and AsyncAPI.
//!
//! The limits of values are those of the bodies that clients send, whose schemas these are made of. What differs: data
//! states its order, unknown members are tolerated, and what article producers do not tell may be absent.

use domain::EventType;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use crate::dto::{CreateOrder, Line};
use crate::event_dto::{AmendedData, NoData, PaidData, ReasonData, RefundedData, ShippedData};

const REQUIRED: [&str; 6] = ["event_id", "type", "schema_version", "timestamp", "correlation_id", "data"];

/// The schema of an order id.
pub(crate) fn order_id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "The order it is about." })
}

/// The schema of an envelope around any data. Members that are not named here are tolerated.
pub(crate) fn envelope() -> Value {
    json!({
        "type": "object",
        "description": "What every event has.",
        "properties": {
            "event_id": {
                "type": "string", "format": "uuid",
                "description": "Names the event, forever. A second one of the same id changes nothing.",
            },
            "type": { "type": "string", "enum": EventType::ALL, "description": "What happened." },
            "schema_version": {
                "type": "integer", "minimum": 1, "maximum": domain::envelope::SCHEMA_VERSION,
                "description": "The version of this schema.",
            },
            "timestamp": {
                "type": "string", "format": "date-time",
                "description": "When it happened, by its producer's clock (RFC 3339, UTC).",
            },
            "correlation_id": {
                "type": "string", "pattern": "^[!-~]{1,128}$",
                "description": "The request that caused it.",
            },
            "expected_version": {
                "type": "integer", "minimum": 0,
                "description": "The version of the order that the producer saw and insists on.",
            },
            "request_hash": {
                "type": "string",
                "description": "Tells a retry from another request under the same idempotency key.",
            },
            "actor": { "type": "string", "description": "Who asked." },
            "data": { "type": "object", "description": "The order's id, and what belongs to the type." },
        },
        "required": REQUIRED,
    })
}

/// The schema of the data of events of this type.
pub(crate) fn data(event_type: EventType) -> Value {
    let (body, required): (_, &[&str]) = match event_type {
        EventType::Created => (CreateOrder::schema(), &["customer_id", "currency", "items", "total"]),
        EventType::Amended => (AmendedData::schema(), &["items"]),
        EventType::Paid => (PaidData::schema(), &[]),
        EventType::Shipped => (ShippedData::schema(), &[]),
        EventType::Cancelled | EventType::Returned => (ReasonData::schema(), &[]),
        EventType::Refunded => (RefundedData::schema(), &[]),
        EventType::Confirmed | EventType::Delivered => (NoData::schema(), &[]),
    };
    let mut data = loosened(to_json(&body));
    data["description"] = format!("Data of `{event_type}`.").into();
    data["required"] = ["order_id"].iter().chain(required).copied().collect();
    if !data["properties"].is_object() {
        data["properties"] = json!({});
    }
    data["properties"]["order_id"] = order_id();
    if data["properties"]["items"].is_object() {
        let mut line = loosened(to_json(&Line::schema()));
        if event_type == EventType::Created {
            line["required"] = json!(["sku", "quantity"]);
        }
        data["properties"]["items"]["items"] = line;
    }
    if event_type == EventType::Created {
        data["properties"]["total"]["description"] =
            "What it costs: the sum of the lines, or what an article producer stated.".into();
    }
    data
}

/// The schemas of recorded events, by name: one for each type, and the one that tells them apart.
pub(crate) fn recorded() -> Vec<(String, Value)> {
    let name = |event_type: EventType| format!("recorded_{event_type}");
    let reference = |event_type: EventType| format!("#/components/schemas/{}", name(event_type));
    let mut schemas: Vec<_> = EventType::ALL.into_iter().map(|t| (name(t), recorded_of(t))).collect();
    let mapping: Map<_, _> =
        EventType::ALL.into_iter().map(|t| (t.to_string(), reference(t).into())).collect();
    let union = json!({
        "description": "An event of the order's log.",
        "oneOf": EventType::ALL.map(|t| json!({ "$ref": reference(t) })),
        "discriminator": { "propertyName": "type", "mapping": mapping },
    });
    schemas.push(("RecordedEvent".to_owned(), union));
    schemas
}

fn recorded_of(event_type: EventType) -> Value {
    let mut schema = envelope();
    schema["description"] = format!("A recorded `{event_type}`.").into();
    let members = &mut schema["properties"];
    members["type"] = json!({ "type": "string", "enum": [event_type] });
    members["data"] = data(event_type);
    members["version"] =
        json!({ "type": "integer", "minimum": 1, "description": "Its place in the order's log." });
    members["recorded_at"] = json!({
        "type": "string", "format": "date-time", "description": "When it was recorded, by the consumer's clock.",
    });
    // Clients never see it: it would let anyone test guesses at what another client sent.
    members.as_object_mut().map(|members| members.remove("request_hash"));
    schema["required"] = ["version", "recorded_at"].iter().chain(&REQUIRED).copied().collect();
    schema
}

fn to_json(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).expect("a schema is plain JSON")
}

/// The schema of a body without what holds for requests only: nothing unknown, and `null` for what is not there.
fn loosened(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("additionalProperties");
    }
    for member in schema["properties"].as_object_mut().into_iter().flat_map(|members| members.values_mut()) {
        if let Some(types) = member["type"].as_array() {
            member["type"] = types.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
        }
    }
    schema
}
