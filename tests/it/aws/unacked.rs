//! Tests messages that SQS fails to delete. Such messages are delivered again and must count only once.

use std::sync::Arc;
use std::time::Duration;

use api::ports::EventPublisher;
use axum::http::HeaderMap;
use axum::{Json, Router};
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use consumer::ports::{DeadLetters, Inbox, ParkRequest};
use domain::ParkReason;
use infra::aws::{self, SqsDeadLetters};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::events::{confirmed, created, new_order_id};
use crate::support::eventually::PATIENCE;
use crate::support::flaky::Sticky;
use crate::support::http::serve;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_deleted_is_delivered_again_and_counts_once() {
    let options = QueueOptions { visibility_timeout: Duration::from_secs(1), ..QueueOptions::default() };
    let backend = AwsBackend::open(true, options).await;
    let (a, b) = (new_order_id(), new_order_id());
    // The second `order_created` event of order `a` is rejected.
    let events = [created(&a), created(&a), created(&b), confirmed(&b)];
    for result in backend.queue.publish(&events).await {
        result.unwrap();
    }
    let consumer = Consumer {
        ledger: Some(backend.table.clone()),
        ..consumer_of(backend.table.clone(), backend.dead_letters())
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::from_secs(1) };
    let inbox = Sticky::new(backend.queue.clone(), 2);
    let polling = tokio::spawn(poll::run(inbox, Arc::new(consumer), options, stopped));
    backend.drained(PATIENCE).await;
    stop.send_replace(true);
    polling.await.unwrap();

    let counters = backend.pipeline().counters().await.unwrap();
    let expected = domain::Ledger { accepted: 4, recorded: 3, rejected: 1, ..domain::Ledger::default() };
    assert_eq!((counters.ledger, counters.balanced(), counters.exact), (expected, None, true));
}

/// A fake SQS that accepts every message but deletes none.
async fn sticky_sqs(headers: HeaderMap, body: String) -> Json<Value> {
    let call: Value = serde_json::from_str(&body).unwrap();
    let entries = call["Entries"].as_array().unwrap();
    let deletes = headers["x-amz-target"] == "AmazonSQS.DeleteMessageBatch";
    let each = |entry: &Value| match deletes {
        true => json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }),
        false => json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" }),
    };
    let all: Vec<_> = entries.iter().map(each).collect();
    let (successful, failed) = if deletes { (Vec::new(), all) } else { (all, Vec::new()) };
    Json(json!({ "Successful": successful, "Failed": failed }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_still_on_its_queue_is_not_parked_yet() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let order_id = new_order_id();
    backend.queue.publish(&[created(&order_id)]).await.remove(0).unwrap();
    let message = backend.queue.receive(1, PATIENCE).await.unwrap().remove(0);

    let endpoint = serve(Router::new().fallback(sticky_sqs)).await;
    let sdk = aws::config_at(&endpoint).await;
    let queue = aws::queue(&sdk, &format!("{endpoint}/1/orders.fifo"));
    let dead_letters = SqsDeadLetters {
        queue: queue.clone(),
        table: (*backend.table).clone(),
        origin: backend.queues.url.clone(),
        inbox: Some(Arc::new(queue)),
    };
    let detail = "for this test".to_owned();
    let order_id = Some(order_id);
    let parking =
        ParkRequest { message: &message, reason: ParkReason::Invalid, detail, event: None, order_id };
    let error = dead_letters.park(&[parking]).await.remove(0).unwrap_err();
    assert!(format!("{error:#}").contains("could not be deleted from its queue"), "{error:#}");
}
