//! The keyspaces of the store, and what each one holds. All modules read and write the store through these keyspaces.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `log` | order id, 0, version | the recorded event; after the first one, a newline and the id of the message that carried it |
//! | `orders` | order id | the projection: the order as of its latest event. An order with one event has none |
//! | `customers` | customer id, 0, creation time, order id | empty |
//! | `receipts` | order id, 0, event id | type and outcome of the event. The first event of an order has none: its log entry is its receipt |
//! | `queue` | sequence number | a message: header, newline, body |
//! | `receives` | sequence number | the receive count of a message, and the time of its first receive |
//! | `first_receives` | delivery number | the time of the delivery, and the messages that were received for the first time in it |
//! | `dead_letters` | sequence number | a dead letter as JSON, with its body |
//! | `lines` | order id, 0, sequence number | empty: this dead letter is in the parked sequence of the order. `lines` is an old name for parked sequences |
//! | `letter_ids` | id of a dead letter | its sequence number |
//! | `alerts` | sequence number | the time at which a dead letter was parked, until an alert has reported it |
//! | `meta` | `next_seq` | the sequence number of the next message |
//! | | `ledger` | the ledger, and the number of dead letters |
//! | | `folder` | the name of the folder, which is part of its message ids |
//! | | `chain` | the number of the commit, see [`chain`](super::chain) |
//!
//! Integers in keys are big-endian, so that they sort. [`keys`](super::keys) encodes the keys, [`records`](super::records)
//! the values.

use std::ops::Deref;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

/// The size at which a memtable is flushed, and the size of merged tables. fjall writes and syncs each as a whole, and
/// the syncs of commits wait until it is done. With 16 MiB they wait 30 ms or more, so both are small.
const MEMTABLE_BYTES: u64 = 4 << 20;
const MERGED_TABLE_BYTES: u64 = 8 << 20;

/// Keyspace numbers. fjall counts keyspaces from 1 in the order of their creation; 0 is its own.
pub(crate) const LOG: u64 = 1;
pub(crate) const ORDERS: u64 = 2;
pub(crate) const RECEIPTS: u64 = 4;
pub(crate) const QUEUE: u64 = 5;
pub(crate) const META: u64 = 12;

/// Keys of `meta`.
pub(crate) const NEXT_SEQ: &[u8] = b"next_seq";
pub(crate) const LEDGER: &[u8] = b"ledger";
pub(crate) const FOLDER: &[u8] = b"folder";

/// A keyspace with its number, by which journals name it.
#[derive(Clone)]
pub(crate) struct NumberedKeyspace {
    pub(crate) number: u64,
    keyspace: Keyspace,
}

impl Deref for NumberedKeyspace {
    type Target = Keyspace;

    fn deref(&self) -> &Keyspace {
        &self.keyspace
    }
}

impl AsRef<Keyspace> for NumberedKeyspace {
    fn as_ref(&self) -> &Keyspace {
        &self.keyspace
    }
}

/// The open database and its keyspaces.
#[derive(Clone)]
pub(crate) struct Keyspaces {
    pub(crate) db: Database,
    pub(crate) log: NumberedKeyspace,
    pub(crate) orders: NumberedKeyspace,
    pub(crate) customers: NumberedKeyspace,
    pub(crate) receipts: NumberedKeyspace,
    pub(crate) queue: NumberedKeyspace,
    pub(crate) receives: NumberedKeyspace,
    pub(crate) first_receives: NumberedKeyspace,
    pub(crate) dead_letters: NumberedKeyspace,
    pub(crate) parked_sequences: NumberedKeyspace,
    pub(crate) dead_letter_ids: NumberedKeyspace,
    pub(crate) alerts: NumberedKeyspace,
    pub(crate) meta: NumberedKeyspace,
}

impl Keyspaces {
    pub(crate) fn open(db: &Database) -> fjall::Result<Self> {
        let options = || {
            let merging = Leveled::default().with_table_target_size(MERGED_TABLE_BYTES);
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .compaction_strategy(Arc::new(merging))
        };
        let mut number = 0;
        let mut open = |name| {
            number += 1;
            Ok::<_, fjall::Error>(NumberedKeyspace { number, keyspace: db.keyspace(name, options)? })
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
            parked_sequences: open("lines")?,
            dead_letter_ids: open("letter_ids")?,
            alerts: open("alerts")?,
            meta: open("meta")?,
            db: db.clone(),
        })
    }

    pub(crate) fn all(&self) -> [&NumberedKeyspace; META as usize] {
        [
            &self.log,
            &self.orders,
            &self.customers,
            &self.receipts,
            &self.queue,
            &self.receives,
            &self.first_receives,
            &self.dead_letters,
            &self.parked_sequences,
            &self.dead_letter_ids,
            &self.alerts,
            &self.meta,
        ]
    }
}
