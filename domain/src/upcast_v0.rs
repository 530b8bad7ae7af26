//! Messages as the producers of the seed article write them, upcast to our events.
//!
//! Such a message has `type`, `data`, `timestamp` and `correlation_id`, and no `schema_version`:
//!
//! - `order_created {order_id, customer_id, items, total}`: no currency (a configured default), and items whose shape
//!   the article leaves open. A line may be a plain SKU or an object; see [`upcast`] for the names understood.
//! - `order_updated {order_id, status}`: becomes the event that leads to that status.
//!
//! Amounts are integers in the minor unit, as everywhere. A decimal is refused, which puts the message into the dead
//! letters: guessing whether `100` beside `99.99` meant one unit or a hundred would be a silent error with money.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::envelope::{DecodeError, current};
use crate::event::{Cancelled, Created, Empty, Event, Paid, Refunded, Returned, Shipped};
use crate::ids::CustomerId;
use crate::money::{Amount, Currency, LineItem, LineItems, Quantity, Sku};
use crate::value::{InvalidValue, Metadata, Text};
use crate::wording::{shown, value_error};

/// The event in a message without `schema_version`.
///
/// Lines are understood under these names: `sku`, `product_id`, `item_id`, `id` or `name`; `quantity` or `qty`
/// (default 1); `unit_price` or `price` (may be absent). `total` is taken as stated, for it may include what lines do
/// not show, and computed only where it is absent and every line has a price.
pub fn upcast(event_type: &str, data: &RawValue, default_currency: Currency) -> Result<Event, DecodeError> {
    match event_type {
        "order_created" => created(&parse(data)?, default_currency).map(Event::Created),
        "order_updated" => updated(&parse(data)?),
        _ => current(event_type, data),
    }
}

fn parse(data: &RawValue) -> Result<Value, DecodeError> {
    serde_json::from_str(data.get()).map_err(|error| DecodeError::invalid("data", value_error(&error)))
}

fn created(data: &Value, default_currency: Currency) -> Result<Created, DecodeError> {
    let lines =
        data["items"].as_array().ok_or_else(|| DecodeError::invalid("data.items", "must be an array"))?;
    let lines: Vec<_> = lines.iter().enumerate().map(|(i, item)| line(i, item)).collect::<Result<_, _>>()?;
    let items = at("data.items", LineItems::parse(lines))?;
    let total = match present(data, &["total"]) {
        Some(total) => amount("data.total", total)?,
        None if items.is_priced() => items.total(),
        None => return Err(DecodeError::invalid("data.total", "is missing, and not every line has a price")),
    };
    let currency = match present(data, &["currency"]) {
        Some(code) => at("data.currency", Currency::parse(code.as_str().unwrap_or_default()))?,
        None => default_currency,
    };
    let metadata = match present(data, &["metadata"]) {
        Some(entries) => {
            let metadata = Metadata::deserialize(entries);
            metadata.map_err(|error| DecodeError::invalid("data.metadata", value_error(&error)))?
        }
        None => Metadata::default(),
    };
    let customer_id =
        at("data.customer_id", CustomerId::parse(data["customer_id"].as_str().unwrap_or_default()))?;
    Ok(Created { customer_id, currency, items, total, metadata })
}

fn line(index: usize, item: &Value) -> Result<LineItem, DecodeError> {
    let path = |field| format!("data.items[{index}].{field}");
    let name = match item {
        Value::String(name) => name,
        _ => present(item, &["sku", "product_id", "item_id", "id", "name"])
            .and_then(Value::as_str)
            .ok_or_else(|| DecodeError::invalid(path("sku"), "is missing, or not a string"))?,
    };
    let quantity = match present(item, &["quantity", "qty"]) {
        Some(quantity) => quantity.as_i64().unwrap_or(0),
        None => 1,
    };
    let unit_price = present(item, &["unit_price", "price"])
        .map(|price| amount(&path("unit_price"), price))
        .transpose()?;
    Ok(LineItem {
        sku: at(&path("sku"), Sku::parse(name))?,
        quantity: at(&path("quantity"), Quantity::parse(quantity))?,
        unit_price,
    })
}

fn updated(data: &Value) -> Result<Event, DecodeError> {
    let status = data["status"].as_str().unwrap_or_default();
    let money = || present(data, &["amount"]).map(|value| amount("data.amount", value)).transpose();
    Ok(match status {
        "confirmed" => Event::Confirmed(Empty {}),
        "paid" => Event::Paid(Paid { payment_id: text(data, "payment_id")?, amount: money()? }),
        "shipped" => Event::Shipped(Shipped {
            carrier: text(data, "carrier")?,
            tracking_number: text(data, "tracking_number")?,
        }),
        "delivered" => Event::Delivered(Empty {}),
        "cancelled" => Event::Cancelled(Cancelled { reason: text(data, "reason")? }),
        "returned" => Event::Returned(Returned { reason: text(data, "reason")? }),
        "refunded" => Event::Refunded(Refunded { refund_id: text(data, "refund_id")?, amount: money()? }),
        other => {
            return Err(DecodeError::invalid(
                "data.status",
                format!("no event leads to status {:?}", shown(other)),
            ));
        }
    })
}

/// The first of these fields that is there and not null.
fn present<'a>(data: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| data.get(name)).find(|value| !value.is_null())
}

fn amount(path: &str, value: &Value) -> Result<Amount, DecodeError> {
    let refused = || {
        let value = value.to_string();
        DecodeError::invalid(path, format!("{} is not an integer in minor units", shown(&value)))
    };
    let minor = value.as_i64().ok_or_else(refused)?;
    at(path, Amount::parse(minor))
}

fn text<const MAX: usize>(data: &Value, field: &str) -> Result<Option<Text<MAX>>, DecodeError> {
    let Some(value) = present(data, &[field]) else { return Ok(None) };
    at(&format!("data.{field}"), Text::parse(value.as_str().unwrap_or_default())).map(Some)
}

fn at<T>(path: &str, result: Result<T, InvalidValue>) -> Result<T, DecodeError> {
    result.map_err(|error| DecodeError::invalid(path, error))
}
