//! Schemas with a name of their own, so that generated clients have a class for each; and what tells them apart.
//!
//! An order and a receipt carry a constant `object`, for one request can be answered with either. Generators differ in
//! what they make of a union, and [`union`](crate::describe::schemas::union) is what all of them read; `.ci/clients` holds them to it.

use domain::{EventType, ParkReason, State};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::describe::event_schemas;
use crate::describe::schemas::{ORDER, RECEIPT, metadata_entries, schema, union};
use crate::orders::{OrderBody, ReceiptBody};

/// What a request that publishes is answered: the order if the event was recorded within the time to wait, or else the
/// receipt. Every success refers to it, for generated clients read all of them as the first.
pub(crate) struct OrderOrReceipt;

impl OrderOrReceipt {
    pub(super) const NAME: &'static str = "OrderOrReceipt";
}

impl ToSchema for OrderOrReceipt {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((OrderBody::name().into_owned(), OrderBody::schema()));
        schemas.push((ReceiptBody::name().into_owned(), ReceiptBody::schema()));
        OrderBody::schemas(schemas);
        ReceiptBody::schemas(schemas);
    }
}

impl PartialSchema for OrderOrReceipt {
    fn schema() -> RefOr<Schema> {
        let description = "The order if the event was recorded within the time to wait, or else the receipt. `object` \
            says which.";
        union(description, "object", &[(ORDER, &OrderBody::name()), (RECEIPT, &ReceiptBody::name())])
    }
}

/// The schemas that several members refer to, or that would have no name otherwise.
pub(super) fn named() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    let mut statuses: Vec<_> = State::ALL.into_iter().filter_map(State::status).collect();
    statuses.dedup();
    let parts = [
        (
            "OrderStatus",
            json!({ "type": "string", "description": "Where an order stands.", "enum": statuses }),
        ),
        (
            "OrderPayment",
            json!({
                "type": "object",
                "description": "The payment of an order.",
                "properties": {
                    "payment_id": { "type": "string" },
                    "amount": { "type": "integer", "format": "int64", "minimum": 0 },
                },
            }),
        ),
        (
            "OrderShipment",
            json!({
                "type": "object",
                "description": "The shipment of an order.",
                "properties": { "carrier": { "type": "string" }, "tracking_number": { "type": "string" } },
            }),
        ),
        ("OrderLine", event_schemas::line(EventType::Created)),
        ("AmendedLine", event_schemas::line(EventType::Amended)),
        ("Metadata", metadata_entries()),
        (
            "Discard",
            json!({
                "type": "object",
                "description": "Who decided that it is not to happen, when and why.",
                "properties": {
                    "reason": { "type": "string" },
                    "at": { "type": "string", "format": "date-time" },
                    "by": { "type": "string", "description": "Who, if requests are authenticated." },
                },
                "required": ["reason", "at"],
            }),
        ),
        (
            "ParkReason",
            json!({
                "type": "string", "enum": ParkReason::ALL,
                "description": "Why a message became a dead letter. `malformed`: not JSON, or no envelope. `unknown_type`, \
                    `unknown_schema`: newer than this service. `invalid`: its data breaks a rule. `tries_exhausted`: it \
                    failed as often as it was tried. `behind_parked`: an earlier event of its order is a dead letter.",
            }),
        ),
    ];
    let parts = parts.into_iter().map(|(name, json)| (name.to_owned(), schema(json)));
    let events = event_schemas::recorded().into_iter().map(|(name, json)| (name, schema(json)));
    parts.chain(events).chain([("RecordedEvent".to_owned(), recorded_event())])
}

fn recorded_event() -> RefOr<Schema> {
    let names = EventType::ALL.map(event_schemas::recorded_name);
    let variants: Vec<_> =
        EventType::ALL.iter().zip(&names).map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    union("An event of the order's log.", "type", &variants)
}
