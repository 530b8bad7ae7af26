//! The messages of schema version 0, which have no `schema_version`. The domain upcasts them. The names of messages and
//! schemas keep the prefix `article_`, because existing clients depend on these names.

use domain::{Amount, LineItems, OrderStatus, Quantity};
use serde_json::{Value, json};

use crate::describe::event_schemas;

/// The names of the messages of schema version 0.
pub(super) const NAMES: [&str; 2] = ["article_order_created", "article_order_updated"];

/// The schema of a message of schema version 0. `data` is the schema of its data.
fn around(event_type: &str, data: &Value) -> Value {
    let time = json!({ "type": "string", "description": "RFC 3339. Without an offset, the time is UTC." });
    let mut data = data.clone();
    data["properties"]["timestamp"] = time.clone();
    json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": [event_type] },
            "timestamp": time,
            "event_id": {
                "type": "string", "format": "uuid",
                "description": "If absent, the id is derived from the order, the type and the timestamp, so that a retry has the same id.",
            },
            "correlation_id": { "type": "string", "pattern": "^[!-~]{1,128}$" },
            "data": data,
        },
        "required": ["type", "data"],
        "not": { "required": ["schema_version"] },
        "anyOf": [
            { "required": ["timestamp"] },
            { "properties": { "data": { "required": ["timestamp"] } } },
        ],
    })
}

fn amount() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": Amount::MAX })
}

fn text(max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": max })
}

fn created() -> Value {
    let quantity = json!({ "type": "integer", "minimum": 1, "maximum": Quantity::MAX });
    let names = ["sku", "product_id", "item_id", "id", "name"];
    let mut line =
        json!({ "quantity": quantity, "qty": quantity, "unit_price": amount(), "price": amount() });
    for name in names {
        line[name] = text(64);
    }
    let line = json!({
        "type": "object",
        "description": "The first of `sku`, `product_id`, `item_id`, `id` and `name` that is present becomes the `sku`. If the quantity is absent, it is 1.",
        "properties": line,
        "anyOf": names.map(|name| json!({ "required": [name] })),
    });
    let mut total = amount();
    total["description"] = "May be absent if every line item has a price.".into();
    json!({
        "type": "object",
        "properties": {
            "order_id": event_schemas::order_id(),
            "customer_id": text(128),
            "items": { "type": "array", "minItems": 1, "maxItems": LineItems::MAX, "items": { "anyOf": [text(64), line] } },
            "total": total,
            "currency": {
                "type": "string", "pattern": "^[A-Z]{3}$",
                "description": "ISO 4217 code. If absent, the service's default currency applies.",
            },
        },
        "required": ["order_id", "customer_id", "items"],
    })
}

fn updated() -> Value {
    use OrderStatus as S;
    let statuses = [S::Confirmed, S::Paid, S::Shipped, S::Delivered, S::Returned, S::Cancelled, S::Refunded];
    json!({
        "type": "object",
        "properties": {
            "order_id": event_schemas::order_id(),
            "status": {
                "type": "string", "enum": statuses,
                "description": "The message becomes the event that leads to this status.",
            },
            "payment_id": text(128), "amount": amount(), "carrier": text(128), "tracking_number": text(128),
            "reason": text(500), "refund_id": text(128),
        },
        "required": ["order_id", "status"],
    })
}

pub(super) fn schemas() -> [(String, Value); 2] {
    let [of_created, of_updated] = NAMES.map(str::to_owned);
    [(of_created, around("order_created", &created())), (of_updated, around("order_updated", &updated()))]
}

pub(super) fn messages() -> [(String, Value); 2] {
    let common = |name: &str, event_type: &str, summary: &str, data: Value| {
        let message = json!({
            "name": event_type,
            "title": name,
            "summary": summary,
            "contentType": "application/json",
            "correlationId": { "location": "$message.payload#/correlation_id" },
            "payload": { "$ref": format!("#/components/schemas/{name}") },
            "examples": [{ "name": name, "payload": {
                "type": event_type, "timestamp": "2026-11-23T10:00:00.000001",
                "correlation_id": "3e49f44d-3c03-49c4-a88b-c5c9b3bcd140", "data": data,
            } }],
        });
        (name.to_owned(), message)
    };
    [
        common(
            NAMES[0],
            "order_created",
            "A customer placed an order, in schema version 0.",
            json!({ "order_id": "order-1001", "customer_id": "customer-1", "items": ["mug", "tea"], "total": 1749 }),
        ),
        common(
            NAMES[1],
            "order_updated",
            "The status of an order changed, in schema version 0.",
            json!({ "order_id": "order-1001", "status": "confirmed" }),
        ),
    ]
}
