//! Determines whether an event is in the restored log, and which message carried it. The state writer calls this module
//! to leave out finished messages and dead letters.

use anyhow::Context;
use domain::{Currency, Envelope, EventId, OrderId, Outcome, RecordedEvent};
use uuid::Uuid;

use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::Keyspaces;
use crate::embedded::store::records::{StoredReceipt, contains_id, split_log_entry};

pub(super) struct RecordOfEvent {
    /// The id of the message that carried the event, if it is known.
    pub(super) message: Option<String>,
}

/// The record of the event in a message body. `None` if the event was not recorded, or if the body cannot be read.
pub(super) fn record_of(
    keys: &Keyspaces,
    currency: Currency,
    body: &[u8],
) -> anyhow::Result<Option<RecordOfEvent>> {
    match Envelope::decode(body, currency) {
        Ok(envelope) => record_of_event(keys, currency, &envelope.order_id, envelope.event_id),
        Err(_) => Ok(None),
    }
}

/// The record of the event. `None` if the event was not recorded.
fn record_of_event(
    keys: &Keyspaces,
    currency: Currency,
    order_id: &OrderId,
    event_id: EventId,
) -> anyhow::Result<Option<RecordOfEvent>> {
    if let Some(entry) = keys.log.get(keys::log_key(order_id, 1))? {
        let (event, message) = split_log_entry(&entry);
        let is_first = contains_id(event, event_id)
            && RecordedEvent::decode(event, currency).is_ok_and(|event| event.envelope.event_id == event_id);
        if is_first {
            return Ok(Some(RecordOfEvent { message: message.map(str::to_owned) }));
        }
    }
    let Some(row) = keys.receipts.get(keys::receipt_key(order_id, event_id))? else { return Ok(None) };
    let receipt: StoredReceipt = serde_json::from_slice(&row).context("a stored receipt")?;
    let is_recorded = matches!(receipt.outcome, Outcome::Recorded { .. });
    Ok(is_recorded.then_some(RecordOfEvent { message: receipt.message }))
}

/// Whether the event to which a key of `receipts` belongs was recorded.
pub(super) fn is_recorded(keys: &Keyspaces, currency: Currency, receipt_key: &[u8]) -> anyhow::Result<bool> {
    let parts = receipt_key.split_last_chunk::<16>();
    let parts = parts.and_then(|(order_id, event_id)| Some((order_id.strip_suffix(&[0])?, event_id)));
    let (order_id, event_id) = parts.context("the key of a receipt is malformed")?;
    let order_id = OrderId::parse(std::str::from_utf8(order_id)?)?;
    let event_id = Uuid::from_bytes(*event_id).into();
    Ok(record_of_event(keys, currency, &order_id, event_id)?.is_some())
}
