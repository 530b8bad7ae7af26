//! Schemas of what operators send and get that cannot be derived.

use domain::LetterState;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::describe::event_schemas;
use crate::describe::schemas::{optional, reference, schema};
use crate::operator::Fate;

/// Any bytes: as text, or as base64 where they are not text.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what the domain's body is written as")]
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
        "type": "string", "enum": LetterState::ALL,
        "description": "`parked`: put aside. `replaying`: on its way back. `discarded`: not to happen.",
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

pub(crate) fn fates() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": Fate::ALL,
        "description": "`would_record`: it is legal after those before it in line. `already_recorded`: its event is in \
            the log. `illegal`: the rules say no. `unreadable`: it still cannot be read. `behind`: one before it in its \
            order's line would not leave the dead letters. `replayed_too_often`: it was replayed 5 times in vain, and has \
            to be repaired or discarded. `discarded`: it is not to happen. `not_predicted`: more letters stand before it \
            in its order's line than are looked at. `sent`: it is on its way back. `gone`: it was dealt with meanwhile. `failed`: it could not be sent, and may be tried again.",
    }))
}
