//! Tests the store of webhooks and their deliveries on a real data folder, with a sender in memory.

use std::collections::HashSet;
use std::sync::Mutex;

use api::ports::EventPublisher;
use api::ports::feed::{FeedCursor, FeedStart};
use api::ports::webhooks::{
    DeliveryFilter, DeliveryState, MAX_SUBSCRIPTIONS, ReplayFrom, Skip, WebhookError, WebhookStore,
};
use async_trait::async_trait;
use consumer::alert::Alert;
use consumer::webhooks::ports::{Change, DeliveryStore, EventSource};
use consumer::webhooks::{Answer, EventPayload, HeldOrder, PostError, Progress, SkippedDelivery};
use domain::{OrderId, Subscription, SubscriptionId, SubscriptionState};
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::embedded::testing::{confirmed, created, event_id, open_inline, options};
use crate::embedded::{Embedded, Options};
use crate::now;

/// A receiver that answers 200, or 500 for events of some orders.
#[derive(Default)]
struct Receiver {
    failing: Mutex<HashSet<String>>,
    delivered: Mutex<Vec<(String, u64)>>,
}

#[async_trait]
impl WebhookSender for Receiver {
    async fn post(&self, _: &Subscription, payload: &EventPayload) -> Result<Answer, PostError> {
        let body: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
        let order = body["subject"].as_str().unwrap_or("test").to_owned();
        if self.failing.lock().unwrap().contains(&order) {
            return Ok(Answer { status: 500, body_excerpt: Some("no".to_owned()), retry_after: None });
        }
        let version = body["orderversion"].as_u64().unwrap_or(0);
        self.delivered.lock().unwrap().push((order, version));
        Ok(Answer { status: 200, ..Answer::default() })
    }
}

struct NoAlerts;

#[async_trait]
impl Alerts for NoAlerts {
    async fn raise(&self, _: &Alert) -> anyhow::Result<()> {
        Ok(())
    }
}

fn subscription(number: u128) -> Subscription {
    serde_json::from_value(json!({
        "id": Uuid::from_u128(number), "revision": 1, "url": "https://receiver.example/", "state": "active",
        "secrets": [], "created_at": now(), "updated_at": now(),
    }))
    .unwrap()
}

