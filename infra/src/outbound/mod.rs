//! The outbound table: what leaves the service on AWS. [`FeedWriter`] appends to the feed for the relay, [`TableFeed`]
//! reads the feed for the API, and [`Leases`] keeps the checkpoints of relays in containers. [`Outbox`] sends the jobs
//! of webhook deliveries, and [`TableState`] keeps the state of deliveries.
//!
//! | `pk` | `sk` | holds |
//! |---|---|---|
//! | `FEED` | `METADATA` | `partitions`: the number of partitions, which never changes |
//! | | `HEAD#{partition:04}` | the head of a partition: `next`, the position of the next event, and `time` |
//! | `FEED#{partition:04}` | `{position:020}` | a chunk: up to [`chunk::MAX_EVENTS`] consecutive events from this position on ([`chunk`]) |
//! | `WEBHOOKS` | `SUBSCRIPTION#{id}` | a subscription as JSON, and its `revision` ([`subscriptions`]) |
//! | | `RECEIVER#{id}` | the health of a subscription's receiver: `succeeded_at`, `succeeded_recorded_at`, `failing_since`, `last_error` |
//! | `HELD#{subscription}#{created}` | `{order}` | the row of a held order ([`held`]) |
//! | `SKIPPED#{subscription}#{created}` | `{event}` | a skipped delivery |
//! | `SHARDS#{stream}` | `{shard}` | the checkpoint of a shard of the change stream, and the lease of the relay that reads it |
//!
//! All events of an order are in one partition. A chunk is put at the position after the last chunk, on condition that
//! this position is free. So only one of several relays can take a position, and positions have no gaps. After the put,
//! the head is moved past the chunk. Readers only read up to the head. Chunks before the head never change, but old
//! chunks expire.
//!
//! `docs/decisions/feed-on-aws.md` compares the alternatives and their prices.

mod append;
mod chunk;
mod create;
pub(crate) mod held;
mod jobs;
mod leases;
mod pages;
mod read;
mod replay;
mod start;
mod state;
pub(crate) mod subscriptions;
mod window;

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::OrderId;

pub use append::FeedWriter;
pub use jobs::{JobQueue, Outbox};
pub use leases::Leases;
pub use read::TableFeed;
pub use state::TableState;

use crate::sdk::items;

/// The maximum number of partitions. A reader queries every partition.
pub const MAX_PARTITIONS: u32 = 64;

type Item = HashMap<String, AttributeValue>;

/// The outbound table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OutboundTable {
    client: Client,
    name: String,
}

/// The end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// The position of the next event of the partition. Positions begin with 1.
    next: u64,
    /// The time of the last chunk, in microseconds.
    time: i64,
}

impl Head {
    const EMPTY: Self = Self { next: 1, time: i64::MIN };
}

impl OutboundTable {
    /// Creates a client for the table called `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Prepares a query for the items with the partition key `pk`.
    fn query(&self, pk: impl Into<String>) -> QueryFluentBuilder {
        self.client.query().table_name(&self.name).expression_attribute_values(":pk", text(pk))
    }

    async fn all(&self, query: QueryFluentBuilder) -> anyhow::Result<Vec<Item>> {
        self.items(query, usize::MAX).await
    }

    /// The first `limit` items of a query.
    async fn items(&self, query: QueryFluentBuilder, limit: usize) -> anyhow::Result<Vec<Item>> {
        items(query, limit).await.with_context(|| format!("reading the table {}", self.name))
    }

    /// The heads of all partitions. `partitions` is the configured number, which is used until the relay has stored a
    /// number.
    async fn heads(&self, partitions: u32, consistent: bool) -> anyhow::Result<Vec<Head>> {
        let query = self.query("FEED").key_condition_expression("pk = :pk").consistent_read(consistent);
        let (mut stored, mut heads) = (partitions, Vec::new());
        for item in self.all(query).await? {
            let sk = string(&item, "sk")?;
            if let Some(partition) = sk.strip_prefix("HEAD#") {
                let head = Head { next: number(&item, "next")?, time: number(&item, "time")? };
                heads.push((partition.parse::<usize>()?, head));
            } else {
                stored = number(&item, "partitions")?;
            }
        }
        let mut all = vec![Head::EMPTY; stored as usize];
        for (partition, head) in heads {
            *all.get_mut(partition).with_context(|| format!("the feed has no partition {partition}"))? = head;
        }
        Ok(all)
    }

    /// Stores the number of partitions, unless it is stored already. Fails if a different number is stored, because a
    /// new number would put the events of an order into two partitions.
    pub async fn fix_partitions(&self, partitions: u32) -> anyhow::Result<()> {
        ensure!((1..=MAX_PARTITIONS).contains(&partitions), "a feed has 1–{MAX_PARTITIONS} partitions");
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", text("FEED"))
            .item("sk", text("METADATA"))
            .item("partitions", integer(partitions))
            .condition_expression("attribute_not_exists(pk) OR #partitions = :partitions")
            .expression_attribute_names("#partitions", "partitions")
            .expression_attribute_values(":partitions", integer(partitions));
        let stored = crate::sdk::condition_met(Box::pin(call.send()).await);
        if stored.with_context(|| format!("the table {} cannot be used", self.name))? {
            return Ok(());
        }
        bail!(
            "the feed in the table {} has another number of partitions than {partitions}, and the number cannot change: set \
             ORDERS_FEED_PARTITIONS to the earlier value",
            self.name
        )
    }
}

/// The partition of an order: the FNV-1a hash of the order id, with the bits mixed by the finalizer of MurmurHash3,
/// because ids may differ only in their last characters. The function must never change, because the stored events of
/// an order are in the partition that it returned.
fn partition_of(order_id: &OrderId, partitions: usize) -> usize {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = order_id.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    usize::try_from((hash ^ (hash >> 33)) % partitions.max(1) as u64).unwrap_or(0)
}

fn partition_key(partition: usize) -> String {
    format!("FEED#{partition:04}")
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn integer(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

fn string<'a>(item: &'a Item, name: &str) -> anyhow::Result<&'a str> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).with_context(|| format!("an item without the text {name:?}"))
}

fn number<T: std::str::FromStr>(item: &Item, name: &str) -> anyhow::Result<T> {
    let value = item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
    value.with_context(|| format!("an item without the number {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_keeps_its_partition() {
        let partition = |id: &str| partition_of(&OrderId::parse(id).unwrap(), 4);
        let ids =
            ["o", "A-1", "0199d3a0-0000-7000-8000-000000000001", "0199d3a0-0000-7000-8000-000000000002"];
        assert_eq!(ids.map(partition), [3, 0, 3, 1]);
    }

    #[test]
    fn orders_are_spread_evenly() {
        let mut counts = [0_u32; 4];
        for n in 0..4000 {
            let id = format!("0199d3a0-0000-7000-8000-{n:012}");
            counts[partition_of(&OrderId::parse(&id).unwrap(), 4)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}
