//! What is stored where. Values are JSON (with a raw body behind it, for messages), so that an operator can read
//! them; integers in keys are big-endian, so that they sort.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `log` | order id, 0, version | the recorded event; for the first one, a newline and the message that brought it |
//! | `orders` | order id | the order as of its latest event; until it has a second one, the log tells |
//! | `customers` | customer id, 0, creation time, order id | nothing |
//! | `receipts` | order id, 0, event id | the event's type and outcome; for the first one in the log, that entry tells |
//! | `queue` | sequence number | a message: header, newline, body |
//! | `receives` | sequence number | how often the message was received, and when first |
//! | `first_receives` | number of a delivery | when it was, and what was received for the first time in it |
//! | `dead_letters` | sequence number | a letter: what is known of it, and its body |
//! | `lines` | order id, 0, sequence number | nothing: this letter holds the order |
//! | `letter_ids` | a letter's id | its sequence number |
//! | `alerts` | sequence number | when it was put aside: nobody was told of this letter yet |
//! | `meta` | `next_seq` | the sequence number that the next message gets |
//! | | `ledger` | the ledger, and how many letters wait |
//! | | `folder` | the folder's name, which is in the ids of its messages |
//! | | `chain` | the number of the commit, see [`chain`](super::chain) |
//!
//! Ids never contain a zero byte, so a prefix up to it names exactly one order or customer.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use anyhow::Context;
use api::ports::ListPosition;
use domain::{CustomerId, EventId, EventType, OrderId, Outcome, RecordedEvent, Timestamp};
use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of a memtable, and of a table that others are merged into. Each is written and synced at once, and while the disk
/// is at that, orders wait for their own sync: 16 MiB are 30 ms or more.
const MEMTABLE: u64 = 4 << 20;
const TABLE: u64 = 8 << 20;

/// Numbers of keyspaces: fjall counts them from 1 in the order of their creation, and has one of its own, 0.
pub(crate) const LOG: u64 = 1;
pub(crate) const RECEIPTS: u64 = 4;
pub(crate) const QUEUE: u64 = 5;
pub(crate) const META: u64 = 12;

pub(crate) const NEXT_SEQ: &[u8] = b"next_seq";
pub(crate) const LEDGER: &[u8] = b"ledger";
pub(crate) const FOLDER: &[u8] = b"folder";

/// A keyspace that knows its number.
#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    keyspace: Keyspace,
}

impl Deref for Numbered {
    type Target = Keyspace;

    fn deref(&self) -> &Keyspace {
        &self.keyspace
    }
}

impl AsRef<Keyspace> for Numbered {
    fn as_ref(&self) -> &Keyspace {
        &self.keyspace
    }
}

#[derive(Clone)]
pub(crate) struct Keyspaces {
    pub(crate) db: Database,
    pub(crate) log: Numbered,
    pub(crate) orders: Numbered,
    pub(crate) customers: Numbered,
    pub(crate) receipts: Numbered,
    pub(crate) queue: Numbered,
    pub(crate) receives: Numbered,
    pub(crate) first_receives: Numbered,
    pub(crate) dead_letters: Numbered,
    pub(crate) lines: Numbered,
    pub(crate) letter_ids: Numbered,
    pub(crate) alerts: Numbered,
    pub(crate) meta: Numbered,
}

