//! JSON Schemas of recorded events and of messages, for both descriptions.
//!
//! The schemas are derived from those of the bodies that clients send, so the limits are the same. There are four
//! differences: `data` contains the id of the order, unknown members are ignored, ids may have surrounding blanks, and
//! members that schema version 0 lacks may be absent.

use domain::EventType;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::describe::schemas;
use crate::orders::{AddressBody, AdjustmentBody, ContactBody, DataBody, LineQuantityBody, OrderLineBody};

const REQUIRED: [&str; 6] = ["event_id", "type", "schema_version", "timestamp", "correlation_id", "data"];

/// The schema of an order id.
pub(crate) fn order_id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "description": "The order that the event belongs to." })
}

/// The schema of an envelope. It allows any data and unknown members.
pub(crate) fn envelope() -> Value {
    json!({
        "type": "object",
        "description": "The members that every event has.",
        "properties": {
            "event_id": {
                "type": "string", "format": "uuid",
                "description": "The event's unique id. A second event with the same id has no effect.",
            },
            "type": { "type": "string", "enum": EventType::ALL, "description": "The type of the event." },
            "schema_version": {
                "type": "integer", "minimum": 1, "maximum": domain::SCHEMA_VERSION,
                "description": "The version of the event's data format.",
            },
            "timestamp": {
                "type": "string", "format": "date-time",
                "description": "When the event happened, by the producer's clock (RFC 3339, UTC).",
            },
            "correlation_id": {
                "type": "string", "pattern": "^[!-~]{1,128}$",
                "description": "The correlation id of the request that caused the event.",
            },
            "expected_version": {
                "type": "integer", "minimum": 0,
                "description": "The event is recorded only if the order is at this version. 0 means that the order does not exist yet.",
            },
            "request_hash": {
                "type": "string",
                "description": "A hash that distinguishes a retry from a different request with the same idempotency key.",
            },
            "actor": { "type": "string", "description": "The token subject of the client. Absent if the request was not authenticated." },
            "data": { "type": "object", "description": "The order's id, and the members that the event's type defines." },
        },
        "required": REQUIRED,
    })
}

/// The schema of the data of an event of type `event_type`. It refers to the schemas of [`parts`].
pub(crate) fn data(event_type: EventType) -> Value {
    let mut data = loosened(to_json(&DataBody::of(event_type).schema));
    data["description"] = format!("Data of `{event_type}`.").into();
    data["required"] = ["order_id"].iter().chain(event_type.required_data()).copied().collect();
    if !data["properties"].is_object() {
        data["properties"] = json!({});
    }
    let members = &mut data["properties"];
    members["order_id"] = order_id();
    match event_type {
        EventType::Created => {
            members["items"]["items"] = reference("CreatedLine");
            members["metadata"] = schemas::metadata_entries();
            members["total"]["description"] =
                "The price of the order in the currency's minor unit: the sum of the lines and adjustments. In schema version \
                 1, it may differ from the sum of the lines. The difference then becomes an adjustment."
                    .into();
        }
        EventType::Amended => members["items"]["items"] = reference("AmendedLine"),
        EventType::Annotated => members["metadata"] = loosened(schemas::metadata_changes()),
        EventType::Paid | EventType::Refunded => members["settles"] = settles(),
        _ => {}
    }
    data
}

/// The schema of the member `settles`, which clients cannot send.
fn settles() -> Value {
    json!({
        "type": "boolean",
        "description": "Whether the order counts as paid or refunded in full, whatever the amount. Always true for schema \
            versions 0 and 1. Events of later schema versions have this member only if they were upcast from these versions.",
    })
}

