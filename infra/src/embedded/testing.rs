//! Helpers for the tests of the engine's modules: an engine in a temporary folder, and events.

use domain::{Currency, Envelope};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Embedded, Options};

pub(crate) fn eur() -> Currency {
    Currency::parse("EUR").unwrap()
}

pub(crate) fn options() -> Options {
    Options { min_free_bytes: 0, ..Options::new(eur()) }
}

/// A new engine that commits inline.
pub(crate) fn open_inline() -> (TempDir, Embedded) {
    let folder = TempDir::new().unwrap();
    let engine = Embedded::open(folder.path(), Options { inline: true, ..options() }).unwrap();
    (folder, engine)
}

/// The event that creates the order, with an event id derived from the order's id.
pub(crate) fn created(order_id: &str) -> Envelope {
    let data =
        r#","customer_id":"c","total":2,"currency":"EUR","items":[{"sku":"s","quantity":1,"unit_price":2}]"#;
    decode(&event(event_id(order_id), "order_created", order_id, data))
}

/// An event that confirms the order. `number` becomes the event id.
pub(crate) fn confirmed(order_id: &str, number: u128) -> Envelope {
    decode(&event(Uuid::from_u128(number), "order_confirmed", order_id, ""))
}

pub(crate) fn event_id(order_id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, order_id.as_bytes())
}

/// An event as JSON. `data` contains further members for the event's data.
pub(crate) fn event(id: Uuid, kind: &str, order_id: &str, data: &str) -> String {
    format!(
        r#"{{"type":"{kind}","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"r","data":{{"order_id":"{order_id}"{data}}}}}"#
    )
}

fn decode(json: &str) -> Envelope {
    Envelope::decode(json.as_bytes(), eur()).unwrap()
}
