//! Decodes the records and rows of a backup for code that does not use the engine's keyspaces. The
//! [fill](crate::aws::fill) of AWS resources calls these functions.

use std::collections::BTreeMap;

use anyhow::Context;
use consumer::webhooks::{HeldOrder, Progress};
use domain::{Currency, DeadLetter, Receipt, RecordedEvent, Subscription, SubscriptionId, Timestamp};
use uuid::Uuid;

use crate::backup::record::EventRecord;
use crate::backup::row::StateRow;
use crate::embedded::store::folder::FORMAT_NUMBER;
use crate::embedded::store::keys;
use crate::embedded::store::records::{StoredMessage, StoredReceipt, split_log_entry};
use crate::embedded::webhooks::rows::Row;

/// The folder format whose records and rows these functions decode.
pub(crate) const FOLDER_FORMAT: u32 = FORMAT_NUMBER;

/// Decodes a recorded event, and the id of the message that carried the event, if the id is known.
pub(crate) fn event(
    record: &EventRecord,
    currency: Currency,
) -> anyhow::Result<(RecordedEvent, Option<String>)> {
    let EventRecord { position, order_id, version, entry, receipt, .. } = record;
    let place = || format!("position {position}, version {version} of order {order_id}");
    let (json, message) = split_log_entry(entry);
    let event = RecordedEvent::decode(json, currency).with_context(place)?;
    let is_of_record = event.version == *version && event.envelope.order_id == *order_id;
    anyhow::ensure!(is_of_record, "{}: the log entry is of another event", place());
    let stored = receipt.as_deref().map(serde_json::from_slice::<StoredReceipt>).transpose();
    let of_receipt = stored.with_context(place)?.and_then(|receipt| receipt.message);
    Ok((event, message.map(str::to_owned).or(of_receipt)))
}

pub(crate) fn receipt(row: &StateRow) -> anyhow::Result<Receipt> {
    let (order_id, event_id) =
        keys::split_receipt_key(&row.key).context("the key of a receipt is malformed")?;
    let stored: StoredReceipt = serde_json::from_slice(&row.value).context("a stored receipt")?;
    Ok(Receipt {
        order_id,
        event_id,
        event_type: stored.event_type,
        outcome: Some(stored.outcome),
        request_hash: stored.request_hash,
        message: stored.message,
    })
}

pub(crate) fn dead_letter(row: &StateRow) -> anyhow::Result<DeadLetter> {
    serde_json::from_slice(&row.value).context("a dead letter")
}

/// A message from the keyspace `queue`.
pub(crate) struct QueuedMessage {
    /// The sequence number of the message. Messages are queued in the order of these numbers.
    pub(crate) seq: u64,
    pub(crate) group: String,
    pub(crate) deduplication_id: Uuid,
    pub(crate) enqueued_at: Option<Timestamp>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn message(row: &StateRow) -> anyhow::Result<QueuedMessage> {
    let StoredMessage { header, body } = StoredMessage::decode(&row.value)?;
    Ok(QueuedMessage {
        seq: keys::seq_of(&row.key)?,
        enqueued_at: header.enqueued_at(),
        group: header.group,
        deduplication_id: header.dedup,
        attributes: header.attributes,
        body,
    })
}

pub(crate) enum WebhookRow {
    Subscription(Box<Subscription>),
    Progress(SubscriptionId, Progress),
    Held(SubscriptionId, Box<HeldOrder>),
    Skipped,
}

pub(crate) fn webhook(row: &StateRow) -> anyhow::Result<WebhookRow> {
    let (kind, id) = Row::of_key(&row.key).context("the key of a webhook row is malformed")?;
    Ok(match kind {
        Row::Subscription => {
            WebhookRow::Subscription(serde_json::from_slice(&row.value).context("a subscription")?)
        }
        Row::Progress => {
            WebhookRow::Progress(id, serde_json::from_slice(&row.value).context("the progress")?)
        }
        Row::Held => WebhookRow::Held(id, serde_json::from_slice(&row.value).context("a held order")?),
        Row::Skip => WebhookRow::Skipped,
    })
}