/// The webhooks of an engine, with a running dispatcher.
struct Service {
    webhooks: Arc<EmbeddedWebhooks>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Service {
    fn start(engine: &Embedded, receiver: &Arc<Receiver>) -> Self {
        let webhooks = EmbeddedWebhooks::open(engine, "/test", receiver.clone()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let dispatcher =
            webhooks.dispatcher(receiver.clone(), Arc::new(NoAlerts), DeliveryOptions::default());
        Self { webhooks, stop, running: tokio::spawn(dispatcher.run(stopped)) }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.unwrap();
    }

    async fn states(&self, id: SubscriptionId) -> Vec<(String, u64, DeliveryState)> {
        let mut after = None;
        let mut all = Vec::new();
        loop {
            // Small pages test every position at which a page can begin.
            let filter = DeliveryFilter::default();
            let page = self.webhooks.deliveries(id, &filter, after.as_deref(), 2).await.unwrap();
            all.extend(page.deliveries.into_iter().map(|d| (d.order_id.to_string(), d.version, d.state)));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

async fn publish(engine: &Embedded, events: &[domain::Envelope]) {
    for accepted in engine.publish(events).await {
        accepted.unwrap();
    }
}

/// Waits until the condition holds. The whole test has a time limit.
async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_failing_delivery_is_listed_held_skipped_and_kept_across_a_restart() {
    let (folder, engine) = open_inline();
    let receiver = Arc::new(Receiver::default());
    receiver.failing.lock().unwrap().insert("bad".to_owned());
    let service = Service::start(&engine, &receiver);
    let subscription = subscription(1);
    let id = subscription.id;
    publish(&engine, &[created("bad"), created("good")]).await;
    service.webhooks.create(&subscription, FeedStart::Oldest).await.unwrap();
    publish(&engine, &[confirmed("bad", 1), confirmed("good", 2)]).await;
    let held = |version, state| ("bad".to_owned(), version, state);
    until(async || service.states(id).await.len() == 4).await;
    let states = service.states(id).await;
    assert_eq!(states[..2], [held(1, DeliveryState::Retrying), held(2, DeliveryState::Held)]);
    assert!(
        states[2..].iter().all(|(order, _, state)| order == "good" && *state == DeliveryState::Delivered)
    );
    // After a restart, the service reads the state from the disk.
    service.stop().await;
    drop(engine);
    let engine = Embedded::open(folder.path(), Options { inline: true, ..options() }).unwrap();
    let service = Service::start(&engine, &receiver);
    let found = service.webhooks.subscription(id).await.unwrap().unwrap();
    assert_eq!((found.progress.cursor, found.progress.held_orders), (Some(FeedCursor(vec![4])), 1));
    assert!(found.progress.held_since.is_some_and(|since| since <= now()));
    assert_eq!(service.states(id).await.len(), 2);
    let skip = Skip { reason: "a test".to_owned(), at: now(), by: Some("ops".to_owned()) };
    until(async || service.webhooks.skip(id, event_id("bad").into(), &skip).await.is_ok()).await;
    let missing = service.webhooks.skip(id, event_id("bad").into(), &skip).await;
    assert!(matches!(missing, Err(WebhookError::NoDelivery)), "{missing:?}");
    until(async || service.states(id).await.contains(&held(2, DeliveryState::Retrying))).await;
    let filter = DeliveryFilter { state: Some(DeliveryState::Skipped), order_id: None };
    let skipped = service.webhooks.deliveries(id, &filter, None, 10).await.unwrap().deliveries;
    assert_eq!((skipped.len(), skipped[0].skip.as_ref()), (1, Some(&skip)));
    assert_eq!(skipped[0].last_attempt.as_ref().unwrap().body_excerpt.as_deref(), Some("no"));
    // After the subscription is changed, the service retries the held delivery immediately.
    receiver.failing.lock().unwrap().clear();
    let changed = Subscription { revision: 2, updated_at: now(), ..found.subscription };
    service.webhooks.replace(&changed).await.unwrap();
    until(async || receiver.delivered.lock().unwrap().contains(&("bad".to_owned(), 2))).await;
    until(async || service.webhooks.subscription(id).await.unwrap().unwrap().progress.held_orders == 0).await;
    service.stop().await;
}

#[tokio::test]
async fn replays_deliver_again_and_only_what_exists() {
    let (_folder, engine) = open_inline();
    let receiver = Arc::new(Receiver::default());
    let service = Service::start(&engine, &receiver);
    let subscription = subscription(1);
    let id = subscription.id;
    publish(&engine, &[created("a"), created("b")]).await;
    service.webhooks.create(&subscription, FeedStart::Latest).await.unwrap();
    publish(&engine, &[confirmed("a", 1)]).await;
    until(async || receiver.delivered.lock().unwrap().len() == 1).await;
    for unknown in [vec![4], vec![], vec![1, 1]] {
        let replayed = service.webhooks.replay(id, &ReplayFrom::Cursor(FeedCursor(unknown))).await;
        assert!(matches!(replayed, Err(WebhookError::UnknownCursor)), "{replayed:?}");
    }
    let unknown = ReplayFrom::Order(OrderId::parse("c").unwrap());
    assert!(matches!(service.webhooks.replay(id, &unknown).await, Err(WebhookError::NoOrder)));
    service.webhooks.replay(id, &ReplayFrom::Order(OrderId::parse("a").unwrap())).await.unwrap();
    until(async || receiver.delivered.lock().unwrap().len() == 3).await;
    service.webhooks.replay(id, &ReplayFrom::Start(FeedStart::Oldest)).await.unwrap();
    until(async || receiver.delivered.lock().unwrap().len() == 6).await;
    let attempt = service.webhooks.test(id).await.unwrap();
    assert_eq!((attempt.status, attempt.error), (Some(200), None));
    service.stop().await;
}

#[tokio::test]
async fn subscriptions_are_changed_by_revision_and_deleted_with_everything() {
    let (_folder, engine) = open_inline();
    let receiver = Arc::new(Receiver::default());
    let webhooks = EmbeddedWebhooks::open(&engine, "/test", receiver.clone()).unwrap();
    let one = subscription(1);
    webhooks.create(&one, FeedStart::Oldest).await.unwrap();
    assert!(matches!(webhooks.create(&one, FeedStart::Oldest).await, Err(WebhookError::Changed)));
    let second = Subscription { revision: 2, state: SubscriptionState::Paused, ..one.clone() };
    webhooks.replace(&second).await.unwrap();
    assert!(matches!(webhooks.replace(&second).await, Err(WebhookError::Changed)));
    let reopened = EmbeddedWebhooks::open(&engine, "/test", receiver).unwrap();
    assert_eq!(reopened.subscription(one.id).await.unwrap().unwrap().subscription, second);
    webhooks.delete(one.id).await.unwrap();
    assert!(matches!(webhooks.delete(one.id).await, Err(WebhookError::NotFound)));
    assert!(matches!(webhooks.replace(&second).await, Err(WebhookError::NotFound)));
    assert!(engine.store().keys.webhooks.is_empty().unwrap());
    for number in 0..MAX_SUBSCRIPTIONS {
        webhooks.create(&subscription(number as u128), FeedStart::Oldest).await.unwrap();
    }
    let surplus = webhooks.create(&subscription(1000), FeedStart::Oldest).await;
    assert!(matches!(surplus, Err(WebhookError::TooMany)), "{surplus:?}");
    assert_eq!(WebhookStore::subscriptions(webhooks.as_ref()).await.unwrap().len(), MAX_SUBSCRIPTIONS);
}

#[tokio::test]
async fn a_cursor_after_the_end_of_the_feed_is_set_back() {
    let (folder, engine) = open_inline();
    let receiver = Arc::new(Receiver::default());
    let webhooks = EmbeddedWebhooks::open(&engine, "/test", receiver.clone()).unwrap();
    publish(&engine, &[created("a")]).await;
    let subscription = subscription(1);
    webhooks.create(&subscription, FeedStart::Latest).await.unwrap();
    // Sets the cursor as after a recovery that has cut off four events.
    let progress = Progress { cursor: 5, ..Progress::default() };
    webhooks.write(&subscription, vec![Change::Progress(progress)]).await.unwrap();
    drop((webhooks, engine));
    let engine = Embedded::open(folder.path(), Options { inline: true, ..options() }).unwrap();
    let service = Service::start(&engine, &receiver);
    publish(&engine, &[confirmed("a", 1)]).await;
    until(async || receiver.delivered.lock().unwrap().contains(&("a".to_owned(), 2))).await;
    service.stop().await;
}

#[tokio::test]
async fn an_event_is_read_and_encoded_once_for_all_subscriptions() {
    let (_folder, engine) = open_inline();
    let webhooks = EmbeddedWebhooks::open(&engine, "/test", Arc::new(Receiver::default())).unwrap();
    publish(&engine, &[created("a"), created("b")]).await;
    publish(&engine, &[confirmed("a", 1)]).await;
    let [one, other] = [subscription(1), subscription(2)];
    let page = webhooks.read(&one, 0, 10).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [1, 1, 2]);
    let key = (OrderId::parse("a").unwrap(), 2);
    let encoded = webhooks.payloads.get(&key).expect("the payload was read with the page");
    assert_eq!(webhooks.read(&other, 0, 10).await.unwrap(), page);
    let event = webhooks.event(&key.0, key.1).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&encoded, &event));
    assert!(String::from_utf8_lossy(&event.body).contains(r#""orderversion":2"#));
}

#[tokio::test]
async fn events_are_compared_with_the_customer_of_their_order() {
    let (_folder, engine) = open_inline();
    let webhooks = EmbeddedWebhooks::open(&engine, "/test", Arc::new(Receiver::default())).unwrap();
    publish(&engine, &[created("a")]).await;
    let [a, missing] = ["a", "b"].map(|id| OrderId::parse(id).unwrap());
    let customer = webhooks.customer_of(&a).unwrap().unwrap();
    let other = domain::CustomerId::parse("somebody-else").unwrap();
    // The second call finds the customer in memory.
    for _ in 0..2 {
        assert!(webhooks.is_of_customer(&a, &customer).await.unwrap());
        assert!(!webhooks.is_of_customer(&a, &other).await.unwrap());
        assert!(!webhooks.is_of_customer(&missing, &customer).await.unwrap());
    }
}

/// Stored rows must be readable by later versions of the program. To test a new member, add a line. Never change an
/// existing line.
#[test]
fn rows_are_written_as_they_were_in_every_version() {
    let golden = include_str!("../../../../tests/fixtures/golden/webhooks.jsonl");
    for line in golden.lines() {
        let (kind, row) = line.split_once(' ').unwrap();
        let written = match kind {
            "subscription" => rows::encode(&serde_json::from_str::<Subscription>(row).unwrap()),
            "progress" => rows::encode(&serde_json::from_str::<Progress>(row).unwrap()),
            "held" => rows::encode(&serde_json::from_str::<HeldOrder>(row).unwrap()),
            "skip" => rows::encode(&serde_json::from_str::<SkippedDelivery>(row).unwrap()),
            other => panic!("{other}"),
        };
        assert_eq!(String::from_utf8(written).unwrap(), row);
    }
    assert_eq!(golden.lines().count(), 8);
}
