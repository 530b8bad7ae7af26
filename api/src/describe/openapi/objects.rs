//! Named schemas that are not derived from a body. Generated clients contain a class for each of these schemas.
//!
//! A write returns an order or a receipt, so both have a constant member `object` that distinguishes them. Client
//! generators treat unions differently. [`union`](crate::describe::schemas::union) writes a form that all generators
//! support, and `.ci/clients` tests this.

use domain::{EventType, FulfilmentStatus, Guard, OrderStatus, ParkReason, PaymentStatus};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::describe::event_schemas;
use crate::describe::schemas::{ORDER, RECEIPT, metadata_changes, metadata_entries, schema, union, words};
use crate::orders::{OrderBody, ReceiptBody};

/// The answer to a write: the order if the event was recorded within the time to wait, otherwise the receipt. Every
/// success status has this schema, because generated clients parse all of them with the schema of the first status.
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
        let description = "The order, if the event was recorded within the time to wait; otherwise the receipt. \
            `object` is `order` or `receipt`.";
        union(description, "object", &[(ORDER, &OrderBody::name()), (RECEIPT, &ReceiptBody::name())])
    }
}

/// The schemas that get a name here: several members refer to them, or they would otherwise have no name.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(super) fn named() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    let parts = [
        (
            "OrderStatus",
            words("The status of an order.", &OrderStatus::ALL.map(|it| (it.as_str(), it.meaning()))),
        ),
        (
            "PaymentStatus",
            words("What the customer has paid.", &PaymentStatus::ALL.map(|it| (it.as_str(), it.meaning()))),
        ),
        (
            "FulfilmentStatus",
            words("Where the goods are.", &FulfilmentStatus::ALL.map(|it| (it.as_str(), it.meaning()))),
        ),
        (
            "Hold",
            json!({
                "type": "object",
                "description": "A reason not to ship the order for now.",
                "properties": {
                    "hold": { "type": "string", "description": "Identifies the hold within its order." },
                    "reason": { "type": "string", "description": "The reason, in free text." },
                },
                "required": ["hold"],
            }),
        ),
        (
            "Violation",
            json!({
                "type": "object",
                "description": "The guard that the event failed, and the numbers that it compared.",
                "properties": {
                    "guard": { "type": "string", "enum": Guard::ALL, "description": "The code of the guard." },
                    "line_id": { "type": "string", "description": "The line whose units the guard counted." },
                    "order_id": { "type": "string", "description": "The other order that already has the reference." },
                    "numbers": {
                        "type": "object", "additionalProperties": { "type": "integer", "format": "int64" },
                        "description": "The numbers that the guard compared, by name.",
                    },
                },
                "required": ["guard"],
            }),
        ),
        (
            "OrderPayment",
            json!({
                "type": "object",
                "deprecated": true,
                "description": "The first payment, with its captured amount. Deprecated: use `payments`, which lists all payments.",
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
                "deprecated": true,
                "description": "The first shipment. Deprecated: use `shipments`, which lists all shipments.",
                "properties": { "carrier": { "type": "string" }, "tracking_number": { "type": "string" } },
            }),
        ),
        ("Metadata", metadata_entries()),
        ("MetadataPatch", metadata_changes()),
        (
            "Discard",
            json!({
                "type": "object",
                "description": "Who discarded the dead letter, when and why.",
                "properties": {
                    "reason": { "type": "string" },
                    "at": { "type": "string", "format": "date-time" },
                    "by": { "type": "string", "description": "The operator's token subject. Absent if the service does not authenticate requests." },
                },
                "required": ["reason", "at"],
            }),
        ),
        (
            "ParkReason",
            json!({
                "type": "string", "enum": ParkReason::ALL,
                "description": "Why a message became a dead letter. `malformed`: it is not JSON, or not an envelope. \
                    `unknown_type`, `unknown_schema`: it is newer than this service. `invalid`: its data breaks a rule. \
                    `tries_exhausted`: every attempt to process it failed. `behind_parked`: an earlier event of its order \
                    is a dead letter.",
            }),
        ),
    ];
    let parts =
        parts.into_iter().chain(event_schemas::parts()).map(|(name, json)| (name.to_owned(), schema(json)));
    let events = event_schemas::recorded().into_iter().map(|(name, json)| (name, schema(json)));
    parts.chain(events).chain([("RecordedEvent".to_owned(), recorded_event())])
}

fn recorded_event() -> RefOr<Schema> {
    let names = EventType::ALL.map(event_schemas::recorded_name);
    let variants: Vec<_> =
        EventType::ALL.iter().zip(&names).map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    union("A recorded event of the order's log.", "type", &variants)
}
