//! Tests the feed on AWS. The relay appends the entries of the table's change stream to the feed. The tests run
//! the relay as a library ([`append`]), as a Lambda function ([`function`]) and in containers ([`containers`]).
//! [`reading`] tests the readers of the feed.

mod append;
mod containers;
mod function;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::ports::feed::{EventFeed, FeedCursor, FeedEvent, FeedFilter, FeedStart};
use consumer::ports::OrderLog;
use consumer::relay::shards::{ShardOptions, ShardRelay};
use consumer::relay::{ChangeStream, Checkpoint, FeedEntry, Relay, StreamEntry};
use domain::{Envelope, OrderId};
use infra::aws;
use infra::outbound::{FeedWriter, Leases, OutboundTable, TableFeed};
use tokio::sync::watch;
use uuid::Uuid;

use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::events::{append_of, confirmed, created, new_order_id, paid, recorded};

pub const PARTITIONS: u32 = 4;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct FeedBackend {
    pub backend: AwsBackend,
    pub outbound: OutboundTable,
    pub outbound_name: String,
    /// The ARN of the change stream of the table of orders.
    pub stream: String,
    pub feed: Arc<TableFeed>,
}

impl FeedBackend {
    pub async fn open() -> Self {
        let backend = AwsBackend::open_streaming().await;
        let sdk = aws::config_at(&Emulator::shared().endpoint).await;
        let outbound_name = format!("outbound-{}", Uuid::now_v7().simple());
        let outbound = aws::outbound(&sdk, &outbound_name);
        assert!(outbound.create().await.unwrap(), "the table existed already");
        outbound.fix_partitions(PARTITIONS).await.unwrap();
        let feed = Arc::new(TableFeed::new(outbound.clone(), (*backend.table).clone(), PARTITIONS));
        let stream = backend.table.stream().await.unwrap();
        Self { backend, outbound, outbound_name, stream, feed }
    }

    /// A new writer of the feed. It has no state in memory, like a writer after a restart.
    pub fn writer(&self) -> FeedWriter {
        FeedWriter::new(self.outbound.clone(), PARTITIONS, DAY)
    }

    /// A new relay. It has no state in memory, like a relay after a restart.
    pub fn relay(&self) -> Relay {
        Relay::new(self.backend.table.clone(), infra::now).with_feed(Arc::new(self.writer()))
    }

    /// Starts a relay that reads the change stream until the runtime of the test ends.
    pub async fn start_relay(&self) {
        let sdk = aws::config_at(&Emulator::shared().endpoint).await;
        let relay = ShardRelay {
            stream: Arc::new(aws::stream(&sdk, &self.stream)),
            leases: Arc::new(Leases::new(self.outbound.clone(), &self.stream)),
            relay: Arc::new(self.relay()),
            options: ShardOptions {
                owner: "the test".to_owned(),
                lease: Duration::from_secs(15),
                tick: Duration::from_millis(200),
                max_pause: Duration::from_millis(100),
            },
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            let _never_stopped = stop;
            Arc::new(relay).run(stopped).await;
        });
    }

    /// Appends the event with the given version from each log, as the consumer does.
    pub async fn record(&self, logs: &[Vec<Envelope>], version: usize) {
        let appends: Vec<_> = logs.iter().map(|log| append_of(&recorded(1, &log[..version]), 1)).collect();
        for result in self.backend.table.append(&appends).await {
            result.unwrap();
        }
    }

    /// Records all events of the logs: the first event of every log, then the second event of every log, and so on.
    pub async fn record_all(&self, logs: &[Vec<Envelope>]) {
        for version in 1..=logs[0].len() {
            self.record(logs, version).await;
        }
    }

    /// All log entries in the change stream.
    pub async fn streamed(&self) -> Vec<StreamEntry> {
        let stream = aws::stream(&aws::config_at(&Emulator::shared().endpoint).await, &self.stream);
        let mut entries = Vec::new();
        for shard in stream.shards().await.unwrap() {
            let mut next = Some(stream.iterate(&shard.id, &Checkpoint::Start).await.unwrap());
            while let Some(iterator) = next {
                let page = stream.read(&iterator).await.unwrap();
                entries.extend(page.entries.into_iter().map(|(_, entry)| entry.unwrap()));
                next = page.next.filter(|_| page.last.is_some());
            }
        }
        entries
    }

    /// Relays everything that the change stream contains.
    pub async fn relay_all(&self) {
        self.relay().relay(self.streamed().await.into_iter().map(Ok).collect()).await.unwrap();
    }

    /// Reads from the cursor to the end of the feed, in pages of `limit` events.
    pub async fn read_from(&self, cursor: FeedCursor, filter: &FeedFilter, limit: usize) -> Vec<FeedEvent> {
        let (mut cursor, mut all) = (cursor, Vec::new());
        loop {
            let page = self.feed.read(filter, &cursor, limit).await.unwrap();
            assert!(page.events.len() <= limit);
            all.extend(page.events);
            cursor = page.next;
            if page.is_last {
                return all;
            }
        }
    }

    pub async fn read_all(&self, limit: usize) -> Vec<FeedEvent> {
        let start = self.feed.start(FeedStart::Oldest).await.unwrap();
        self.read_from(start, &FeedFilter::default(), limit).await
    }
}

/// The logs of `count` new orders. Each log has three events.
pub fn logs(count: usize) -> Vec<Vec<Envelope>> {
    let log = |order_id: OrderId| vec![created(&order_id), confirmed(&order_id), paid(&order_id)];
    (0..count).map(|_| log(new_order_id())).collect()
}

/// Asserts that `events` contains every event of the logs once, and the events of each order in the order of their versions.
pub fn assert_complete(events: &[FeedEvent], logs: &[Vec<Envelope>]) {
    let mut by_order: BTreeMap<OrderId, Vec<(u64, Envelope)>> = BTreeMap::new();
    for FeedEvent { event, .. } in events {
        let order_id = event.envelope.order_id.clone();
        by_order.entry(order_id).or_default().push((event.version, event.envelope.clone()));
    }
    assert_eq!(by_order.len(), logs.len());
    for log in logs {
        let expected: Vec<_> = (1..).zip(log.iter().cloned()).collect();
        assert_eq!(by_order[&log[0].order_id], expected);
    }
}

/// The feed entries for the given entries of the change stream. All entries have the same customer.
fn entries(streamed: &[StreamEntry]) -> Vec<FeedEntry> {
    let customer_id = domain::CustomerId::parse("c-1").unwrap();
    let entry = |entry: &StreamEntry| FeedEntry {
        order_id: entry.order_id.clone(),
        version: entry.version,
        event_type: entry.event_type.clone(),
        recorded_at: entry.recorded_at,
        customer_id: customer_id.clone(),
        json: entry.json.clone(),
    };
    streamed.iter().map(entry).collect()
}
