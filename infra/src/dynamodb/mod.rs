//! Orders in a DynamoDB table: log, projection, outcomes, customers' lists, dead-letter index and ledger. [`Table`]
//! implements the ports of the API and the consumer.
//!
//! | `pk` | `sk` | holds |
//! |---|---|---|
//! | `ORDER#{id}` | `EVENT#{version:010}` | a log entry ([`consumer::table_entry`]). An order's first entry also has the keys of the index of customers' orders, `customer_id` and `listed_at`. If the order has a deadline, its first entry has `due_shard` and `due_at` too ([`due`]) |
//! | | `METADATA` | the projection, if the order has one ([`projections`]): `order` (JSON; in schema version 1 a map), `version`, `status`; the ids of the parked sequence in `parked` |
//! | | `RECEIPT#{event_id}` | the outcome of a rejected or parked event |
//! | `REF#{reference}` | `METADATA` | the order that has the reference, or is about to get it ([`references`]) |
//! | `DEADLETTER#{id}` | `METADATA` | a dead letter without its body ([`dead_letter_index`]); in the index of customers' orders it has a `customer_id` that no customer can have |
//! | `LEDGER#{shard}` | `WRITER#{name}` | what one process has counted: `recorded`, `rejected`, `duplicate`, and by which numbers, in `counted_to` and `open` ([`ledger_writer`]) |
//! | | `FOLDED#{name}` | the same for a writer whose totals are in the sum ([`ledger_fold`]) |
//! | | `METADATA` | the counters of programs without marks, which are still added up |
//! | `LEDGER#folded` | `METADATA` | the sum of folded writers |
//! | `LEDGER#restored` | `METADATA` | the totals of a restore or a move into the table ([`restored_ledger`]) |
//! | `LEDGER#letters` | `METADATA` | the counters of the dead-letter index |
//! | `MESSAGE#{id}` | `METADATA` | the mark of a duplicate, by its message ([`ledger_marks`]) |
//! | `RESTORE` | `METADATA` | how far a restore or a move into the table is ([`fill_marker`]) |
//!
//! The append is the commit point ([`append`]). An event is put on condition that its version is free. Then the
//! projection is written, if it is due. Readers fold the events after the projection into it ([`read`]), so a crash
//! between the two writes only makes a read longer. Appends use no transactions, which would double their price. Concurrent writes of different orders share a call ([`write_batcher`]).
//!
//! Each outcome (a log entry, the receipt of a rejection, the item of a duplicate) has in `ledger` the number under which
//! it is counted, before its message is acknowledged ([`ledger_count`]).
//!
//! With the search index ([`search`]), the first log entry and the projection also have the index keys `search_list`
//! and `search_at`, and the projection has `payment_status` and `fulfilment_status`.

mod append;
mod conditional_put;
mod create;
pub(crate) mod dead_letter_index;
mod dead_letter_list;
mod describe;
mod due;
mod entries;
mod export;
mod fill_marker;
mod import;
mod items;
pub(crate) mod ledger;
mod ledger_count;
mod ledger_fold;
mod ledger_marks;
mod ledger_numbers;
mod ledger_writer;
mod list;
mod outcomes;
mod parked_sequence;
mod projections;
mod read;
mod reference_lookup;
mod references;
mod restored_ledger;
mod search;
mod write_batcher;
mod written_items;

pub use describe::TableSettings;
pub use fill_marker::FillMarker;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use domain::Currency;
use tokio::sync::Semaphore;

/// The maximum number of orders that are processed concurrently.
const CONCURRENCY: usize = 32;

/// A table of orders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
    /// The currency to assume for log entries of schema version 0, which do not contain one.
    default_currency: Currency,
    /// The configured age at which unpaid orders expire, in microseconds.
    unpaid_age_micros: Option<i64>,
    /// Limits the concurrent work of all callers and batches together.
    permits: Arc<Semaphore>,
    write_batcher: Arc<write_batcher::WriteBatcher>,
    /// Counts the outcomes that this process stores.
    ledger: Arc<ledger_count::LedgerCounter>,
    /// Whether the table has the search index ([`search`]).
    search_index: bool,
    /// Whether the table is created with a change stream.
    stream: bool,
}

impl Table {
    /// The table called `name`.
    pub fn new(client: Client, name: impl Into<String>, default_currency: Currency) -> Self {
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        Self {
            client,
            name: name.into(),
            default_currency,
            unpaid_age_micros: None,
            permits,
            write_batcher: Arc::default(),
            ledger: Arc::default(),
            search_index: false,
            stream: false,
        }
    }

    /// Sets the age at which new orders expire if they are still unpaid.
    pub fn expiring_unpaid(self, age: Option<Duration>) -> Self {
        let unpaid_age_micros = age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        Self { unpaid_age_micros, ..self }
    }

    /// Returns the same table, with or without the search index. With the index, writes maintain it, and searches find
    /// the orders of all customers.
    #[must_use]
    pub fn with_search_index(self, search_index: bool) -> Self {
        Self { search_index, ..self }
    }

    /// Returns the same table. If `stream` is true, the table is created with a change stream.
    #[must_use]
    pub fn with_stream(self, stream: bool) -> Self {
        Self { stream, ..self }
    }

    /// Runs `work` for each of `items` with limited concurrency. The results are in the order of `items`.
    ///
    /// The future of an AWS call occupies kilobytes. So `work` boxes its calls, and items without a call need little memory.
    async fn each<'a, T, R, F>(&'a self, items: &'a [T], work: impl Fn(&'a T) -> F) -> Vec<R>
    where
        F: Future<Output = R>,
    {
        let limited = items.iter().map(|item| {
            let work = work(item);
            async move {
                // The semaphore is never closed. If it were, the work would run without a limit.
                let _permit = self.permits.acquire().await;
                work.await
            }
        });
        futures_util::future::join_all(limited).await
    }
}
