//! Converts domain types to table items and back: their keys and their attributes.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use api::ports::{MAX_PARKED, OrderPosition, OrderSnapshot};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use consumer::table_entry::{self, EntryValue};
use domain::{Currency, CustomerId, EventId, EventType, Order, OrderId, Outcome, Receipt, RecordedEvent};
use serde::{Deserialize, Serialize};

pub(super) type TableItem = HashMap<String, AttributeValue>;

pub(super) const METADATA: &str = "METADATA";
/// The highest version that fits into the sort key of a log entry.
pub(super) const MAX_VERSION: u64 = 9_999_999_999;

pub(super) fn pk(order_id: &OrderId) -> AttributeValue {
    text(format!("ORDER#{order_id}"))
}

/// The order that an item belongs to.
pub(super) fn order_of(item: &TableItem) -> anyhow::Result<OrderId> {
    let pk = string(item, "pk")?;
    let order_id =
        pk.strip_prefix("ORDER#").with_context(|| format!("the item belongs to no order: {pk:?}"))?;
    Ok(OrderId::parse(order_id)?)
}

pub(super) fn event_sk(version: u64) -> AttributeValue {
    text(format!("EVENT#{version:010}"))
}

pub(super) fn receipt_sk(event_id: EventId) -> AttributeValue {
    text(format!("RECEIPT#{event_id}"))
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn key(order_id: &OrderId, sk: AttributeValue) -> TableItem {
    HashMap::from([("pk".to_owned(), pk(order_id)), ("sk".to_owned(), sk)])
}

/// The sort key of an order in its customer's list: the time of its creation, then its id.
pub(super) fn listed_at(created_at_micros: i64, order_id: &OrderId) -> String {
    format!("{}#{order_id}", listed_time(created_at_micros))
}

/// A sort key that separates orders by their time of creation. It sorts before the keys of all orders created at or
/// after this time, and after the keys of all earlier orders.
pub(super) fn listed_time(created_at_micros: i64) -> String {
    let since_min = i128::from(created_at_micros) - i128::from(i64::MIN);
    format!("{since_min:020}")
}

/// Parses the list position in a sort key that [`listed_at`] made.
pub(super) fn listed_position(listed_at: &str) -> anyhow::Result<OrderPosition> {
    let (time, order_id) = listed_at.split_once('#').context("a list key contains no order")?;
    let at_micros = i64::try_from(time.parse::<i128>()? + i128::from(i64::MIN))?;
    Ok(OrderPosition { at_micros, order_id: OrderId::parse(order_id)? })
}

/// The number of partition keys over which an index spreads the entries that would otherwise share one key. DynamoDB
/// allows at most 1,000 writes a second to each key
/// ([partitions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)).
pub(super) const SHARDS: u32 = 8;

/// The shard of an order: the FNV-1a hash of its id, reduced to a shard number. Stored keys contain the shard, so this
/// function must never change.
pub(super) fn shard_of(order_id: &OrderId) -> u32 {
    let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    order_id.as_str().as_bytes().iter().fold(0x811c_9dc5, hash) % SHARDS
}

/// The attributes of an item to write.
pub(super) type Attributes = Vec<(&'static str, AttributeValue)>;

/// An item that belongs to an order, decoded by its kind.
pub(super) enum StoredItem {
    Event { version: u64, event_id: EventId, item: TableItem },
    Projection(Box<Projection>),
    Outcome(StoredOutcome),
}

/// An order's METADATA item.
#[derive(Debug, Default)]
pub(super) struct Projection {
    /// The projected order. `None` if the projection is outdated, or if the item contains no projection because at
    /// most one event of the order is recorded.
    pub(super) order: Option<Order>,
    /// Whether the projection lacks the counters because a program of schema version 1 stored it. The order must then
    /// be folded from its whole log.
    pub(super) is_outdated: bool,
    /// The ids of the order's dead letters, in order.
    pub(super) parked: Vec<String>,
}

impl Projection {
    /// The order as readers see it.
    pub(super) fn into_snapshot(self) -> Option<OrderSnapshot> {
        let parked = self.parked.len().min(MAX_PARKED) as u64;
        self.order.map(|order| OrderSnapshot { order: order.into(), parked })
    }
}

/// The stored outcome of an event that was rejected or parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredOutcome {
    pub(super) event_id: EventId,
    #[serde(rename = "type")]
    pub(super) event_type: EventType,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

pub(super) fn parse_item(mut item: TableItem) -> anyhow::Result<StoredItem> {
    let sk = string(&item, "sk")?;
    if let Some(version) = sk.strip_prefix("EVENT#") {
        let (version, event_id) = (version.parse()?, event_id(&item)?);
        return Ok(StoredItem::Event { version, event_id, item });
    }
    if sk == METADATA {
        let parked = take_parked(&mut item);
        let (order, is_outdated) = item.remove("order").map_or(Ok((None, false)), projected_order)?;
        return Ok(StoredItem::Projection(Box::new(Projection { order, is_outdated, parked })));
    }
    if sk.starts_with("RECEIPT#") {
        return Ok(StoredItem::Outcome(serde_dynamo::from_item(item)?));
    }
    Err(anyhow!("the item has an unknown kind: {sk:?}"))
}

/// Decodes the order in a projection. If the projection is outdated, returns `true` and no order.
fn projected_order(value: AttributeValue) -> anyhow::Result<(Option<Order>, bool)> {
    if let AttributeValue::S(json) = &value {
        return Ok((Some(serde_json::from_str(json).context("a projection")?), false));
    }
    let order: Order =
        serde_dynamo::from_attribute_value(value).context("a projection of schema version 1 is malformed")?;
    Ok(if order.lacks_counters() { (None, true) } else { (Some(order), false) })
}

/// Removes the parked sequence from a METADATA item, and returns its ids.
pub(super) fn take_parked(item: &mut TableItem) -> Vec<String> {
    let Some(AttributeValue::L(parked)) = item.remove("parked") else { return Vec::new() };
    let id = |value| if let AttributeValue::S(id) = value { Some(id) } else { None };
    parked.into_iter().filter_map(id).collect()
}

/// An attribute of an item, as the form of log entries has it.
fn entry_value(item: &TableItem, name: &str) -> Option<EntryValue> {
    match item.get(name)? {
        AttributeValue::S(text) => Some(EntryValue::Text(text.clone())),
        AttributeValue::N(number) => Some(EntryValue::Number(number.clone())),
        AttributeValue::B(bytes) => Some(EntryValue::Bytes(bytes.as_ref().to_vec())),
        _ => None,
    }
}

/// An attribute of a log entry to write.
pub(super) fn attribute_value(value: EntryValue) -> AttributeValue {
    match value {
        EntryValue::Text(text) => AttributeValue::S(text),
        EntryValue::Number(number) => AttributeValue::N(number),
        EntryValue::Bytes(bytes) => AttributeValue::B(Blob::new(bytes)),
    }
}

/// The id of the message that carried the event, if the item has it.
pub(super) fn message(item: &TableItem) -> Option<String> {
    table_entry::message(&|name| entry_value(item, name))
}

/// The id of the event in the item of a log entry.
pub(super) fn event_id(item: &TableItem) -> anyhow::Result<EventId> {
    table_entry::event_id(&|name| entry_value(item, name)).context("a log entry")
}

/// Decodes the event in the item of a log entry.
pub(super) fn event(item: &TableItem, default_currency: Currency) -> anyhow::Result<RecordedEvent> {
    let decode = || {
        let version = string(item, "sk")?.strip_prefix("EVENT#").context("it is no log entry")?.parse()?;
        let customer_id = string(item, "customer_id").ok().map(CustomerId::parse).transpose()?;
        let get = |name: &str| entry_value(item, name);
        let json = table_entry::event_json(&order_of(item)?, version, customer_id.as_ref(), &get)?;
        Ok::<_, anyhow::Error>(RecordedEvent::decode(json.as_bytes(), default_currency)?)
    };
    decode().context("a log entry")
}

/// The receipt that follows from an item, if the item is a log entry or a stored outcome.
pub(super) fn receipt(order_id: &OrderId, item: &StoredItem) -> anyhow::Result<Option<Receipt>> {
    let (event_id, event_type, outcome, request_hash, message) = match item {
        StoredItem::Event { version, event_id, item } => {
            let get = |name: &str| entry_value(item, name);
            let kind = table_entry::event_type(&get)?;
            let kind = EventType::from_name(&kind).with_context(|| format!("unknown event type {kind:?}"))?;
            let request_hash = table_entry::request_hash(&get);
            (*event_id, kind, Outcome::Recorded { version: *version }, request_hash, message(item))
        }
        StoredItem::Outcome(stored) => {
            let StoredOutcome { event_id, event_type, outcome, request_hash, message } = stored.clone();
            (event_id, event_type, outcome, request_hash, message)
        }
        StoredItem::Projection(_) => return Ok(None),
    };
    Ok(Some(Receipt {
        order_id: order_id.clone(),
        event_id,
        event_type,
        outcome: Some(outcome),
        request_hash,
        message,
    }))
}

/// A required string attribute.
pub(super) fn string<'a>(item: &'a TableItem, name: &str) -> anyhow::Result<&'a str> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).with_context(|| format!("an item lacks the string attribute {name:?}"))
}
