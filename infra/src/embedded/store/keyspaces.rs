//! The keyspaces of the store, and what each one holds. All modules of the engine read and write the store through the
//! keyspaces.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `log` | order id, 0, version | the recorded event; for version 1 also a newline and the id of the message that carried the event |
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
//! | `by_status` | [words](super::index_keys::Words), creation time, order id | empty |
//! | `by_update` | update time, order id | empty. An order with one event has no row |
//! | `references` | reference | the id of the order that has it |
//! | `by_metadata` | key of the metadata, 0, hash of its value, creation time, order id | empty. Only searchable keys have rows |
//! | `due` | `expires_at`, order id | empty. Only an order with an `expires_at` has a row |
//! | `feed` | position of the first event of a commit | the positions of recorded events, see [`feed`](super::feed) |
//! | `webhooks` | a letter, id of the subscription, … | webhook subscriptions and the state of their deliveries, as JSON, see [`webhooks`](crate::embedded::webhooks) |
//! | `meta` | `next_seq` | the sequence number of the next message |
//! | | `ledger` | the ledger, and the number of dead letters |
//! | | `folder` | the name of the folder, which is part of its message ids |
//! | | `chain` | the number of the commit, see [`chain`](super::chain) |
//! | | `searchable` | the searchable keys of the metadata, as JSON |
//! | | `backfill` | how far the indexes are filled, see [`backfill`](super::backfill); absent once they are complete |
//! | | `feed_backfill` | how many events of an earlier format have a position, see [`backfill`](super::feed::backfill); absent once all have one |
//! | | `fence` | the [fence](crate::embedded::fence) of a service that is moved, as JSON; absent while the service accepts writes |
//!
//! Integers in keys are big-endian, so that they sort. [`keys`](super::keys) encodes the keys, and
//! [`records`](super::records) encodes the values.

use std::ffi::OsStr;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::FilterPolicy;
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

/// The size at which a memtable is flushed, and the size of merged tables. fjall writes and syncs a memtable or table
/// as a whole, and the syncs of commits wait until it is done. With 16 MiB, commits wait for 30 ms or more, so both
/// sizes are small.
const MEMTABLE_BYTES: u64 = 4 << 20;
const MERGED_TABLE_BYTES: u64 = 8 << 20;
/// How many bytes of keys and values a restore or an upgrade leaves in memory, without a table. The memory in use is
/// several times as large, because many rows are small.
const UNWRITTEN_BYTES: u64 = 8 << 20;
/// A memtable with fewer bytes of keys and values is not made a table, because every table takes some memory too.
const MIN_TABLE_BYTES: u64 = 512 << 10;
/// How often to check whether fjall has written a table.
const TABLE_POLL: Duration = Duration::from_millis(2);

/// The numbers of the keyspaces. fjall numbers keyspaces from 1 in the order of their creation. Number 0 is fjall's own
/// keyspace.
pub(crate) const LOG: u64 = 1;
pub(crate) const ORDERS: u64 = 2;
pub(crate) const RECEIPTS: u64 = 4;
pub(crate) const QUEUE: u64 = 5;
pub(crate) const META: u64 = 12;
/// The last keyspace of formats 3 and 4.
pub(crate) const LAST_OF_FORMAT_4: u64 = META;
/// The last keyspace of format 5.
pub(crate) const LAST_OF_FORMAT_5: u64 = 17;
/// The last keyspace.
pub(crate) const LAST: u64 = 19;

/// The keyspaces by number.
pub(crate) const NAMES: [&str; LAST as usize] = [
    "log",
    "orders",
    "customers",
    "receipts",
    "queue",
    "receives",
    "first_receives",
    "dead_letters",
    "lines",
    "letter_ids",
    "alerts",
    "meta",
    "by_status",
    "by_update",
    "references",
    "by_metadata",
    "due",
    "feed",
    "webhooks",
];

/// The keyspaces that are read in ranges only, except by a rebuild. These keyspaces have no filters, because a filter
/// only speeds up reads of single keys, and costs time and memory for each row. fjall does not change the options of an
/// existing keyspace.
const READ_IN_RANGES: [&str; 6] = ["customers", "by_status", "by_update", "by_metadata", "due", "feed"];

