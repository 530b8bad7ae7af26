//! Converts domain types to table items and back: their keys and their attributes.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use api::ports::{MAX_PARKED, OrderPosition, OrderSnapshot};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Currency, EventId, EventType, Order, OrderId, Outcome, Receipt, RecordedEvent};
use serde::{Deserialize, Serialize};

use super::due::due_attributes;
use super::search::{SearchList, search_keys};

pub(super) type TableItem = HashMap<String, AttributeValue>;

pub(super) const METADATA: &str = "METADATA";
/// The highest version that fits into the sort key of a log entry.
pub(super) const MAX_VERSION: u64 = 9_999_999_999;

pub(super) fn pk(order_id: &OrderId) -> AttributeValue {
    text(format!("ORDER#{order_id}"))
}

/// The order an item belongs to.
pub(super) fn order_of(item: &TableItem) -> anyhow::Result<OrderId> {
    let pk = string(item, "pk")?;
    let order_id = pk.strip_prefix("ORDER#").with_context(|| format!("not an item of an order: {pk:?}"))?;
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
/// after this time, and after all other keys.
pub(super) fn listed_time(created_at_micros: i64) -> String {
    let since_min = i128::from(created_at_micros) - i128::from(i64::MIN);
    format!("{since_min:020}")
}

/// The position that a sort key of [`listed_at`] encodes.
pub(super) fn listed_position(listed_at: &str) -> anyhow::Result<OrderPosition> {
    let (time, order_id) = listed_at.split_once('#').context("a list key without an order")?;
    let at_micros = i64::try_from(time.parse::<i128>()? + i128::from(i64::MIN))?;
    Ok(OrderPosition { at_micros, order_id: OrderId::parse(order_id)? })
}

/// The attributes of an item to write.
pub(super) type Attributes = Vec<(&'static str, AttributeValue)>;

/// A log entry as an item, with the id of the message that carried it, if known. The item of an order's first entry
/// also has the keys of the customer's list, those of the due orders if the order has a deadline and, if `is_searchable`,
/// those of the search index.
pub(super) fn event_item(
    event: &RecordedEvent,
    message: Option<&str>,
    unpaid_age_micros: Option<i64>,
    is_searchable: bool,
) -> anyhow::Result<Attributes> {
    let envelope = &event.envelope;
    let mut item = vec![
        ("pk", pk(&envelope.order_id)),
        ("sk", event_sk(event.version)),
        ("event_id", text(envelope.event_id.to_string())),
        ("type", text(envelope.event.event_type().as_str())),
        ("entry", text(String::from_utf8(event.encode())?)),
    ];
    item.extend(envelope.request_hash.as_ref().map(|hash| ("request_hash", text(hash))));
    item.extend(message.map(|message| ("message", text(message))));
    if event.version == 1 {
        let order = Order::apply(None, event)?;
        item.push(("customer_id", text(order.customer_id.as_str())));
        item.push(("listed_at", text(listed_at(order.created_at.micros(), &order.order_id))));
        item.extend(due_attributes(&order, unpaid_age_micros));
        if is_searchable {
            item.extend(search_keys(SearchList::Created, &order.order_id, order.created_at));
        }
    }
    Ok(item)
}

/// An order's projection as attributes of its METADATA item; if `is_searchable`, with the keys of the search index and the
/// words that the index shows.
///
/// The order is JSON text. Programs of schema version 1 stored and read a map: they cannot read the text, so they leave the
/// events of an order that a newer program has changed to newer programs.
pub(super) fn projection_attributes(order: &Order, is_searchable: bool) -> anyhow::Result<Attributes> {
    let mut attributes = vec![
        ("order", text(String::from_utf8(order.encode())?)),
        ("version", AttributeValue::N(order.version.to_string())),
        ("status", text(order.status.as_str())),
    ];
    if is_searchable {
        attributes.push(("payment_status", text(order.payment_status().as_str())));
        attributes.push(("fulfilment_status", text(order.fulfilment_status().as_str())));
        attributes.extend(search_keys(SearchList::Updated, &order.order_id, order.updated_at));
    }
    Ok(attributes)
}

/// An item of an order, by its kind.
pub(super) enum StoredItem {
    Event { version: u64, event_id: EventId, item: TableItem },
    Projection(Box<Projection>),
    Outcome(StoredOutcome),
}

/// An order's METADATA item.
#[derive(Debug, Default)]
pub(super) struct Projection {
    /// `None` if every event of the order so far is a dead letter, if the order has only one recorded event, or if the
    /// projection is outdated.
    pub(super) order: Option<Order>,
    /// Whether a program of schema version 1 stored the projection, and it lacks the counters. The order must be folded from
    /// its whole log.
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

/// The outcome, if the event was rejected or parked.
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
        let (version, event_id) = (version.parse()?, string(&item, "event_id")?.parse()?);
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
    Err(anyhow!("an item of unknown kind {sk:?}"))
}

/// The order of a projection, and whether the projection is outdated.
fn projected_order(value: AttributeValue) -> anyhow::Result<(Option<Order>, bool)> {
    if let AttributeValue::S(json) = &value {
        return Ok((Some(serde_json::from_str(json).context("a projection")?), false));
    }
    let order: Order = serde_dynamo::from_attribute_value(value).context("a projection of version 1")?;
    Ok(if order.lacks_counters() { (None, true) } else { (Some(order), false) })
}

/// Removes the ids of the parked sequence from a METADATA item.
pub(super) fn take_parked(item: &mut TableItem) -> Vec<String> {
    let Some(AttributeValue::L(parked)) = item.remove("parked") else { return Vec::new() };
    let id = |value| if let AttributeValue::S(id) = value { Some(id) } else { None };
    parked.into_iter().filter_map(id).collect()
}

/// The id of the message that carried the event, if the item has it.
pub(super) fn message(item: &TableItem) -> Option<String> {
    string(item, "message").ok().map(str::to_owned)
}

/// The event of a log entry.
pub(super) fn event(item: &TableItem, default_currency: Currency) -> anyhow::Result<RecordedEvent> {
    RecordedEvent::decode(string(item, "entry")?.as_bytes(), default_currency).context("a log entry")
}

/// The receipt that an item implies. Only log entries and outcomes imply one.
pub(super) fn receipt(order_id: &OrderId, item: &StoredItem) -> anyhow::Result<Option<Receipt>> {
    let (event_id, event_type, outcome, request_hash, message) = match item {
        StoredItem::Event { version, event_id, item } => {
            let kind = string(item, "type")?;
            let kind = EventType::from_name(kind).with_context(|| format!("unknown event type {kind:?}"))?;
            let request_hash = string(item, "request_hash").ok().map(str::to_owned);
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
    value.map(String::as_str).with_context(|| format!("an item without the string attribute {name:?}"))
}
