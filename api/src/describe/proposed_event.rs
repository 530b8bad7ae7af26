//! The schema of the body that proposes an event. The OpenAPI description and `orders::accept` use this schema.

use domain::EventType;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::describe::schemas::{reference, schema};
use crate::orders::{DataBody, proposable};

/// The body that proposes an event: one schema for each `type`. The union has no discriminator, because a discriminator
/// makes the Rust clients of OpenAPI Generator send `type` twice.
pub(crate) struct ProposedEvent;

impl ToSchema for ProposedEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for event_type in proposable() {
            let DataBody { name, schema, parts, .. } = DataBody::of(event_type);
            schemas.push((event_type.to_string(), proposed(event_type)));
            schemas.push((name, schema));
            schemas.extend(parts);
        }
    }
}

impl PartialSchema for ProposedEvent {
    fn schema() -> RefOr<Schema> {
        schema(json!({
            "description": "An event to propose. `type` selects the schema of `data`.",
            "oneOf": proposable().map(|event_type| reference(event_type.as_str())).collect::<Vec<_>>(),
        }))
    }
}

/// The schema of the body that proposes an event of type `event_type`.
fn proposed(event_type: EventType) -> RefOr<Schema> {
    let DataBody { name, is_optional, .. } = DataBody::of(event_type);
    let required = if is_optional { json!(["type"]) } else { json!(["type", "data"]) };
    let data = json!({ "$ref": format!("#/components/schemas/{name}") });
    schema(json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": [event_type] },
            // Optional data may be `null` too.
            "data": if is_optional { json!({ "oneOf": [data, { "type": "null" }] }) } else { data },
        },
        "required": required,
        "additionalProperties": false,
    }))
}