/// The named schemas that the data of events refers to.
pub(crate) fn parts() -> [(&'static str, Value); 6] {
    let loose = |schema| loosened(to_json(&schema));
    let mut created = loose(OrderLineBody::schema());
    created["required"] = json!(["sku", "quantity"]);
    created["properties"]["unit_price"]["description"] =
        "The price of one unit in the currency's minor unit. Absent only for orders of v0 producers, which state only a \
         total."
            .into();
    [
        ("CreatedLine", created),
        ("AmendedLine", loose(OrderLineBody::schema())),
        ("OrderLineQuantity", loose(LineQuantityBody::schema())),
        ("OrderAdjustment", loose(AdjustmentBody::schema())),
        ("OrderContact", loose(ContactBody::schema())),
        ("OrderAddress", loose(AddressBody::schema())),
    ]
}

/// The name of the schema of recorded events of type `event_type`.
pub(crate) fn recorded_name(event_type: EventType) -> String {
    format!("recorded_{event_type}")
}

/// The named schemas of recorded events. Each type of event has three: for the event, for its data and for its `type`.
/// The `type` is a separate schema, because the Go clients of OpenAPI Generator distinguish events only by named enums.
pub(crate) fn recorded() -> Vec<(String, Value)> {
    let of_type = |event_type: EventType| {
        let name = recorded_name(event_type);
        let data = data(event_type);
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
        "type": "integer", "format": "int64", "minimum": 1, "description": "The order's version after this event: 1, 2, 3 …",
    });
    members["recorded_at"] = json!({
        "type": "string", "format": "date-time", "description": "When the event was recorded, by the consumer's clock.",
    });
    members["repaired"] = reference("Repaired");
    members["position"] = json!({ "type": "string", "description": "The event's place in the feed. Only the feed has this member." });
    members["cursor"] = json!({ "type": "string", "description": "The cursor after this event. Only the feed has this member." });
    // Clients never see the request hash, because it would let them test guesses about another client's request.
    members.as_object_mut().map(|members| members.remove("request_hash"));
    schema["required"] = ["version", "recorded_at"].iter().chain(&REQUIRED).copied().collect();
    schema
}

/// The schema of the list of repairs, of an event or of a dead letter.
pub(crate) fn repairs() -> Value {
    json!({
        "type": "array", "maxItems": 20, "description": "The repairs, oldest first. If there are more than 20, only the first and the latest ones are listed.",
        "items": reference("Repair"),
    })
}

fn repair() -> Value {
    json!({
        "type": "object",
        "description": "One repair: who replaced the body of the dead letter, and when.",
        "properties": {
            "at": { "type": "string", "format": "date-time", "description": "When the body was replaced." },
            "by": { "type": "string", "description": "The operator's token subject. Absent if the service does not authenticate requests." },
        },
        "required": ["at"],
    })
}

/// The schema of a recorded event's member `repaired`.
fn repaired() -> Value {
    json!({
        "type": "object",
        "description": "The repairs of the dead letter, and its original body. Present only if the event was a dead letter and its body was repaired.",
        "properties": {
            "dead_letter": { "type": "string", "description": "The dead letter's id." },
            "repairs": repairs(),
            "original_sha256": {
                "type": "string", "pattern": "^[0-9a-f]{64}$",
                "description": "The SHA-256 hash of the original body.",
            },
            "original": {
                "$ref": "#/components/schemas/AnyBody",
                "description": "The original body. Only operators see it, and only if it has at most 16 KiB.",
            },
        },
        "required": ["dead_letter", "original_sha256"],
    })
}

fn to_json(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).expect("a schema is plain JSON")
}

/// Converts the schema of a request body to a schema for events. Requests must have at least one member, no unknown
/// members and no surrounding blanks, and may have `null` for absent members. These rules are removed, because they do
/// not apply to events. References to other bodies are replaced by references to [`parts`].
fn loosened(mut schema: Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return self::reference(&loose_name(reference));
    }
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    if let Some(variant) = variants.into_iter().find(|variant| variant["$ref"].is_string()) {
        return loosened(variant.clone());
    }
    if schema["additionalProperties"] == false {
        schema.as_object_mut().map(|keywords| keywords.remove("additionalProperties"));
    }
    schema.as_object_mut().map(|keywords| keywords.remove("minProperties"));
    if let Some(types) = schema["type"].as_array() {
        schema["type"] = types.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    if let Some(pattern) = schema["pattern"].as_str().and_then(with_blanks) {
        schema["pattern"] = pattern.into();
    }
    if schema["items"].is_object() {
        schema["items"] = loosened(schema["items"].take());
    }
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(|members| members.values_mut()) {
        *member = loosened(member.take());
    }
    schema
}

/// The name of the event schema that is derived from the request schema at `reference`.
fn loose_name(reference: &str) -> String {
    format!("Order{}", reference.rsplit('/').next().unwrap_or_default())
}

/// Converts the pattern of a name without surrounding blanks to a pattern that allows surrounding blanks.
fn with_blanks(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix(r"^[^\x00-\x1f\x7f-\x9f\s](")?;
    let any = inner.strip_suffix(r"*[^\x00-\x1f\x7f-\x9f\s])?$")?;
    let visible = any.strip_suffix(']')?;
    Some(format!(r"^{any}*{visible}\s]{any}*$"))
}
