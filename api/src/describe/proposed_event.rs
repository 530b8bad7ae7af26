//! The schema of the body that proposes an event. The OpenAPI description and `orders::accept` use it.

use domain::EventType;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::describe::event_schemas;
use crate::describe::schemas::{reference, schema};
use crate::orders::{AmendedData, NoData, proposable};

/// The body that proposes an event: one schema for each `type`. The union has no discriminator, because with one, the
/// Rust clients of OpenAPI Generator send `type` twice.
pub(crate) struct ProposedEvent;

impl ToSchema for ProposedEvent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let data = proposable().map(event_schemas::data_body);
        schemas.extend(data.map(|(name, schema)| (name.into_owned(), schema)));
        schemas.extend(proposable().map(|event_type| (event_type.to_string(), proposed(event_type))));
        AmendedData::schemas(schemas);
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

/// The schema of the body that proposes an event of this type.
fn proposed(event_type: EventType) -> RefOr<Schema> {
    let (data, _) = event_schemas::data_body(event_type);
    let has_data = data != NoData::name();
    let required = if has_data { json!(["type", "data"]) } else { json!(["type"]) };
    let data = json!({ "$ref": format!("#/components/schemas/{data}") });
    schema(json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": [event_type] },
            // Data without members may be absent or `null`.
            "data": if has_data { data } else { json!({ "oneOf": [data, { "type": "null" }] }) },
        },
        "required": required,
        "additionalProperties": false,
    }))
}
