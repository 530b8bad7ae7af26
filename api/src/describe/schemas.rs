//! Schemas that bodies, parameters and both descriptions share, and helpers to write schemas. The derived schemas of
//! the bodies in `orders` and `operator` refer to the shared schemas.

use domain::adjustments::AdjustmentKind;
use domain::{EventType, Metadata};
use serde_json::{Map, Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

/// The values of the member `object`, which states what kind of object a body is.
pub(crate) const ORDER: &str = "order";
pub(crate) const RECEIPT: &str = "receipt";
pub(crate) const DEAD_LETTER: &str = "dead_letter";
pub(crate) const LIST: &str = "list";
pub(crate) const WEBHOOK: &str = "webhook";
pub(crate) const DELIVERY: &str = "delivery";

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

pub(super) fn constant(object: &str) -> RefOr<Schema> {
    schema(json!({ "type": "string", "enum": [object], "description": format!("Always `{object}`.") }))
}

/// A reference to the schema `name`.
pub(crate) fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// A reference to the schema `name`, for a member that may be `null`.
pub(crate) fn optional(name: &str) -> RefOr<Schema> {
    schema(json!({ "oneOf": [reference(name), { "type": "null" }] }))
}

/// A union of object schemas. `by` is the name of the member whose value distinguishes the objects.
///
/// The union itself declares the member, as a plain string. The Rust clients of OpenAPI Generator use the member as the
/// tag of an enum, and they reject variants if the union restricts the values of the member.
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
    // utoipa's `OneOf` has no field for `properties`, so `properties` is added as an extension.
    union.extensions = Some(Extensions::from_iter([("properties", json!({ by: { "type": "string" } }))]));
    RefOr::T(Schema::OneOf(union))
}

/// An optional request header.
pub(crate) fn header_parameter(name: &str, description: &str, schema: Value) -> Parameter {
    optional_parameter(ParameterIn::Header, name, description, self::schema(schema))
}

/// An optional parameter of the query.
pub(crate) fn query_parameter(name: &str, description: &str, schema: RefOr<Schema>) -> Parameter {
    optional_parameter(ParameterIn::Query, name, description, schema)
}

fn optional_parameter(place: ParameterIn, name: &str, description: &str, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// The schema of a request tag: the first 16 digits of a request's hash.
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
        "description": "`accepted`: the event is durable and has no outcome yet. `recorded`: it is in the order's log. \
            `rejected`: the rules refused it, or an operator discarded it. `parked`: it could not be processed and is a \
            dead letter.",
        "enum": ["accepted", "recorded", "rejected", "parked"],
    }))
}

pub(crate) fn status() -> RefOr<Schema> {
    reference("OrderStatus")
}

pub(crate) fn metadata() -> RefOr<Schema> {
    optional("Metadata")
}

/// The schema of the client's own metadata.
pub(crate) fn metadata_entries() -> Value {
    json!({
        "type": "object",
        "description": format!(
            "Your own key-value data: up to {} entries, with keys of 1–{} and values of up to {} characters.",
            Metadata::MAX_ENTRIES, Metadata::MAX_KEY, Metadata::MAX_VALUE,
        ),
        "maxProperties": Metadata::MAX_ENTRIES,
        "propertyNames": {
            "type": "string", "minLength": 1, "maxLength": Metadata::MAX_KEY,
            "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
        },
        "additionalProperties": { "type": "string", "maxLength": Metadata::MAX_VALUE },
    })
}

/// A reference to the schema of changes of the client's own metadata.
pub(crate) fn metadata_patch() -> RefOr<Schema> {
    reference("MetadataPatch")
}

/// The schema of changes of the client's own metadata.
pub(crate) fn metadata_changes() -> Value {
    let mut patch = metadata_entries();
    patch["description"] =
        "Changes of the metadata, as a merge patch (RFC 7396): a string sets an entry, and `null` removes it.".into();
    patch["minProperties"] = 1.into();
    patch["additionalProperties"]["type"] = json!(["string", "null"]);
    patch
}

pub(crate) fn adjustment_kind() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": AdjustmentKind::ALL, "description": "What the adjustment is for.",
    }))
}

pub(crate) fn payment_status() -> RefOr<Schema> {
    reference("PaymentStatus")
}

pub(crate) fn fulfilment_status() -> RefOr<Schema> {
    reference("FulfilmentStatus")
}

pub(crate) fn order_contact() -> RefOr<Schema> {
    reference("OrderContact")
}

pub(crate) fn order_adjustments() -> RefOr<Schema> {
    list("Discounts, shipping, taxes and fees.", "OrderAdjustment")
}

pub(crate) fn holds() -> RefOr<Schema> {
    list("The holds that are not released. An order with a hold cannot be shipped.", "Hold")
}

pub(crate) fn line_quantities() -> RefOr<Schema> {
    list("The number of units of each line.", "OrderLineQuantity")
}

fn list(description: &str, element: &str) -> RefOr<Schema> {
    schema(json!({ "type": "array", "description": description, "items": reference(element) }))
}

pub(crate) fn shipment_state() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": ["shipped", "delivered"],
        "description": "`shipped`: the goods are on their way. `delivered`: the customer has the goods.",
    }))
}

pub(crate) fn return_state() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": ["requested", "received"],
        "description": "`requested`: the customer asked to return the goods. `received`: the goods have arrived.",
    }))
}

/// The schema of a string with a fixed set of values. Its description lists the meaning of each value.
pub(crate) fn words(summary: &str, words: &[(&str, &str)]) -> Value {
    let meanings: Vec<_> = words.iter().map(|(word, meaning)| format!("`{word}`: {meaning}")).collect();
    let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    json!({ "type": "string", "description": format!("{summary} {}", meanings.join(" ")), "enum": names })
}

/// The schema of the member `payment`, which old clients read.
pub(crate) fn payment() -> RefOr<Schema> {
    reference("OrderPayment")
}

/// The schema of the member `shipment`, which old clients read.
pub(crate) fn shipment() -> RefOr<Schema> {
    reference("OrderShipment")
}

pub(crate) fn recorded_events() -> RefOr<Schema> {
    schema(json!({ "type": "array", "items": reference("RecordedEvent") }))
}

pub(crate) fn violation() -> RefOr<Schema> {
    reference("Violation")
}

/// Converts JSON to a schema. A JSON literal is shorter than calls of utoipa's builder, and looks like the generated
/// document.
pub(crate) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("the literals of this module are schemas")
}
