//! Builds the items that an append writes: log entries and projections, with the keys of their indexes. `append` calls
//! these functions.

use aws_sdk_dynamodb::types::AttributeValue;
use consumer::table_entry;
use domain::{Order, RecordedEvent};

use super::due::due_attributes;
use super::items::{Attributes, attribute_value, event_sk, listed_at, pk, text};
use super::ledger_marks::MARK;
use super::ledger_writer::LedgerMark;
use super::search::{SearchList, search_keys};

/// The item of a log entry, with the mark under which the ledger counts it. It contains the id of the message that carried the event, if that id is known. The first
/// entry of an order also has the keys of indexes: of the customer's orders, of the due orders if the order has a
/// deadline, and of the search index if `is_searchable`.
pub(super) fn event_item(
    event: &RecordedEvent,
    message: Option<&str>,
    mark: &LedgerMark,
    unpaid_age_micros: Option<i64>,
    is_searchable: bool,
) -> anyhow::Result<Attributes> {
    let envelope = &event.envelope;
    let mut item =
        vec![("pk", pk(&envelope.order_id)), ("sk", event_sk(event.version)), (MARK, text(mark.to_string()))];
    let attributes = table_entry::attributes(event, message);
    item.extend(attributes.into_iter().map(|(name, value)| (name, attribute_value(value))));
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

/// An order's projection, as attributes of its METADATA item. If `is_searchable`, the attributes include the keys of
/// the search index and the words that the index copies.
///
/// The order is stored as JSON text. Programs of schema version 1 stored and read a map instead. They cannot read the
/// text, so they cannot process events of an order that a newer program has changed. Such events are left to newer
/// programs.
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