/// Keys of `meta`.
pub(crate) const NEXT_SEQ: &[u8] = b"next_seq";
pub(crate) const LEDGER: &[u8] = b"ledger";
pub(crate) const FOLDER: &[u8] = b"folder";
pub(crate) const SEARCHABLE: &[u8] = b"searchable";
pub(crate) const BACKFILL: &[u8] = b"backfill";
pub(crate) const FEED_BACKFILL: &[u8] = b"feed_backfill";
pub(crate) const FENCE: &[u8] = b"fence";

/// A keyspace with its number, which journals use to name the keyspace.
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
    pub(crate) by_status: NumberedKeyspace,
    pub(crate) by_update: NumberedKeyspace,
    pub(crate) references: NumberedKeyspace,
    pub(crate) by_metadata: NumberedKeyspace,
    pub(crate) due: NumberedKeyspace,
    pub(crate) feed: NumberedKeyspace,
    pub(crate) webhooks: NumberedKeyspace,
}

impl Keyspaces {
    pub(crate) fn open(db: &Database) -> fjall::Result<Self> {
        let options = |name| {
            let merging = Leveled::default().with_table_target_size(MERGED_TABLE_BYTES);
            let options = KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .compaction_strategy(Arc::new(merging));
            if READ_IN_RANGES.contains(&name) {
                options.filter_policy(FilterPolicy::disabled())
            } else {
                options
            }
        };
        let mut names = (1..).zip(NAMES);
        let mut open = || {
            let (number, name) = names.next().expect("there are as many names as keyspaces");
            let keyspace = db.keyspace(name, || options(name))?;
            // fjall names the folder of a keyspace after the keyspace's number.
            let is_numbered = keyspace.path().file_name() == Some(OsStr::new(&number.to_string()));
            if is_numbered { Ok(NumberedKeyspace { number, keyspace }) } else { Err(misnumbered(name)) }
        };
        Ok(Self {
            log: open()?,
            orders: open()?,
            customers: open()?,
            receipts: open()?,
            queue: open()?,
            receives: open()?,
            first_receives: open()?,
            dead_letters: open()?,
            parked_sequences: open()?,
            dead_letter_ids: open()?,
            alerts: open()?,
            meta: open()?,
            by_status: open()?,
            by_update: open()?,
            references: open()?,
            by_metadata: open()?,
            due: open()?,
            feed: open()?,
            webhooks: open()?,
            db: db.clone(),
        })
    }

    pub(crate) fn count_in(db: &Database) -> usize {
        NAMES.iter().filter(|name| db.keyspace_exists(name)).count()
    }

    /// Limits the data that is only in memory and in journals. If there is more than [`UNWRITTEN_BYTES`], large
    /// memtables are written to tables. Restores and upgrades call this function after each commit.
    pub(crate) fn write_large_tables(&self) -> fjall::Result<()> {
        match self.db.write_buffer_size() > UNWRITTEN_BYTES {
            true => self.write_tables_of(MIN_TABLE_BYTES),
            false => Ok(()),
        }
    }

    /// Writes all data that is only in memory and in journals to tables, and waits until the tables are written.
    pub(crate) fn write_tables(&self) -> fjall::Result<()> {
        self.write_tables_of(0)
    }

    /// Writes the memtables that contain at least `min_bytes` to tables.
    fn write_tables_of(&self, min_bytes: u64) -> fjall::Result<()> {
        for keyspace in self.all() {
            if keyspace.tree.active_memtable().size() >= min_bytes {
                keyspace.rotate_memtable()?;
            }
        }
        while self.all().iter().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            // fjall does not report when a table is written. But `persist` fails if fjall could not write a table.
            self.db.persist(PersistMode::Buffer)?;
            thread::sleep(TABLE_POLL);
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> [&NumberedKeyspace; LAST as usize] {
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
            &self.by_status,
            &self.by_update,
            &self.references,
            &self.by_metadata,
            &self.due,
            &self.feed,
            &self.webhooks,
        ]
    }
}

fn misnumbered(name: &str) -> fjall::Error {
    fjall::Error::Io(io::Error::other(format!("the keyspace {name} has another number")))
}
