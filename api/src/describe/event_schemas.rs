//! JSON Schemas of events as they are recorded and as they travel: for both descriptions, OpenAPI and AsyncAPI.
//!
//! The limits of values are those of the bodies that clients send, whose schemas these are made of. What differs: data
//! states its order, unknown members are tolerated, there may be blanks around ids, and what article producers do not tell
//! may be absent.

use domain::EventType;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::describe::schemas;
use crate::orders::{
    AmendedData, CreateOrder, NoData, OrderLineBody, PaidData, ReasonData, RefundedData, ShippedData,
};

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
        data["properties"]["items"]["items"] = line(event_type);
    }
    if event_type == EventType::Created {
        data["properties"]["metadata"] = schemas::metadata_entries();
        data["properties"]["total"]["description"] =
            "What it costs: the sum of the lines, or what an article producer stated.".into();
    }
    data
}

/// The schema of a line in the data of events of this type.
pub(crate) fn line(event_type: EventType) -> Value {
    let mut line = loosened(to_json(&OrderLineBody::schema()));
    if event_type == EventType::Created {
        line["required"] = json!(["sku", "quantity"]);
        line["properties"]["unit_price"]["description"] =
            "Absent only where the order came from a producer that states totals alone.".into();
    }
    line
}

/// The name of the schema of recorded events of this type.
pub(crate) fn recorded_name(event_type: EventType) -> String {
    format!("recorded_{event_type}")
}

/// The schemas of recorded events, by name: for each type the event, its data, and the type itself. That one has a
/// schema because the Go client of OpenAPI Generator tells events apart by the enums that have a name, and by no others.
pub(crate) fn recorded() -> Vec<(String, Value)> {
    let of_type = |event_type: EventType| {
        let name = recorded_name(event_type);
        let mut data = data(event_type);
        if data["properties"]["items"].is_object() {
            let line = if event_type == EventType::Created { "OrderLine" } else { "AmendedLine" };
            data["properties"]["items"]["items"] = reference(line);
        }
        let constant = json!({ "type": "string", "enum": [event_type] });
        [
            (format!("{event_type}_type"), constant),
            (format!("{name}_data"), data),
            (name, recorded_of(event_type)),
        ]
    };
    let repaired = [("Repair".to_owned(), repair()), ("Repaired".to_owned(), repaired())];
    EventType::ALL.into_iter().flat_map(of_type).chain(repaired).collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn recorded_of(event_type: EventType) -> Value {
    let mut schema = envelope();
    schema["description"] = format!("A recorded `{event_type}`.").into();
    let members = &mut schema["properties"];
    members["type"] = reference(&format!("{event_type}_type"));
    members["data"] = reference(&format!("{}_data", recorded_name(event_type)));
    members["expected_version"]["format"] = "int64".into();
    members["version"] = json!({
        "type": "integer", "format": "int64", "minimum": 1, "description": "Its place in the order's log.",
    });
    members["recorded_at"] = json!({
        "type": "string", "format": "date-time", "description": "When it was recorded, by the consumer's clock.",
    });
    members["repaired"] = reference("Repaired");
    // Clients never see it: it would let anyone test guesses at what another client sent.
    members.as_object_mut().map(|members| members.remove("request_hash"));
    schema["required"] = ["version", "recorded_at"].iter().chain(&REQUIRED).copied().collect();
    schema
}

/// The schema of who repaired a dead letter.
pub(crate) fn repairs() -> Value {
    json!({
        "type": "array", "maxItems": 20, "description": "Who repaired it, and when, in that order.",
        "items": reference("Repair"),
    })
}

fn repair() -> Value {
    json!({
        "type": "object",
        "description": "Who replaced the body of a dead letter, and when.",
        "properties": {
            "at": { "type": "string", "format": "date-time", "description": "When." },
            "by": { "type": "string", "description": "Who, if requests are authenticated." },
        },
        "required": ["at"],
    })
}

/// The schema of what a recorded event says of the repaired dead letter that it was.
fn repaired() -> Value {
    json!({
        "type": "object",
        "description": "Only if it was a dead letter whose body was replaced: who did that, and what was sent first.",
        "properties": {
            "dead_letter": { "type": "string", "description": "The dead letter's id." },
            "repairs": repairs(),
            "original_sha256": {
                "type": "string", "pattern": "^[0-9a-f]{64}$",
                "description": "The SHA-256 of the body that was sent first.",
            },
            "original": {
                "$ref": "#/components/schemas/AnyBody",
                "description": "The body that was sent first: only for operators, and only up to 16 KiB.",
            },
        },
        "required": ["dead_letter", "original_sha256"],
    })
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
        if let Some(pattern) = member["pattern"].as_str().and_then(with_blanks) {
            member["pattern"] = pattern.into();
        }
    }
    schema
}

/// The pattern of a name around which there may be blanks, of one around which there must be none.
fn with_blanks(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix(r"^[^\x00-\x1f\x7f-\x9f\s](")?;
    let any = inner.strip_suffix(r"*[^\x00-\x1f\x7f-\x9f\s])?$")?;
    let visible = any.strip_suffix(']')?;
    Some(format!(r"^{any}*{visible}\s]{any}*$"))
}
