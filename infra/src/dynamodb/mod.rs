//! Orders in a DynamoDB table: log, projection, outcomes and each customer's list.
//!
//! | `pk` | `sk` | holds |
//! |---|---|---|
//! | `ORDER#{id}` | `EVENT#{version:010}` | an entry of the log: `event_id`, `type`, and the event as JSON in `entry`; in the first one `customer_id` and `listed_at`, the keys of the index |
//! | | `METADATA` | the projection, from the second event on: `order`, `version`, `status`; `parked`, the ids of its dead letters, in line |
//! | | `RECEIPT#{event_id}` | the outcome of an event that is not in the log |
//! | `DEADLETTER#{id}` | `METADATA` | what is known of a dead letter but its body ([`letters`]); in the index, under names that no customer has |
//! | `LEDGER#{shard}` | `METADATA` | counters ([`ledger`]) |
//!
//! The append is the commit point: an event is put if nobody else's is at its version, in [`append`], and the
//! projection follows it. A crash between the two heals when the event is delivered again, and readers fold in what
//! the projection lacks until then ([`read`]). There are no transactions: they would double the price. Writes of
//! different orders that meet share a call ([`together`]), and the ledger's with them ([`ahead`]).

mod ahead;
mod append;
mod describe;
mod items;
pub(crate) mod ledger;
pub(crate) mod letters;
mod letters_list;
mod line;
mod list;
mod outcomes;
mod read;
pub mod table;
mod together;

pub use describe::Description;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::Currency;
use tokio::sync::Semaphore;

/// Orders that are worked on at the same time.
const CONCURRENCY: usize = 32;

/// A table of orders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
    /// For log entries of article producers, which state none.
    default_currency: Currency,
    /// Shared by all callers, so that concurrent batches do not add up.
    permits: Arc<Semaphore>,
    together: Arc<together::Together>,
    /// Where appends are counted ahead, if they are.
    ahead: Option<ahead::Account>,
}

impl Table {
    /// The table called `name`.
    pub fn new(client: Client, name: impl Into<String>, default_currency: Currency) -> Self {
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        Self { client, name: name.into(), default_currency, permits, together: Arc::default(), ahead: None }
    }

    /// Runs `work` for each of `items`, some of them at the same time; the results are in the order of `items`.
    ///
    /// The future of a call to AWS has kilobytes. So calls are boxed in there: most of what runs side by side makes
    /// none by itself, and is moved and kept without them.
    async fn each<'a, T, R, F>(&'a self, items: &'a [T], work: impl Fn(&'a T) -> F) -> Vec<R>
    where
        F: Future<Output = R>,
    {
        let limited = items.iter().map(|item| {
            let work = work(item);
            async move {
                // The semaphore is never closed, so this is never an error; and if it were, work goes on unlimited.
                let _permit = self.permits.acquire().await;
                work.await
            }
        });
        futures_util::future::join_all(limited).await
    }
}
