//! Tests the relay as a Lambda function: the real binary, invoked by an event source mapping of the change stream.

use std::path::Path;

use serde_json::{Value, json};

use super::{FeedBackend, assert_complete, logs};
use crate::aws::metrics::{DETAILED, emitted, sums};
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::emulator::proxy::Proxy;
use crate::support::emulator::stream::{Delivery, StreamMapping};
use crate::support::eventually::eventually;

async fn deploy(feed: &FeedBackend, endpoint: &str) -> Function<'static> {
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("TABLE_NAME", &feed.backend.table_name),
        ("OUTBOUND_TABLE", &feed.outbound_name),
        ("ORDERS_FEED", "true"),
        // At this level the function writes all metrics.
        DETAILED,
    ];
    Function::deploy(Emulator::shared(), program, "relay", &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_relays_what_the_stream_delivers() {
    let feed = FeedBackend::open().await;
    let function = deploy(&feed, &Emulator::shared().endpoint).await;
    let mut mapping =
        StreamMapping { function: &function, stream: feed.stream.clone(), batch_size: 10, next: 0 };
    assert_eq!(function.invoke(&json!({})).await, json!({ "batchItemFailures": [] }), "a ping is answered");
    let logs = logs(9);
    feed.record_all(&logs).await;
    let mut delivered = 0;
    while let Some(Delivery { delivered: count, done }) = mapping.deliver(Emulator::shared()).await {
        assert_eq!(count, done);
        delivered += done;
    }
    assert_eq!(delivered, 27);
    assert_complete(&feed.read_all(10).await, &logs);
    // Moves the mapping back to the oldest record, where a new mapping begins. So the function receives all records again.
    mapping.next = 0;
    while mapping.deliver(Emulator::shared()).await.is_some() {}
    assert_complete(&feed.read_all(10).await, &logs);
    let metrics = eventually("the events are counted", async || {
        // The emulator shows the last lines of an invocation only after the next invocation.
        function.invoke(&json!({})).await;
        let lines = emitted(&function).await;
        let relayed = sums(&lines, "EventsRelayed", "").get("").copied().unwrap_or(0.0);
        if relayed >= 54.0 { Ok(lines) } else { Err(relayed) }
    })
    .await;
    assert_eq!(sums(&metrics, "EventsRelayed", "")[""], 54.0, "each of 27 events twice");
    let has_lag = |line: &Value| line["RelayLag"].is_number() || line["RelayLag"].is_array();
    assert!(metrics.iter().any(has_lag), "{metrics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_in_part_is_delivered_again_from_its_first_failure() {
    let feed = FeedBackend::open().await;
    // The first chunk of one partition is damaged. The relay cannot read the end of that partition, so writes to it fail.
    let key = json!({ "pk": { "S": "FEED#0002" }, "sk": { "S": "00000000000000000001" } });
    let mut damaged = key.clone();
    damaged["time"] = json!({ "N": "0" });
    damaged["events"] = json!({ "S": "damaged" });
    let emulator = Emulator::shared();
    emulator.dynamodb("PutItem", &json!({ "TableName": feed.outbound_name, "Item": damaged })).await;
    let function = deploy(&feed, &emulator.endpoint).await;
    let logs = logs(20);
    feed.record_all(&logs).await;
    let mut mapping =
        StreamMapping { function: &function, stream: feed.stream.clone(), batch_size: 60, next: 0 };
    let first = mapping.deliver(emulator).await.unwrap();
    assert!(first.delivered == 60 && first.done < 60, "{first:?}");
    let again = mapping.deliver(emulator).await.unwrap();
    assert_eq!((again.delivered, again.done), (60 - first.done, 0), "the first record fails again");
    emulator.dynamodb("DeleteItem", &json!({ "TableName": feed.outbound_name, "Key": key })).await;
    while let Some(Delivery { delivered, done }) = mapping.deliver(emulator).await {
        assert_eq!(delivered, done);
    }
    assert_complete(&feed.read_all(10).await, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_lose_and_repeat_nothing() {
    let feed = FeedBackend::open().await;
    let emulator = Emulator::shared();
    let rule = json!({ "service": "dynamodb", "probability": 0.3,
                       "error": { "code": "ProvisionedThroughputExceededException" } });
    let proxy = Proxy::start(&emulator.endpoint, 7, &[rule]);
    let function = deploy(&feed, &proxy.endpoint).await;
    let logs = logs(10);
    feed.record_all(&logs).await;
    let mut mapping =
        StreamMapping { function: &function, stream: feed.stream.clone(), batch_size: 4, next: 0 };
    // If four attempts of a call fail, the relay reports a failure, and the mapping delivers the records again.
    while mapping.deliver(emulator).await.is_some() {}
    assert!(!proxy.faults().await.is_empty());
    assert_complete(&feed.read_all(10).await, &logs);
}
