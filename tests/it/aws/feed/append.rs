//! Tests what the relay appends to the feed: every event once and in order, even if batches are repeated, relays run
//! concurrently, or a relay crashes.

use std::collections::BTreeSet;

use api::ports::feed::{EventFeed, FeedFilter, FeedStart};
use consumer::relay::{FeedSink, Relay};
use serde_json::{Value, json};

use super::{FeedBackend, PARTITIONS, assert_complete, entries, logs};
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use infra::aws;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_in_the_feed_once_and_in_the_order_of_its_log() {
    let feed = FeedBackend::open().await;
    let logs = logs(20);
    feed.record_all(&logs).await;
    feed.relay_all().await;
    for limit in [1000, 7, 1] {
        let events = feed.read_all(limit).await;
        assert_complete(&events, &logs);
        let positions: BTreeSet<_> = events.iter().map(|event| event.position.clone()).collect();
        assert_eq!(positions.len(), 60, "no two events have the same position");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_changes_nothing() {
    let feed = FeedBackend::open().await;
    let logs = logs(10);
    feed.record_all(&logs).await;
    let streamed = feed.streamed().await;
    let relay = feed.relay();
    for part in [&streamed[..12], &streamed[..12], &streamed[5..20], &streamed[..]] {
        relay.relay(part.iter().cloned().map(Ok).collect()).await.unwrap();
    }
    // New relays have no state in memory, like a relay after a restart.
    for part in [&streamed[..3], &streamed[..]] {
        feed.relay().relay(part.iter().cloned().map(Ok).collect()).await.unwrap();
    }
    assert_complete(&feed.read_all(100).await, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_side_by_side_append_each_event_once_and_in_order() {
    let feed = FeedBackend::open().await;
    let logs = logs(30);
    feed.record_all(&logs).await;
    let streamed = feed.streamed().await;
    // All relays receive the same entries, in batches of different sizes, so that several relays write to the same positions.
    let relays = [3, 7, 11, 90].map(|size| {
        let (relay, streamed) = (feed.relay(), streamed.clone());
        tokio::spawn(async move {
            for batch in streamed.chunks(size) {
                relay.relay(batch.iter().cloned().map(Ok).collect()).await.unwrap();
            }
        })
    });
    for relay in relays {
        relay.await.unwrap();
    }
    assert_complete(&feed.read_all(100).await, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_relay_has_not_shown_is_shown_by_the_next_attempt() {
    let feed = FeedBackend::open().await;
    let logs = logs(5);
    feed.record_all(&logs).await;
    let streamed = feed.streamed().await;
    // Simulates a crash after the relay has written its chunks and before it has moved the heads.
    feed.writer().append_without_showing(&entries(&streamed[..9])).await.unwrap();
    assert_eq!(feed.read_all(100).await, []);
    feed.relay().relay(streamed.into_iter().map(Ok).collect()).await.unwrap();
    assert_complete(&feed.read_all(100).await, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_read_stops_the_batch_at_its_place() {
    let feed = FeedBackend::open().await;
    let logs = logs(2);
    feed.record_all(&logs).await;
    let streamed = feed.streamed().await;
    let mut batch: Vec<_> = streamed.iter().cloned().map(Ok).collect();
    batch[4] = Err(anyhow::anyhow!("damaged"));
    let failure = feed.relay().relay(batch).await.unwrap_err();
    assert_eq!((failure.first, failure.cause.to_string()), (4, "damaged".to_owned()));
    assert_eq!(feed.read_all(100).await.len(), 4, "the entries before the damaged entry are relayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_go_on_after_everything_has_expired() {
    let feed = FeedBackend::open().await;
    let (old, new) = (logs(6), logs(6));
    feed.record_all(&old).await;
    feed.relay_all().await;
    let end = feed.feed.start(FeedStart::Latest).await.unwrap();
    feed.expire_all().await;
    assert_eq!(feed.feed.start(FeedStart::Oldest).await.unwrap(), end);
    feed.record_all(&new).await;
    let streamed: Vec<_> = feed.streamed().await.into_iter().skip(18).map(Ok).collect();
    feed.relay().relay(streamed).await.unwrap();
    // `end` is the cursor of a reader that has read all old events. The reader receives exactly the new events.
    assert_complete(&feed.read_from(end, &FeedFilter::default(), 5).await, &new);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_is_refused() {
    let feed = FeedBackend::open().await;
    feed.outbound.fix_partitions(PARTITIONS).await.unwrap();
    let error = feed.outbound.fix_partitions(8).await.unwrap_err().to_string();
    assert!(error.contains("ORDERS_FEED_PARTITIONS"), "{error}");
    assert!(feed.outbound.fix_partitions(0).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_costs_a_chunk_and_a_head_for_each_partition() {
    let feed = FeedBackend::open().await;
    feed.record_all(&logs(30)).await;
    let streamed = feed.streamed().await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let sdk = aws::config_at(&proxy.endpoint).await;
    let writer =
        infra::outbound::FeedWriter::new(aws::outbound(&sdk, &feed.outbound_name), PARTITIONS, super::DAY);
    let table = aws::table(&sdk, &feed.backend.table_name, crate::support::events::eur());
    let relay = Relay::new(std::sync::Arc::new(table), infra::now).with_feed(std::sync::Arc::new(writer));
    relay.relay(streamed.iter().cloned().map(Ok).collect()).await.unwrap();
    let counts = proxy.take();
    let calls = ["PutItem", "UpdateItem", "BatchGetItem"].map(|operation| counts.calls_of(operation));
    assert_eq!(calls, [4, 4, 0], "one chunk and one head are written for each partition: {counts:?}");
    // A batch with one event costs one chunk and one head. The relay does not look up any customer.
    let more = super::logs(1);
    feed.record(&more, 1).await;
    let new: Vec<_> = feed.streamed().await.into_iter().skip(streamed.len()).map(Ok).collect();
    relay.relay(new).await.unwrap();
    let counts = proxy.take();
    let calls = ["PutItem", "UpdateItem", "BatchGetItem"].map(|operation| counts.calls_of(operation));
    assert_eq!((calls, counts.write_units), ([1, 1, 0], 2.0), "{counts:?}");
}

impl FeedBackend {
    /// Deletes all chunks, as DynamoDB does after their expiry.
    pub async fn expire_all(&self) {
        let emulator = Emulator::shared();
        let items = emulator.dynamodb("Scan", &json!({ "TableName": self.outbound_name })).await;
        for item in items["Items"].as_array().unwrap() {
            if item["pk"]["S"].as_str().unwrap().starts_with("FEED#") {
                assert!(item["expires_at"]["N"].is_string(), "{item}");
                let key = json!({ "pk": item["pk"], "sk": item["sk"] });
                let delete = json!({ "TableName": self.outbound_name, "Key": key });
                let _: Value = emulator.dynamodb("DeleteItem", &delete).await;
            }
        }
    }
}

/// Calls `append` directly, because the relay reports only the first failure of a batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_partition_fails_its_entries_only() {
    let feed = FeedBackend::open().await;
    let logs = logs(12);
    feed.record_all(&logs).await;
    let all = entries(&feed.streamed().await);
    // The last chunk of partition 0 is damaged.
    let item = json!({ "pk": { "S": "FEED#0000" }, "sk": { "S": "00000000000000000001" },
                       "time": { "N": "0" }, "events": { "S": "damaged" } });
    Emulator::shared().dynamodb("PutItem", &json!({ "TableName": feed.outbound_name, "Item": item })).await;
    let results = feed.writer().append(&all).await;
    let failed: BTreeSet<_> = all
        .iter()
        .zip(&results)
        .filter(|(_, result)| result.is_err())
        .map(|(entry, _)| &entry.order_id)
        .collect();
    let done: BTreeSet<_> = all
        .iter()
        .zip(&results)
        .filter(|(_, result)| result.is_ok())
        .map(|(entry, _)| &entry.order_id)
        .collect();
    assert!(!failed.is_empty() && !done.is_empty() && failed.is_disjoint(&done), "{failed:?} {done:?}");
    let shown: BTreeSet<_> =
        feed.read_all(100).await.into_iter().map(|it| it.event.envelope.order_id).collect();
    assert_eq!(shown.iter().collect::<BTreeSet<_>>(), done);
}
