//! Orders in a DynamoDB table: log, projection, outcomes, customers' lists, dead-letter index and ledger. [`Table`]
//! implements the ports of the API and the consumer.
//!
//! | `pk` | `sk` | holds |
//! |---|---|---|
//! | `ORDER#{id}` | `EVENT#{version:010}` | a log entry: `event_id`, `type`, and the event as JSON in `entry`; the first one also has `customer_id` and `listed_at`, the keys of the index of customers' orders; that of an order with a deadline also has `due_shard` and `due_at` ([`due`]) |
//! | | `METADATA` | the projection, from the second event on: `order` (JSON; in schema version 1 a map), `version`, `status`; the ids of the parked sequence in `parked` |
//! | | `RECEIPT#{event_id}` | the outcome of a rejected or parked event |
//! | `REF#{reference}` | `METADATA` | the order that has the reference, or is about to get it ([`references`]) |
//! | `DEADLETTER#{id}` | `METADATA` | a dead letter without its body ([`dead_letter_index`]); in the index it has a `customer_id` that no customer can have |
//! | `LEDGER#{shard}` | `METADATA` | counters ([`ledger`]) |
//!
//! The append is the commit point ([`append`]): an event is put on condition that its version is free, and the
//! projection is written after it. After a crash between the two, the projection is completed when the event is
//! delivered again; until then readers fold the missing events into the projection ([`read`]). Appends use no
//! transactions, which would double their price. Concurrent writes of different orders share a call
//! ([`write_batcher`]), and the ledger's counts are sent with them ([`optimistic_count`]).
//!
//! With the search index ([`search`]), the first log entry and the projection also have its keys `search_list` and
//! `search_at`, and the projection has `payment_status` and `fulfilment_status`.

mod append;
mod create;
pub(crate) mod dead_letter_index;
mod dead_letter_list;
mod describe;
mod due;
mod items;
pub(crate) mod ledger;
mod list;
mod optimistic_count;
mod outcomes;
mod parked_sequence;
mod read;
mod reference_lookup;
mod references;
mod search;
mod write_batcher;

pub use describe::TableSettings;

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
    /// The currency of log entries of v0 producers, which state no currency.
    default_currency: Currency,
    /// The configured age for unpaid orders, in microseconds.
    unpaid_age_micros: Option<i64>,
    /// The limit of concurrency, shared by all callers and concurrent batches.
    permits: Arc<Semaphore>,
    write_batcher: Arc<write_batcher::WriteBatcher>,
    /// The counts of unfinished batches, if this table counts optimistically.
    optimistic_count: Option<optimistic_count::OptimisticCount>,
    /// Whether the table has the search index ([`search`]).
    search_index: bool,
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
            optimistic_count: None,
            search_index: false,
        }
    }

    /// Gives new orders a deadline at this age, if they are unpaid then.
    pub fn expiring_unpaid(self, age: Option<Duration>) -> Self {
        let unpaid_age_micros = age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        Self { unpaid_age_micros, ..self }
    }

    /// The same table, with or without the search index. With it, writes maintain the index, and orders are found across
    /// customers.
    #[must_use]
    pub fn with_search_index(self, search_index: bool) -> Self {
        Self { search_index, ..self }
    }

    /// Runs `work` for each of `items` with limited concurrency. The results are in the order of `items`.
    ///
    /// The future of an AWS call takes kilobytes, so `work` boxes its calls. Most futures make no call and stay small.
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