impl Keyspaces {
    pub(crate) fn open(db: &Database) -> fjall::Result<Self> {
        let options = || {
            let merging = Leveled::default().with_table_target_size(TABLE);
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE)
                .compaction_strategy(Arc::new(merging))
        };
        let mut number = 0;
        let mut open = |name| {
            number += 1;
            Ok::<_, fjall::Error>(Numbered { number, keyspace: db.keyspace(name, options)? })
        };
        Ok(Self {
            log: open("log")?,
            orders: open("orders")?,
            customers: open("customers")?,
            receipts: open("receipts")?,
            queue: open("queue")?,
            receives: open("receives")?,
            first_receives: open("first_receives")?,
            dead_letters: open("dead_letters")?,
            lines: open("lines")?,
            letter_ids: open("letter_ids")?,
            alerts: open("alerts")?,
            meta: open("meta")?,
            db: db.clone(),
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> [&Numbered; META as usize] {
        [
            &self.log,
            &self.orders,
            &self.customers,
            &self.receipts,
            &self.queue,
            &self.receives,
            &self.first_receives,
            &self.dead_letters,
            &self.lines,
            &self.letter_ids,
            &self.alerts,
            &self.meta,
        ]
    }
}

/// `id`, a zero byte, `rest`.
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

/// Before every entry of the order's log.
pub(crate) fn log_prefix(order_id: &OrderId) -> Vec<u8> {
    scoped(order_id.as_str(), &[])
}

/// The order that a key of the log is of.
pub(crate) fn log_order(key: &[u8]) -> anyhow::Result<OrderId> {
    let id = key.split(|byte| *byte == 0).next().unwrap_or_default();
    OrderId::parse(std::str::from_utf8(id)?).context("the key of an entry of the log")
}

/// An entry of the log, with the message that brought it where that is told there.
pub(crate) fn entry(event: &RecordedEvent, message: Option<&str>) -> Vec<u8> {
    let mut entry = event.encode();
    if let Some(message) = message {
        entry.push(b'\n');
        entry.extend_from_slice(message.as_bytes());
    }
    entry
}

/// The event in an entry of the log, and the message that brought it. JSON as it is written here has no newline.
pub(crate) fn split_entry(entry: &[u8]) -> (&[u8], Option<&str>) {
    let Some(newline) = entry.iter().rposition(|byte| *byte == b'\n') else { return (entry, None) };
    (&entry[..newline], std::str::from_utf8(&entry[newline + 1..]).ok())
}

/// Whether the id is in this JSON.
pub(crate) fn mentions(json: &[u8], id: EventId) -> bool {
    let mut text = Uuid::encode_buffer();
    let id = id.as_uuid().hyphenated().encode_lower(&mut text);
    std::str::from_utf8(json).is_ok_and(|json| json.contains(&*id))
}

pub(crate) fn receipt_key(order_id: &OrderId, event_id: EventId) -> Vec<u8> {
    scoped(order_id.as_str(), &[event_id.as_uuid().as_bytes()])
}

pub(crate) fn customer_prefix(customer_id: &CustomerId) -> Vec<u8> {
    scoped(customer_id.as_str(), &[])
}

pub(crate) fn customer_key(customer_id: &CustomerId, created_at_micros: i64, order_id: &OrderId) -> Vec<u8> {
    scoped(customer_id.as_str(), &[&sortable(created_at_micros), order_id.as_str().as_bytes()])
}

/// Before every order that the customer created at this time or later, and behind all earlier ones.
pub(crate) fn customer_time(customer_id: &CustomerId, created_at_micros: i64) -> Vec<u8> {
    scoped(customer_id.as_str(), &[&sortable(created_at_micros)])
}

/// With the sign bit flipped, times before 1970 sort before those after.
fn sortable(micros: i64) -> [u8; 8] {
    (micros as u64 ^ (1 << 63)).to_be_bytes()
}

/// The place in the list that a customer key stands for.
pub(crate) fn customer_key_position(key: &[u8]) -> anyhow::Result<ListPosition> {
    let zero = key.iter().position(|byte| *byte == 0).context("a customer key without a separator")?;
    let (time, order_id) = key[zero + 1..].split_first_chunk().context("a customer key that is too short")?;
    let created_at_micros = (u64::from_be_bytes(*time) ^ (1 << 63)) as i64;
    Ok(ListPosition { created_at_micros, order_id: OrderId::parse(std::str::from_utf8(order_id)?)? })
}

pub(crate) fn line_key(order_id: &OrderId, seq: u64) -> Vec<u8> {
    scoped(order_id.as_str(), &[&seq.to_be_bytes()])
}

/// The letter that a key of a line stands for.
pub(crate) fn line_seq(key: &[u8]) -> anyhow::Result<u64> {
    seq_of(key.last_chunk::<8>().context("a key of a line that is too short")?)
}

pub(crate) fn seq_of(bytes: &[u8]) -> anyhow::Result<u64> {
    Ok(u64::from_be_bytes(bytes.try_into().context("a sequence number that is not 8 bytes long")?))
}

/// How often a message was received, and when first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receives {
    pub(crate) count: u32,
    pub(crate) first: Timestamp,
}

impl Receives {
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.count.to_be_bytes().as_slice(), &self.first.micros().to_be_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let parts = || {
            let (count, first) = bytes.split_first_chunk()?;
            let first = i64::from_be_bytes(first.try_into().ok()?);
            Some((u32::from_be_bytes(*count), Timestamp::from_micros(first)?))
        };
        let (count, first) = parts().context("a receive count that is not one")?;
        Ok(Self { count, first })
    }
}

/// What was received for the first time in one delivery, which says of each that it was received once.
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
        let at =
            at.and_then(|at| Timestamp::from_micros(at as i64)).context("first receives that are none")?;
        Ok(Self { at, seqs: numbers.collect() })
    }
}

/// More than the bytes of a usual header.
const HEADER: usize = 256;

/// A header in JSON with a raw body behind it.
pub(crate) struct WithBody<H> {
    pub(crate) header: H,
    pub(crate) body: Vec<u8>,
}

/// A message on the queue.
pub(crate) type StoredMessage = WithBody<MessageHeader>;

impl<H: Serialize + DeserializeOwned> WithBody<H> {
    pub(crate) fn encode(header: &H, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut row = Vec::with_capacity(HEADER + body.len());
        serde_json::to_writer(&mut row, header)?;
        row.push(b'\n');
        row.extend_from_slice(body);
        Ok(row)
    }

    pub(crate) fn decode(row: &[u8]) -> anyhow::Result<Self> {
        let newline =
            row.iter().position(|byte| *byte == b'\n').context("a stored message without a header")?;
        let header = serde_json::from_slice(&row[..newline]).context("the header of a stored message")?;
        Ok(Self { header, body: row[newline + 1..].to_vec() })
    }
}

impl MessageHeader {
    /// When the message came, if that is a time.
    pub(crate) fn enqueued_at(&self) -> Option<Timestamp> {
        Timestamp::from_micros(self.enqueued_at)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageHeader {
    pub(crate) group: String,
    pub(crate) dedup: Uuid,
    /// Microseconds since 1970, as well as when it becomes visible.
    pub(crate) enqueued_at: i64,
    pub(crate) visible_at: i64,
    /// What came with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<String, String>,
}

/// An event's type and outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredReceipt {
    #[serde(rename = "type")]
    pub(crate) event_type: EventType,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_hash: Option<String>,
    /// The message that brought it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

impl StoredReceipt {
    /// What an entry of the log tells.
    pub(crate) fn of_entry(event: RecordedEvent, message: Option<&str>) -> Self {
        Self {
            event_type: event.envelope.event.event_type(),
            outcome: Outcome::Recorded { version: event.version },
            request_hash: event.envelope.request_hash,
            message: message.map(str::to_owned),
        }
    }
}
