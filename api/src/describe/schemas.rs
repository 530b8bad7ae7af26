//! Schemas that bodies, parameters and both descriptions share, and the helpers that write them.

use domain::{EventType, Metadata};
use serde_json::{Map, Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

/// What the `object` of each body is.
pub(crate) const ORDER: &str = "order";
pub(crate) const RECEIPT: &str = "receipt";
pub(crate) const DEAD_LETTER: &str = "dead_letter";
pub(crate) const LIST: &str = "list";

pub(crate) fn order_object() -> RefOr<Schema> {
    constant(ORDER)
}

pub(crate) fn receipt_object() -> RefOr<Schema> {
    constant(RECEIPT)
}

pub(crate) fn dead_letter_object() -> RefOr<Schema> {
    constant(DEAD_LETTER)
}

pub(crate) fn list_object() -> RefOr<Schema> {
    constant(LIST)
}

fn constant(object: &str) -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": [object], "description": format!("Always `{object}`.") }))
}

/// A reference to the schema of this name.
pub(crate) fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// The same for a member that may be `null`.
pub(crate) fn optional(name: &str) -> RefOr<Schema> {
    schema(json!({ "oneOf": [reference(name), { "type": "null" }] }))
}

/// One of several objects, told apart by the value that each has in the member `by`.
///
/// The union states this member itself, as a plain string: the Rust client of OpenAPI Generator reads it as the tag of
/// an enum, and takes a variant without it only if the union does not restrict its values.
pub(crate) fn union(description: &str, by: &str, variants: &[(&str, &str)]) -> RefOr<Schema> {
    let at = |name: &str| format!("#/components/schemas/{name}");
    let mapping: Map<_, _> =
        variants.iter().map(|(value, name)| ((*value).to_owned(), at(name).into())).collect();
    let schema = schema(json!({
        "description": description,
        "oneOf": variants.iter().map(|(_, name)| json!({ "$ref": at(name) })).collect::<Value>(),
        "discriminator": { "propertyName": by, "mapping": mapping },
    }));
    let RefOr::T(Schema::OneOf(mut union)) = schema else { return schema };
    // The type for unions has no place for members.
    union.extensions = Some(Extensions::from_iter([("properties", json!({ by: { "type": "string" } }))]));
    RefOr::T(Schema::OneOf(union))
}

/// A header that a request may have.
pub(crate) fn header_parameter(name: &str, description: &str, schema: Value) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(self::schema(schema)))
        .build()
}

/// The beginning of a request's hash.
pub(crate) fn request_tag() -> RefOr<Schema> {
    schema(json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }))
}

pub(crate) fn event_type() -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": EventType::ALL }))
}

pub(crate) fn event_types() -> RefOr<Schema> {
    schema(json!({
        "type": "array",
        "description": "The events that are legal now.",
        "items": { "type": "string", "enum": EventType::ALL },
    }))
}

pub(crate) fn receipt_state() -> RefOr<Schema> {
    schema(json!({
        "type": "string",
        "description": "`accepted`: durable, and what becomes of it is open. `recorded`: in the order's log. \
            `rejected`: the rules said no. `parked`: in the dead letters.",
        "enum": ["accepted", "recorded", "rejected", "parked"],
    }))
}

pub(crate) fn status() -> RefOr<Schema> {
    reference("OrderStatus")
}

pub(crate) fn metadata() -> RefOr<Schema> {
    optional("Metadata")
}

/// The client's own notes, as they are sent and recorded.
pub(crate) fn metadata_entries() -> Value {
    json!({
        "type": "object",
        "description": format!(
            "Your own notes: keys of 1–{} and values of up to {} characters.",
            Metadata::MAX_KEY, Metadata::MAX_VALUE,
        ),
        "maxProperties": Metadata::MAX_ENTRIES,
        "propertyNames": {
            "type": "string", "minLength": 1, "maxLength": Metadata::MAX_KEY,
            "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
        },
        "additionalProperties": { "type": "string", "maxLength": Metadata::MAX_VALUE },
    })
}

pub(crate) fn recorded_lines() -> RefOr<Schema> {
    let line = reference("OrderLine");
    schema(json!({ "type": "array", "description": "What is ordered.", "items": line }))
}

pub(crate) fn payment() -> RefOr<Schema> {
    reference("OrderPayment")
}

pub(crate) fn shipment() -> RefOr<Schema> {
    reference("OrderShipment")
}

pub(crate) fn recorded_events() -> RefOr<Schema> {
    schema(json!({ "type": "array", "items": reference("RecordedEvent") }))
}

/// A schema as it is written in the document: shorter than its builder, and what readers of the document know.
pub(crate) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("the literals of this module are schemas")
}
