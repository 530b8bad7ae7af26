//! Tests webhooks on AWS. The relay sends jobs, and the webhook sender posts events to a receiver of the test. The webhook sender
//! is the real binary, which runs as a container and as a Lambda function.

mod deployment;
mod operators;

use std::collections::BTreeMap;
use std::path::Path;

use api::ports::feed::{EventFeed, FeedCursor, FeedFilter, FeedStart};
use api::ports::webhooks::{DeliveryState, ReplayFrom, Skip, WebhookError, WebhookStore};
use domain::{Envelope, EventType, Subscription, SubscriptionId, SubscriptionState};
use serde_json::{Value, json};
use uuid::Uuid;

use super::feed::logs;
use super::metrics::{DETAILED, emitted, sums};
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::events::recorded;
use crate::support::eventually::{check, eventually};
use deployment::{Webhooks, subscription};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_delivered_in_the_order_of_their_orders_and_a_failure_holds_back_its_order_only() {
    let webhooks = Webhooks::open().await;
    let _sender = webhooks.sender();
    let logs = logs(8);
    let broken = &logs[0][0].order_id;
    webhooks.receiver.fail(broken, &[500, 302]);
    webhooks.record(&logs).await;
    webhooks.receiver.has(&logs[1..]).await;
    webhooks.receiver.has(&logs).await;
    let received = webhooks.receiver.received();
    let headers = &received.headers[0];
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.contains_key(name), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_up_delivery_is_reported_and_its_order_goes_on_once_it_is_skipped() {
    let webhooks = Webhooks::open().await;
    let _sender = webhooks.sender();
    let logs = logs(2);
    let broken = &logs[0][0].order_id;
    webhooks.receiver.fail(broken, &[500; 4]);
    webhooks.record(&logs).await;
    webhooks.receiver.has(&logs[1..]).await;
    let given_up = eventually("the delivery is given up", async || {
        let listed = webhooks.listed(DeliveryState::GaveUp).await;
        if listed.len() == 1 { Ok(listed) } else { Err(listed) }
    })
    .await;
    let delivery = &given_up[0];
    assert_eq!((&delivery.order_id, delivery.version, delivery.attempts), (broken, 1, 4));
    assert_eq!(delivery.last_attempt.as_ref().unwrap().status, Some(500));
    assert_eq!(webhooks.receiver.of(broken), [] as [u64; 0]);
    let status = webhooks.store.subscription(webhooks.subscription.id).await.unwrap().unwrap();
    let recorded_at = |log: &[Envelope]| recorded(1, log)[0].recorded_at;
    assert_eq!((status.progress.held_orders, status.progress.held_since), (1, Some(recorded_at(&logs[0]))));
    let succeeded = status.progress.succeeded_recorded_at;
    assert!(
        succeeded.is_some_and(|at| recorded(1, &logs[1]).iter().any(|event| event.recorded_at == at)),
        "{succeeded:?}"
    );
    let alerts = webhooks.alerts().await;
    assert!(matches!(&alerts[..], [alert] if alert.contains("webhook")), "{alerts:?}");

    let skip = Skip { reason: "the shop has informed the customer".to_owned(), at: infra::now(), by: None };
    webhooks.store.skip(webhooks.subscription.id, delivery.event_id, &skip).await.unwrap();
    eventually("the later events are delivered", async || {
        let versions = webhooks.receiver.of(broken);
        check(versions == [2, 3], versions)
    })
    .await;
    let skipped = webhooks.listed(DeliveryState::Skipped).await;
    assert_eq!(skipped[0].skip.as_ref().unwrap().reason, skip.reason);
    let again = webhooks.store.skip(webhooks.subscription.id, delivery.event_id, &skip).await;
    assert!(matches!(again, Err(WebhookError::NoDelivery)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_subscription_gets_everything_once_it_is_resumed() {
    let mut webhooks = Webhooks::open().await;
    webhooks.set(SubscriptionState::Paused).await;
    let _sender = webhooks.sender();
    let logs = logs(6);
    webhooks.record(&logs).await;
    let id = webhooks.subscription.id;
    eventually("the orders are held", async || {
        let status = webhooks.store.subscription(id).await.unwrap().unwrap();
        check(status.progress.held_orders == 6, status.progress.held_orders)
    })
    .await;
    assert!(webhooks.receiver.received().delivered.is_empty());
    webhooks.set(SubscriptionState::Active).await;
    webhooks.receiver.has(&logs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_after_a_place_of_the_feed_is_replayed_in_order() {
    let webhooks = Webhooks::open().await;
    let _sender = webhooks.sender();
    let (early, late) = (logs(6), logs(6));
    let feed = &webhooks.feed;
    let mut cursors = Vec::new();
    for log in [&early, &late] {
        cursors.push(feed.feed.start(FeedStart::Latest).await.unwrap());
        for version in 1..=3 {
            // Each batch is relayed separately, so it is stored in separate chunks.
            feed.record(log, version).await;
            feed.relay_all().await;
        }
        webhooks.relay().await;
    }
    let all = [early.clone(), late.clone()].concat();
    webhooks.receiver.has(&all).await;
    let id = webhooks.subscription.id;
    let cursor = cursors.pop().unwrap();
    let replayed = async |logs: &[Vec<Envelope>], times: usize| {
        eventually("the events are delivered again", async || {
            let deliveries: Vec<_> = logs.iter().map(|log| webhooks.receiver.of(&log[0].order_id)).collect();
            check(deliveries.iter().all(|versions| *versions == [1, 2, 3].repeat(times)), deliveries)
        })
        .await;
    };
    webhooks.store.replay(id, &ReplayFrom::Start(FeedStart::Oldest)).await.unwrap();
    replayed(&all, 2).await;
    let after: Vec<_> = feed.read_from(cursor.clone(), &FeedFilter::default(), 100).await;
    assert_eq!(after.len(), 18, "the events of the late orders");
    webhooks.store.replay(id, &ReplayFrom::Cursor(cursor)).await.unwrap();
    replayed(&late, 3).await;
    replayed(&early, 2).await;
    let unknown = webhooks.store.replay(id, &ReplayFrom::Cursor(FeedCursor(vec![1000; 4]))).await;
    assert!(matches!(unknown, Err(WebhookError::UnknownCursor)), "{unknown:?}");
    // The oldest chunks expire.
    feed.expire_all().await;
    let expired = webhooks.store.replay(id, &ReplayFrom::Cursor(FeedCursor(vec![0; 4]))).await;
    assert!(matches!(expired, Err(WebhookError::ExpiredCursor)), "{expired:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sender_loses_nothing_and_keeps_the_order() {
    let webhooks = Webhooks::open().await;
    let mut first = webhooks.sender();
    let logs = logs(12);
    for log in &logs {
        webhooks.receiver.fail(&log[0].order_id, &[503]);
    }
    webhooks.record(&logs).await;
    eventually("some events are delivered", async || {
        let count = webhooks.receiver.received().delivered.len();
        check(count > 3, count)
    })
    .await;
    first.kill();
    let _second = webhooks.sender();
    webhooks.receiver.has(&logs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_delivers_what_its_mapping_receives() {
    let webhooks = Webhooks::open().await;
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    // At this level the function writes all metrics.
    let variables = [&webhooks.variables()[..], &[DETAILED]].concat();
    let function = Function::deploy(Emulator::shared(), program, "webhook-sender", &variables).await;
    function.consume(&webhooks.queues.arn, 10).await;
    let logs = logs(4);
    webhooks.receiver.fail(&logs[0][0].order_id, &[500]);
    // The delivery is given up after four failures.
    webhooks.receiver.fail(&logs[1][0].order_id, &[500; 4]);
    webhooks.record(&logs).await;
    webhooks.receiver.has(&[&logs[..1], &logs[2..]].concat()).await;
    eventually("the metrics are in the log", async || {
        // The emulator shows the last lines of an invocation only after the next invocation.
        function.invoke(&json!({})).await;
        let lines = function.log().await;
        let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let sum = |name: &str, result: Option<&str>| -> f64 {
            let of_result = |line: &&Value| result.is_none_or(|result| line["Result"] == result);
            lines.iter().filter(of_result).filter_map(|line| line[name].as_f64()).sum()
        };
        let sums = (
            sum("WebhookAttempts", Some("Delivered")),
            sum("WebhookAttempts", Some("Failed")),
            sum("WebhookDeliveriesGivenUp", None),
        );
        check(sums == (9.0, 5.0, 1.0) && lines.iter().any(|it| !it["WebhookAttemptDuration"].is_null()), sums)
    })
    .await;
    // Alarms watch these metrics of parked events and of the ledger. A webhook job is no event, so it must
    // not count in them.
    let processed = eventually("the jobs are counted", async || {
        let processed = sums(&emitted(&function).await, "MessagesProcessed", "Status");
        if processed.get("Completed").is_some_and(|count| *count >= 9.0) {
            Ok(processed)
        } else {
            Err(processed)
        }
    })
    .await;
    let statuses: Vec<_> = processed.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["Completed", "Failure", "Retried", "Success"], "{processed:?}");
    assert_eq!(processed["Success"], processed["Completed"]);
    assert_eq!(sums(&emitted(&function).await, "MessagesParked", "Reason"), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_selected_events_recorded_after_the_subscription_become_jobs() {
    let webhooks = Webhooks::open().await;
    let other = Subscription {
        id: SubscriptionId::from(Uuid::now_v7()),
        types: [EventType::Paid].into(),
        ..subscription("https://receiver.example".to_owned())
    };
    let late = Subscription {
        id: SubscriptionId::from(Uuid::now_v7()),
        created_at: infra::now(),
        ..subscription("https://receiver.example".to_owned())
    };
    for subscription in [&other, &late] {
        webhooks.store.create(subscription, FeedStart::Latest).await.unwrap();
    }
    assert!(matches!(
        webhooks.store.create(&other, FeedStart::Oldest).await,
        Err(WebhookError::NotSupported(_))
    ));
    assert!(matches!(webhooks.store.create(&other, FeedStart::Latest).await, Err(WebhookError::Changed)));
    webhooks.record(&logs(3)).await;
    let depth = Emulator::shared().queue_depth(&webhooks.queues.url).await;
    assert_eq!(
        depth.visible,
        9 + 3,
        "all events for the first subscription, payments for `other`, none for `late`"
    );
    // The relay sends the jobs of a repeated batch with the same deduplication ids, so the queue drops these jobs.
    webhooks.relay().await;
    let depth = Emulator::shared().queue_depth(&webhooks.queues.url).await;
    assert_eq!(depth.visible, 9 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_pauses_its_subscription_with_one_alert() {
    let webhooks = Webhooks::open().await;
    let logs = logs(10);
    for log in &logs {
        webhooks.receiver.fail(&log[0].order_id, &[410]);
    }
    webhooks.record(&logs).await;
    let _sender = webhooks.sender();
    let id = webhooks.subscription.id;
    eventually("every order is held", async || {
        let status = webhooks.store.subscription(id).await.unwrap().unwrap();
        check(status.progress.held_orders == 10, status.progress.held_orders)
    })
    .await;
    let stopped = webhooks.store.subscription(id).await.unwrap().unwrap().subscription;
    assert_eq!(stopped.state, SubscriptionState::Paused);
    let alerts = webhooks.alerts().await;
    assert!(matches!(&alerts[..], [alert] if alert.contains("410")), "{alerts:?}");
}
