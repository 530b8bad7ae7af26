//! Hand-written schemas of the operator endpoints. The bodies in `operator` refer to these schemas.

use domain::DeadLetterState;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::describe::event_schemas;
use crate::describe::schemas::{optional, reference, schema};

/// A message body of any bytes: `body` if it is text, otherwise `body_base64`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the struct only describes how the domain serializes a body")]
pub(crate) struct AnyBody {
    /// The body, if it is text.
    #[schema(nullable = false)]
    body: Option<String>,
    /// The body in base64, if it is not text.
    #[schema(nullable = false)]
    body_base64: Option<String>,
}

pub(crate) fn letter_state() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": DeadLetterState::ALL,
        "description": "`parked`: waits for an operator. `replaying`: sent back to the queue and not finished yet. \
            `discarded`: an operator discarded it.",
    }))
}

pub(crate) fn park_reason() -> RefOr<Schema> {
    reference("ParkReason")
}

pub(crate) fn optional_park_reason() -> RefOr<Schema> {
    optional("ParkReason")
}

pub(crate) fn discard() -> RefOr<Schema> {
    reference("Discard")
}

pub(crate) fn repairs() -> RefOr<Schema> {
    schema(event_schemas::repairs())
}
