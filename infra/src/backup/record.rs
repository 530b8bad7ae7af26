//! The lines of log segments: recorded events with their positions. Backups write these lines, and restores read them.

use domain::OrderId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::text::{Bytes, as_json, to_line};

/// An event at one position of the feed, or several positions without events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRecord {
    /// A recorded event.
    Event(EventRecord),
    /// Positions without events, which a recovery has left.
    Lost {
        /// The first of the positions.
        position: u64,
        /// The time of the positions' row in the feed, in microseconds since 1970.
        time: i64,
        /// The number of positions, at least 1.
        count: u64,
    },
}

/// A recorded event, as stored in the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The place of the event in the feed.
    pub position: u64,
    /// The time of the event's row in the feed, in microseconds since 1970. The time never decreases from record to
    /// record.
    pub time: i64,
    /// The order that the event belongs to.
    pub order_id: OrderId,
    /// The event's version in the log of the order.
    pub version: u64,
    /// The value of the log entry: the event as JSON. In some entries of version 1, a newline and the message id
    /// follow.
    pub entry: Vec<u8>,
    /// The value of the event's row in `receipts`, if there is such a row.
    pub receipt: Option<Vec<u8>>,
}

impl LogRecord {
    /// The first position of the record.
    pub fn first(&self) -> u64 {
        match self {
            Self::Event(event) => event.position,
            Self::Lost { position, .. } => *position,
        }
    }

    /// The last position of the record. Equals the first position, except for several lost positions.
    pub fn last(&self) -> u64 {
        match self {
            Self::Event(event) => event.position,
            Self::Lost { position, count, .. } => position + count - 1,
        }
    }

    /// The time of the record's row in the feed, in microseconds since 1970.
    pub fn time(&self) -> i64 {
        match self {
            Self::Event(event) => event.time,
            Self::Lost { time, .. } => *time,
        }
    }

    /// Adds the record to `lines` as one line.
    pub fn encode(&self, lines: &mut Vec<u8>) -> anyhow::Result<()> {
        Ok(to_line(&Line::of(self), lines)?)
    }

    /// Decodes a record from a line without its newline.
    pub fn decode(line: &[u8]) -> anyhow::Result<Self> {
        serde_json::from_slice::<Line<'_>>(line)?.record()
    }
}

/// A record in JSON. Has either `lost` or the members of an event.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    position: u64,
    time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// The event of the log entry, if it is JSON on one line.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    entry: Option<&'a RawValue>,
    /// The id of the message that the log entry contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The log entry, if it cannot be written as JSON on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry_bytes: Option<Bytes>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt_bytes: Option<Bytes>,
}

impl<'a> Line<'a> {
    fn of(record: &'a LogRecord) -> Self {
        let empty = Self {
            position: record.first(),
            time: record.time(),
            lost: None,
            order_id: None,
            version: None,
            entry: None,
            message: None,
            entry_bytes: None,
            receipt: None,
            receipt_bytes: None,
        };
        let event = match record {
            LogRecord::Event(event) => event,
            LogRecord::Lost { count, .. } => return Self { lost: Some(*count), ..empty },
        };
        let readable = readable_entry(&event.entry);
        let receipt = event.receipt.as_deref();
        let readable_receipt = receipt.and_then(as_json);
        Self {
            order_id: Some(event.order_id.to_string()),
            version: Some(event.version),
            entry: readable.map(|(entry, _)| entry),
            message: readable.and_then(|(_, message)| message).map(str::to_owned),
            entry_bytes: readable.is_none().then(|| Bytes(event.entry.clone())),
            receipt: readable_receipt,
            receipt_bytes: receipt.filter(|_| readable_receipt.is_none()).map(|row| Bytes(row.to_vec())),
            ..empty
        }
    }

    fn record(self) -> anyhow::Result<LogRecord> {
        let Self { position, time, .. } = self;
        anyhow::ensure!(position > 0, "the position is 0");
        if let Some(count) = self.lost {
            let has_last = count > 0 && position.checked_add(count).is_some();
            anyhow::ensure!(has_last, "the number of lost positions is out of range");
            return Ok(LogRecord::Lost { position, time, count });
        }
        let entry = match (self.entry, self.message, self.entry_bytes) {
            (Some(event), None, None) => event.get().as_bytes().to_vec(),
            (Some(event), Some(message), None) => [event.get(), &message].join("\n").into_bytes(),
            (None, None, Some(bytes)) => bytes.0,
            _ => anyhow::bail!("the record needs either `entry` or `entry_bytes`"),
        };
        let receipt = match (self.receipt, self.receipt_bytes) {
            (Some(receipt), None) => Some(receipt.get().as_bytes().to_vec()),
            (None, bytes) => bytes.map(|bytes| bytes.0),
            (Some(_), Some(_)) => anyhow::bail!("the record has two receipts"),
        };
        let (Some(order_id), Some(version)) = (self.order_id, self.version) else {
            anyhow::bail!("the record needs `order_id` and `version`, or `lost`")
        };
        let order_id = OrderId::parse(&order_id)?;
        Ok(LogRecord::Event(EventRecord { position, time, order_id, version, entry, receipt }))
    }
}

/// Splits a log entry into the event and the id of its message. `None` unless the event is JSON and the id is text
/// without a newline.
fn readable_entry(entry: &[u8]) -> Option<(&RawValue, Option<&str>)> {
    let (event, message) = match entry.iter().position(|byte| *byte == b'\n') {
        Some(newline) => (&entry[..newline], Some(&entry[newline + 1..])),
        None => (entry, None),
    };
    let message = message.map(std::str::from_utf8).transpose().ok()?;
    Some((as_json(event)?, message))
}
