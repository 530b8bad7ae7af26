//! Values of the store's keyspaces. Values are JSON where possible, so that an operator can read them.

use std::collections::BTreeMap;

use anyhow::Context;
use domain::{EventId, EventType, Outcome, Receipt, RecordedEvent, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys;

/// The value of a log entry: the event, and the id of its message if the entry also serves as the event's receipt.
pub(crate) fn log_entry(event: &RecordedEvent, message: Option<&str>) -> Vec<u8> {
    let mut entry = event.encode();
    if let Some(message) = message {
        entry.push(b'\n');
        entry.extend_from_slice(message.as_bytes());
    }
    entry
}

/// Splits a log entry into the event and the id of its message. The event contains no newline, because
/// [`RecordedEvent::encode`] writes JSON without newlines.
pub(crate) fn split_log_entry(entry: &[u8]) -> (&[u8], Option<&str>) {
    let Some(newline) = entry.iter().rposition(|byte| *byte == b'\n') else { return (entry, None) };
    (&entry[..newline], std::str::from_utf8(&entry[newline + 1..]).ok())
}

/// Whether the JSON of an event contains the id. `false` proves that the event has another id. Searching the JSON is
/// much faster than decoding it.
pub(crate) fn contains_id(json: &[u8], id: EventId) -> bool {
    let mut text = Uuid::encode_buffer();
    let id = id.as_uuid().hyphenated().encode_lower(&mut text);
    std::str::from_utf8(json).is_ok_and(|json| json.contains(&*id))
}

/// The receive count of a message, and the time of its first receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiveCount {
    pub(crate) count: u32,
    pub(crate) first: Timestamp,
}

impl ReceiveCount {
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.count.to_be_bytes().as_slice(), &self.first.micros().to_be_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let parts = || {
            let (count, first) = bytes.split_first_chunk()?;
            let first = i64::from_be_bytes(first.try_into().ok()?);
            Some((u32::from_be_bytes(*count), Timestamp::from_micros(first)?))
        };
        let (count, first) = parts().context("a stored receive count is malformed")?;
        Ok(Self { count, first })
    }
}

/// The messages that were received for the first time in one delivery. One row counts the first receives of all these
/// messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstReceives {
    pub(crate) at: Timestamp,
    pub(crate) seqs: Vec<u64>,
}

impl FirstReceives {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let numbers = self.seqs.iter().flat_map(|seq| seq.to_be_bytes());
        self.at.micros().to_be_bytes().into_iter().chain(numbers).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let (parts, rest) = bytes.as_chunks();
        let mut numbers = parts.iter().map(|part| u64::from_be_bytes(*part));
        let at = numbers.next().filter(|_| rest.is_empty());
        let at = at.and_then(|at| Timestamp::from_micros(at as i64));
        let at = at.context("a stored row of first receives is malformed")?;
        Ok(Self { at, seqs: numbers.collect() })
    }
}

/// The initial capacity for a header. It exceeds the size of a usual header.
const HEADER_CAPACITY_BYTES: usize = 256;

/// A message on the queue: a JSON header, a newline, and the body as it was sent.
pub(crate) struct StoredMessage {
    pub(crate) header: MessageHeader,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageHeader {
    pub(crate) group: String,
    pub(crate) dedup: Uuid,
    /// When the message was sent, in microseconds since 1970.
    pub(crate) enqueued_at: i64,
    /// When the message becomes visible, in microseconds since 1970.
    pub(crate) visible_at: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<String, String>,
}

impl StoredMessage {
    pub(crate) fn encode(header: &MessageHeader, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut row = Vec::with_capacity(HEADER_CAPACITY_BYTES + body.len());
        serde_json::to_writer(&mut row, header)?;
        row.push(b'\n');
        row.extend_from_slice(body);
        Ok(row)
    }

    pub(crate) fn decode(row: &[u8]) -> anyhow::Result<Self> {
        let newline = row.iter().position(|byte| *byte == b'\n');
        let newline = newline.context("a stored message has no header")?;
        let header =
            serde_json::from_slice(&row[..newline]).context("cannot read the header of a stored message")?;
        Ok(Self { header, body: row[newline + 1..].to_vec() })
    }
}

impl MessageHeader {
    /// The time of sending, or `None` if the stored number is out of range.
    pub(crate) fn enqueued_at(&self) -> Option<Timestamp> {
        Timestamp::from_micros(self.enqueued_at)
    }
}

/// The receipt of an event that has an outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredReceipt {
    #[serde(rename = "type")]
    pub(crate) event_type: EventType,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_hash: Option<String>,
    /// The id of the message that carried the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl StoredReceipt {
    /// Makes the receipt of an order's first event from its log entry. No receipt is stored for that event.
    pub(crate) fn of_entry(event: RecordedEvent, message: Option<&str>) -> Self {
        Self {
            event_type: event.envelope.event.event_type(),
            outcome: Outcome::Recorded { version: event.version },
            request_hash: event.envelope.request_hash,
            message: message.map(str::to_owned),
        }
    }
}

/// The key and the row of a receipt that has an outcome.
pub(crate) fn receipt_row(receipt: &Receipt) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let outcome = receipt.outcome.clone().context("a receipt without an outcome is not stored")?;
    let request_hash = receipt.request_hash.clone();
    let message = receipt.message.clone();
    let row = StoredReceipt { event_type: receipt.event_type, outcome, request_hash, message };
    Ok((keys::receipt_key(&receipt.order_id, receipt.event_id), serde_json::to_vec(&row)?))
}
