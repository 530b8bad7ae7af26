//! The keys of the store's keyspaces. An id never contains a zero byte, so a prefix that ends with a zero byte belongs
//! to exactly one order or customer.

use anyhow::Context;
use api::ports::OrderPosition;
use domain::{CustomerId, EventId, OrderId};

use super::index_keys::{position_of, sortable};

/// Builds a key from `id`, a zero byte and the parts of `rest`.
fn scoped(id: &str, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 1 + rest.iter().map(|part| part.len()).sum::<usize>());
    key.extend_from_slice(id.as_bytes());
    key.push(0);
    rest.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(crate) fn log_key(order_id: &OrderId, version: u64) -> Vec<u8> {
    scoped(order_id.as_str(), &[&version.to_be_bytes()])
}

/// The prefix of all entries of the order's log.
pub(crate) fn log_prefix(order_id: &OrderId) -> Vec<u8> {
    scoped(order_id.as_str(), &[])
}

/// The order id and the version in a key of `log`.
pub(crate) fn split_log_key(key: &[u8]) -> Option<(&[u8], u64)> {
    let (order_id, version) = key.split_last_chunk()?;
    Some((order_id.strip_suffix(&[0])?, u64::from_be_bytes(*version)))
}

/// The order that a key of `log` belongs to.
pub(crate) fn order_of_log_key(key: &[u8]) -> anyhow::Result<OrderId> {
    let id = key.split(|byte| *byte == 0).next().unwrap_or_default();
    OrderId::parse(std::str::from_utf8(id)?).context("the key of a log entry is malformed")
}

pub(crate) fn receipt_key(order_id: &OrderId, event_id: EventId) -> Vec<u8> {
    scoped(order_id.as_str(), &[event_id.as_uuid().as_bytes()])
}

/// The order and the event of a key of `receipts`. `None` if the key is malformed.
#[cfg(feature = "aws")]
pub(crate) fn split_receipt_key(key: &[u8]) -> Option<(OrderId, EventId)> {
    let (order_id, event_id) = key.split_last_chunk()?;
    let order_id = std::str::from_utf8(order_id.strip_suffix(&[0])?).ok()?;
    Some((OrderId::parse(order_id).ok()?, uuid::Uuid::from_bytes(*event_id).into()))
}

pub(crate) fn customer_prefix(customer_id: &CustomerId) -> Vec<u8> {
    scoped(customer_id.as_str(), &[])
}

pub(crate) fn customer_key(customer_id: &CustomerId, created_at_micros: i64, order_id: &OrderId) -> Vec<u8> {
    scoped(customer_id.as_str(), &[&sortable(created_at_micros), order_id.as_str().as_bytes()])
}

/// The list position that a key of `customers` encodes.
pub(crate) fn customer_key_position(key: &[u8]) -> anyhow::Result<OrderPosition> {
    let zero =
        key.iter().position(|byte| *byte == 0).context("a key of a customer's list contains no separator")?;
    position_of(key, zero + 1)
}

/// The key of a dead letter in the parked sequence of its order.
pub(crate) fn parked_key(order_id: &OrderId, seq: u64) -> Vec<u8> {
    scoped(order_id.as_str(), &[&seq.to_be_bytes()])
}

/// The sequence number of the dead letter in a key of `lines`.
pub(crate) fn parked_seq(key: &[u8]) -> anyhow::Result<u64> {
    seq_of(key.last_chunk::<8>().context("a key of a parked sequence is too short")?)
}

pub(crate) fn seq_of(bytes: &[u8]) -> anyhow::Result<u64> {
    Ok(u64::from_be_bytes(bytes.try_into().context("a sequence number is not 8 bytes long")?))
}
