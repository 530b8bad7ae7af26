//! Tests the relay in containers. In a container, the relay itself reads the shards of the change stream, and holds a lease
//! for each shard that it reads.

use std::collections::BTreeMap;
use std::process::Command;

use super::{FeedBackend, assert_complete, logs};
use crate::support::emulator::Emulator;
use crate::support::eventually::{check, eventually};
use crate::support::recorded::whole_feed;
use crate::support::service::Service;

fn relay(feed: &FeedBackend) -> Command {
    let mut command = crate::aws::at(&Emulator::shared().endpoint, &["relay"]);
    command.envs([("TABLE_NAME", &feed.backend.table_name), ("OUTBOUND_TABLE", &feed.outbound_name)]);
    command.env("ORDERS_FEED", "true");
    command
}

fn start(feed: &FeedBackend) -> Service {
    Service::spawn_until(relay(feed), "\"relaying\"").0
}

async fn has(feed: &FeedBackend, count: usize) {
    eventually("the events are in the feed", async || {
        let events = feed.read_all(1000).await;
        check(events.len() >= count, events.len())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_is_replaced_by_another_one_and_nothing_is_lost_or_repeated() {
    let feed = FeedBackend::open().await;
    let mut first = start(&feed);
    let _second = start(&feed);
    let early = logs(10);
    feed.record_all(&early).await;
    has(&feed, 30).await;
    let late = logs(10);
    feed.record(&late, 1).await;
    first.kill();
    for version in [2, 3] {
        feed.record(&late, version).await;
    }
    has(&feed, 60).await;
    assert_complete(&feed.read_all(1000).await, &[early, late].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_relay_gives_its_leases_up_and_the_next_one_goes_on_at_its_checkpoint() {
    let feed = FeedBackend::open().await;
    let before = logs(3);
    feed.record_all(&before).await;
    let mut first = start(&feed);
    has(&feed, 9).await;
    assert!(first.terminate().success());
    let after = logs(3);
    feed.record_all(&after).await;
    let _second = start(&feed);
    has(&feed, 18).await;
    assert_complete(&feed.read_all(1000).await, &[before, after].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_serves_the_feed() {
    let feed = FeedBackend::open().await;
    let logs = logs(5);
    feed.record_all(&logs).await;
    let _relay = start(&feed);
    has(&feed, 15).await;
    let mut command = feed.backend.role("api", &Emulator::shared().endpoint);
    command.envs([
        ("ORDERS_LISTEN", "127.0.0.1:0"),
        ("ORDERS_FEED", "true"),
        ("OUTBOUND_TABLE", &feed.outbound_name),
    ]);
    let api = Service::spawn(command);
    let mut versions = BTreeMap::<String, Vec<u64>>::new();
    for item in whole_feed(&api, 4).await {
        let order_id = item["data"]["order_id"].as_str().or(item["order_id"].as_str()).unwrap();
        versions.entry(order_id.to_owned()).or_default().push(item["version"].as_u64().unwrap());
    }
    let expected: BTreeMap<_, _> =
        logs.iter().map(|log| (log[0].order_id.as_str().to_owned(), vec![1, 2, 3])).collect();
    assert_eq!(versions, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_reports_everything_that_is_wrong_with_its_settings() {
    let mut command = crate::aws::at(&Emulator::shared().endpoint, &["relay"]);
    command.envs([
        ("OUTBOUND_TABLE", "!"),
        ("ORDERS_FEED_PARTITIONS", "65"),
        ("ORDERS_FEED_RETENTION", "1h"),
    ]);
    command.env("ORDERS_FEED", "yes");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    for wrong in [
        "TABLE_NAME is not set",
        "OUTBOUND_TABLE \"!\"",
        "ORDERS_FEED_PARTITIONS \"65\"",
        "ORDERS_FEED_RETENTION \"1h\"",
    ] {
        assert!(error.contains(wrong), "{wrong}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_stream_is_reported() {
    let feed = FeedBackend::open().await;
    let other =
        crate::conformance::aws::AwsBackend::open(true, crate::support::QueueOptions::default()).await;
    let mut command = relay(&feed);
    command.env("TABLE_NAME", &other.table_name);
    let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(error.contains("has no change stream with new images"), "{error}");
}
