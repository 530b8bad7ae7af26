//! Upcasts events of schema version 0 to the current version. `envelope` calls this module for messages without
//! `schema_version`.
//!
//! Schema version 0 comes from an article about order processing with SQS and Lambda, so producers of that version may
//! already exist. A message has `type`, `data`, `timestamp` and `correlation_id`:
//!
//! - `order_created {order_id, customer_id, items, total}`: without currency, so a configured default applies. The
//!   article does not define the shape of an item: it may be a SKU or an object; see [`upcast_v0`] for the accepted
//!   names of members.
//! - `order_updated {order_id, status}`: becomes the event that leads to that status.
//!
//! Amounts are integers in the minor unit, as in every schema version. A decimal amount is refused, and the message is
//! parked. If `99.99` were accepted, it would be unclear whether `100` means 1.00 or 100.00.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::decode::DecodeError;
use crate::event::{Cancelled, Created, Delivered, Empty, Paid, Refunded, Returned, Shipped};
use crate::event_kinds::{Event, EventType};
use crate::ids::CustomerId;
use crate::lines::{LineItem, LineItems, Sku};
use crate::metadata::Metadata;
use crate::money::{Amount, Currency, Quantity};
use crate::upcast_v1::{CreatedV1, is_of_version_1, upcast_v1};
use crate::value::{InvalidValue, Text};
use crate::wording::{shown, value_error};

/// Upcasts the event in a message without `schema_version`. An event whose type schema version 0 does not define is
/// decoded as in version 1, or as in the current version if version 1 lacks the type too.
///
/// The members of an order line may have these names: `sku`, `product_id`, `item_id`, `id` or `name`; `quantity` or
/// `qty` (default 1); `unit_price` or `price` (optional). If the message has a `total`, it is used unchanged, because
/// it may include costs that the order lines do not show, such as shipping. A missing total is computed, which requires
/// a price on every order line.
pub(crate) fn upcast_v0(
    event_type: &str,
    data: &RawValue,
    default_currency: Currency,
) -> Result<Event, DecodeError> {
    match event_type {
        "order_created" => created(&parse(data)?, default_currency).map(Event::Created),
        "order_updated" => updated(&parse(data)?),
        _ if EventType::from_name(event_type).is_some_and(is_of_version_1) => upcast_v1(event_type, data),
        _ => Event::decode(event_type, data),
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
    Ok(CreatedV1 { customer_id, currency, items, total, metadata }.into())
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
        line_id: None,
        sku: at(&path("sku"), Sku::parse(name))?,
        name: None,
        quantity: at(&path("quantity"), Quantity::parse(quantity))?,
        unit_price,
    })
}

fn updated(data: &Value) -> Result<Event, DecodeError> {
    let status = data["status"].as_str().unwrap_or_default();
    let money = || present(data, &["amount"]).map(|value| amount("data.amount", value)).transpose();
    Ok(match status {
        "confirmed" => Event::Confirmed(Empty {}),
        "paid" => Event::Paid(Paid {
            payment_id: text(data, "payment_id")?,
            amount: money()?,
            settles: true,
            ..Paid::default()
        }),
        "shipped" => Event::Shipped(Shipped {
            carrier: text(data, "carrier")?,
            tracking_number: text(data, "tracking_number")?,
            ..Shipped::default()
        }),
        "delivered" => Event::Delivered(Delivered::default()),
        "cancelled" => Event::Cancelled(Cancelled { reason: text(data, "reason")?, items: None }),
        "returned" => Event::Returned(Returned { reason: text(data, "reason")?, ..Returned::default() }),
        "refunded" => Event::Refunded(Refunded {
            refund_id: text(data, "refund_id")?,
            amount: money()?,
            settles: true,
            ..Refunded::default()
        }),
        other => {
            return Err(DecodeError::invalid(
                "data.status",
                format!("no event leads to status {:?}", shown(other)),
            ));
        }
    })
}

/// The value of the first member of `names` that is present and not null.
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
