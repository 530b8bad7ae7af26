//! Tests requests of operators for webhooks on AWS: replays, skips and lists.

use api::ports::feed::FeedStart;
use api::ports::webhooks::{DeliveryFilter, DeliveryState, ReplayFrom, Skip, WebhookError, WebhookStore};
use consumer::webhooks::queued::{HeldRow, QueuedState, held_from};
use consumer::webhooks::{HeadEvent, HeldState};
use domain::{CustomerId, EventId, EventType, OrderId, SubscriptionState};
use futures_util::future::join_all;
use infra::aws::AwsWebhookStore;
use infra::outbound::TableState;
use uuid::Uuid;

use super::Webhooks;
use crate::aws::feed::logs;
use crate::support::emulator::Emulator;
use crate::support::emulator::queues::Depth;
use crate::support::eventually::{check, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_replayed_and_other_replays_are_refused() {
    let webhooks = Webhooks::open().await;
    let _sender = webhooks.sender();
    let logs = logs(2);
    webhooks.record(&logs).await;
    webhooks.receiver.has(&logs).await;
    let (id, order_id) = (webhooks.subscription.id, &logs[0][0].order_id);
    webhooks.store.replay(id, &ReplayFrom::Order(order_id.clone())).await.unwrap();
    eventually("the order is delivered again", async || {
        let versions = webhooks.receiver.of(order_id);
        check(versions == [1, 2, 3, 1, 2, 3], versions)
    })
    .await;
    let without_feed = AwsWebhookStore { feed: None, ..webhooks.store.clone() };
    let refused = without_feed.replay(id, &ReplayFrom::Start(FeedStart::Oldest)).await;
    assert!(matches!(refused, Err(WebhookError::NotSupported(_))), "{refused:?}");
    let test = webhooks.store.test(id).await.unwrap();
    assert_eq!((test.status, test.error), (Some(200), None));
    webhooks.store.delete(id).await.unwrap();
    assert!(webhooks.store.subscription(id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_another_customer_is_neither_replayed_nor_delivered() {
    let mut webhooks = Webhooks::open().await;
    let logs = logs(2);
    // The events are queued before the subscription is limited to another customer.
    webhooks.record(&logs).await;
    webhooks.subscription.customer_id = Some(CustomerId::parse("somebody-else").unwrap());
    webhooks.set(SubscriptionState::Active).await;
    let refused = webhooks
        .store
        .replay(webhooks.subscription.id, &ReplayFrom::Order(logs[0][0].order_id.clone()))
        .await;
    assert!(matches!(refused, Err(WebhookError::NoOrder)), "{refused:?}");
    let _sender = webhooks.sender();
    eventually("the queue is empty", async || {
        let depth = Emulator::shared().queue_depth(&webhooks.queues.url).await;
        check(depth == Depth { visible: 0, in_flight: 0, delayed: 0 }, depth)
    })
    .await;
    assert!(webhooks.receiver.received().headers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_that_ends_before_its_catch_up_is_sent_goes_on_when_it_is_repeated() {
    let webhooks = Webhooks::open().await;
    let logs = logs(1);
    let (id, order_id) = (webhooks.subscription.id, &logs[0][0].order_id);
    webhooks.receiver.fail(order_id, &[500; 4]);
    webhooks.record(&logs).await;
    let mut sender = webhooks.sender();
    let given_up = eventually("the delivery is given up", async || {
        webhooks.listed(DeliveryState::GaveUp).await.pop().ok_or("not yet")
    })
    .await;
    sender.kill();
    let skip = Skip { reason: "the shop has informed the customer".to_owned(), at: infra::now(), by: None };
    webhooks.store.skip(id, given_up.event_id, &skip).await.unwrap();
    webhooks.lose_jobs().await;
    assert_eq!(webhooks.listed(DeliveryState::Skipped).await.len(), 1);
    webhooks.store.skip(id, given_up.event_id, &skip).await.unwrap();
    let _sender = webhooks.sender();
    eventually("the later events are delivered", async || {
        let versions = webhooks.receiver.of(order_id);
        check(versions == [2, 3], versions)
    })
    .await;
}

/// The rows are written directly, because thousands of failed deliveries would take long.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_examines_a_part_of_the_held_orders_and_goes_on_at_its_cursor() {
    let webhooks = Webhooks::open().await;
    let state = TableState::new(webhooks.feed.outbound.clone());
    let (id, now) = (webhooks.subscription.id, infra::now());
    // A page examines 2,000 held orders.
    let rows: Vec<_> = (0..3_101)
        .map(|number| {
            let order_id = OrderId::parse(&format!("o-{number:05}")).unwrap();
            let mut order = held_from(&order_id, 1, now);
            if number % 3 == 0 {
                order.state = HeldState::CaughtUp { until: 1 };
            } else if number == 3_100 {
                order.head = Some(HeadEvent {
                    event_id: EventId::from(Uuid::from_u128(7)),
                    event_type: EventType::Paid,
                    recorded_at: now,
                });
            }
            HeldRow { order, revision: 0 }
        })
        .collect();
    for chunk in rows.chunks(50) {
        let puts = chunk.iter().map(|row| state.put_held(&webhooks.subscription, row));
        join_all(puts).await.into_iter().for_each(|put| assert!(put.unwrap().is_some()));
    }
    let status = webhooks.store.subscription(id).await.unwrap().unwrap();
    assert_eq!(status.progress.held_orders, 2_067, "a third of the orders has caught up");
    let filter = DeliveryFilter { state: Some(DeliveryState::Retrying), order_id: None };
    let first = webhooks.store.deliveries(id, &filter, None, 10).await.unwrap();
    assert!(first.deliveries.is_empty() && first.next.is_some(), "{first:?}");
    let (mut found, mut next, mut pages) = (Vec::new(), first.next, 1);
    while let Some(after) = next {
        let page = webhooks.store.deliveries(id, &filter, Some(&after), 10).await.unwrap();
        (pages, next) = (pages + 1, page.next);
        found.extend(page.deliveries);
    }
    assert_eq!((found.len(), pages), (1, 2), "{found:?}");
    // One order needs no search.
    let of_order = DeliveryFilter { state: None, order_id: Some(found[0].order_id.clone()) };
    let listed = webhooks.store.deliveries(id, &of_order, None, 10).await.unwrap();
    assert_eq!((listed.deliveries.len(), listed.next), (1, None));
    // The request names the delivery by its event.
    let skip = Skip { reason: "test".to_owned(), at: now, by: None };
    webhooks.store.skip(id, found[0].event_id, &skip).await.unwrap();
    assert!(webhooks.listed(DeliveryState::Retrying).await.is_empty());
}
