//! Tests the outputs of the relay with a fake that accepts parts of batches: the order of events, repeated
//! attempts, and events that are too large or cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use consumer::relay::outputs::MAX_BATCH;
use consumer::relay::{RelayFailure, StreamEntry};
use proptest::prelude::*;
use serde_json::json;

use crate::fake_output::{FakeOutput, entries, entry, entry_of, relay};

async fn publish(output: &Arc<FakeOutput>, entries: &[StreamEntry]) -> Result<(), RelayFailure> {
    relay(&[output]).relay(entries.iter().cloned().map(Ok).collect()).await
}

/// Delivers entries as the change stream does: after a failure, from the failed entry on.
async fn deliver(outputs: &[&Arc<FakeOutput>], entries: &[StreamEntry]) {
    let (relay, mut rest, mut deliveries) = (relay(outputs), entries, 0);
    while let Err(failure) = relay.relay(rest.iter().cloned().map(Ok).collect()).await {
        rest = &rest[failure.first..];
        deliveries += 1;
        assert!(deliveries < 1000, "{failure}");
    }
}

/// Asserts that every event was accepted, and that no event was accepted before the previous event of its
/// order.
fn assert_complete(output: &FakeOutput, entries: &[StreamEntry]) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (order, version) in output.accepted() {
        let last = last.entry(order.clone()).or_default();
        assert!(version <= *last + 1, "version {version} of {order} came after {last}");
        *last = version.max(*last);
    }
    let wanted: BTreeSet<_> = entries.iter().map(|it| (it.order_id.to_string(), it.version)).collect();
    assert_eq!(output.accepted().into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[tokio::test(start_paused = true)]
async fn every_event_is_published_once_in_batches() {
    let (output, entries) = (FakeOutput::refusing(&[]), entries(25, 4));
    publish(&output, &entries).await.unwrap();
    assert_complete(&output, &entries);
    assert_eq!(output.accepted().len(), 100, "none is published twice");
    assert!(output.calls.lock().unwrap().len() <= 14, "calls are filled: {:?}", output.calls);
    let body = &output.bodies.lock().unwrap()[0];
    assert_eq!((&body["type"], &body["source"]), (&json!("orders.order_amended"), &json!("/shop")));
    assert_eq!(body["data"]["type"], "order_amended");
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_is_sent_again_before_the_next_one_of_its_order() {
    let output = FakeOutput::refusing(&[("a", 1, 3), ("b", 2, 1)]);
    let entries = [entry("a", 1), entry("a", 2), entry("b", 1), entry("b", 2), entry("b", 3), entry("c", 1)];
    publish(&output, &entries).await.unwrap();
    assert_eq!((output.of("a"), output.of("b"), output.of("c")), (vec![1, 2], vec![1, 2, 3], vec![1]));
    assert_eq!(output.accepted().len(), entries.len(), "only the refused events are sent again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_event_holds_its_order_and_is_where_the_relay_fails() {
    let output = FakeOutput::refusing(&[("a", 2, u32::MAX)]);
    let mut batch = vec![entry("b", 1), entry("a", 1), entry("a", 2), entry("a", 3), entry("b", 2)];
    batch.extend(entries(200, 1));
    let failure = publish(&output, &batch).await.unwrap_err();
    assert_eq!((failure.first, failure.cause.to_string().as_str()), (2, "throttled"));
    assert_eq!((output.of("a"), output.of("b")), (vec![1], vec![1, 2]));
    // The stream delivers the batch repeatedly, but few events are published more than once.
    let before = output.accepted().len();
    for _ in 0..5 {
        assert_eq!(publish(&output, &batch[2..]).await.unwrap_err().first, 0);
    }
    assert!(output.accepted().len() - before <= 5 * (MAX_BATCH - 1), "{}", output.accepted().len());
    output.refusals.lock().unwrap().clear();
    deliver(&[&output], &batch[2..]).await;
    assert_complete(&output, &batch);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_is_published_as_a_reference_and_stops_nothing() {
    let output = FakeOutput::refusing(&[]);
    let batch = [entry("a", 1), entry_of("a", 2, 1000), entry("a", 3), entry_of("b", 1, 800)];
    publish(&output, &batch).await.unwrap();
    assert_eq!((output.of("a"), output.of("b")), (vec![1, 2, 3], vec![1]));
    let bodies = output.bodies.lock().unwrap();
    let large = bodies.iter().find(|body| body["subject"] == "a" && body["orderversion"] == 2).unwrap();
    assert_eq!((&large["dataref"], large.get("data")), (&json!("/v1/orders/a/events"), None));
    let fitting = bodies.iter().find(|body| body["subject"] == "b").unwrap();
    assert!(fitting["data"].is_object() && fitting.get("dataref").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_read_holds_everything_after_it() {
    let output = FakeOutput::refusing(&[]);
    let mut newer = entry("b", 1);
    newer.json = newer.json.replace("order_amended", "order_teleported");
    let failure = publish(&output, &[entry("a", 1), newer, entry("a", 2)]).await.unwrap_err();
    assert_eq!(failure.first, 1);
    assert!(failure.to_string().contains("version 1 of order b cannot be read"), "{failure}");
    assert_eq!(output.accepted(), [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn every_output_gets_every_event() {
    let (one, other) = (FakeOutput::refusing(&[("o-3", 2, 9)]), FakeOutput::refusing(&[("o-7", 1, 6)]));
    let entries = entries(12, 3);
    deliver(&[&one, &other], &entries).await;
    assert_complete(&one, &entries);
    assert_complete(&other, &entries);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every event is published in the end, and the events of an order are published in order. Neither
    /// depends on what the output refuses, or how often.
    #[test]
    fn nothing_is_lost_and_every_order_is_in_order(
        orders in prop::collection::vec(0_usize..8, 1..150),
        refused in prop::collection::vec((any::<prop::sample::Index>(), 1_u32..12), 0..12),
    ) {
        let mut versions = BTreeMap::new();
        let batch: Vec<_> = orders.iter().map(|order| {
            let version = versions.entry(*order).or_insert(0);
            *version += 1;
            entry(&format!("o-{order}"), *version)
        }).collect();
        let refusals = refused.iter().map(|(at, count)| {
            let entry = at.get(&batch);
            ((entry.order_id.to_string(), entry.version), *count)
        });
        let output = Arc::new(FakeOutput { refusals: Mutex::new(refusals.collect()), ..FakeOutput::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(deliver(&[&output], &batch));
        assert_complete(&output, &batch);
    }
}
