//! A deployment with webhooks for the tests: a receiver, a subscription to it, and the roles.

use std::collections::{BTreeMap, VecDeque};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use api::ports::feed::FeedStart;
use api::ports::webhooks::{Delivery, DeliveryFilter, DeliveryState, WebhookStore};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use consumer::relay::Relay;
use domain::subscription::SigningSecret;
use domain::{Envelope, OrderId, Subscription, SubscriptionId, SubscriptionState, Timestamp};
use infra::aws::{self, AwsWebhookStore};
use infra::outbound::{JobQueue, Outbox};
use infra::webhook_sender::{HttpSender, SenderOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::aws::at;
use crate::aws::feed::FeedBackend;
use crate::support::QueueOptions;
use crate::support::emulator::Emulator;
use crate::support::emulator::queues::Queues;
use crate::support::eventually::{check, eventually};
use crate::support::service::Service;

/// A receiver that answers 200, except for the statuses that a test sets with [`Receiver::fail`].
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
pub struct Received {
    /// The deliveries that were answered with 200: order and version.
    pub delivered: Vec<(String, u64)>,
    /// The statuses of the next answers for an order.
    answers: BTreeMap<String, VecDeque<u16>>,
    pub headers: Vec<HeaderMap>,
}

impl Receiver {
    pub async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    pub fn received(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap()
    }

    pub fn fail(&self, order_id: &OrderId, statuses: &[u16]) {
        let answers = &mut self.received().answers;
        answers.entry(order_id.to_string()).or_default().extend(statuses);
    }

    pub fn of(&self, order_id: &OrderId) -> Vec<u64> {
        let received = self.received();
        let of_order = received.delivered.iter().filter(|(id, _)| id == order_id.as_str());
        of_order.map(|(_, version)| *version).collect()
    }

    /// Waits until every event of the logs was delivered. Asserts that no event was delivered before an
    /// earlier version of its order.
    pub async fn has(&self, logs: &[Vec<Envelope>]) {
        eventually("every event is delivered", async || {
            let missing: Vec<_> = logs
                .iter()
                .map(|log| (&log[0].order_id, self.of(&log[0].order_id)))
                .filter(|(_, versions)| !(1..=3).all(|version| versions.contains(&version)))
                .collect();
            check(missing.is_empty(), format!("{missing:?}"))
        })
        .await;
        for log in logs {
            let mut last = 0;
            for version in self.of(&log[0].order_id) {
                assert!(version <= last + 1, "{version} after {last}");
                last = last.max(version);
            }
        }
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let mut received = receiver.0.lock().unwrap();
    received.headers.push(headers);
    let Some(order_id) = event["subject"].as_str() else { return StatusCode::OK };
    let answer = received.answers.get_mut(order_id).and_then(VecDeque::pop_front);
    if let Some(status) = answer {
        return StatusCode::from_u16(status).unwrap();
    }
    received.delivered.push((order_id.to_owned(), event["orderversion"].as_u64().unwrap()));
    StatusCode::OK
}

/// A deployment with webhooks, and a subscription to the receiver.
pub struct Webhooks {
    pub feed: FeedBackend,
    pub queues: Queues,
    topic: String,
    /// The URL of a queue that gets the alerts.
    pub alerts: String,
    pub store: AwsWebhookStore,
    pub receiver: Receiver,
    pub subscription: Subscription,
}

impl Webhooks {
    pub async fn open() -> Self {
        let feed = FeedBackend::open().await;
        let emulator = Emulator::shared();
        let queues = emulator
            .create_queues(true, QueueOptions { max_receives: 1000, ..QueueOptions::default() })
            .await;
        let (topic, alerts) = emulator.create_topic(&format!("alerts-{}", Uuid::now_v7().simple())).await;
        let sdk = aws::config_at(&emulator.endpoint).await;
        let allow_private = SenderOptions { allow_private: true, ..SenderOptions::default() };
        let store = AwsWebhookStore {
            table: feed.outbound.clone(),
            log: (*feed.backend.table).clone(),
            queue: JobQueue(aws::queue(&sdk, &queues.url)),
            sender: Arc::new(HttpSender::new(allow_private)),
            source: "/orders".to_owned(),
            feed: Some((*feed.feed).clone()),
        };
        let receiver = Receiver::default();
        let subscription = subscription(receiver.start().await);
        store.create(&subscription, FeedStart::Latest).await.unwrap();
        Self { feed, queues, topic, alerts, store, receiver, subscription }
    }

    pub fn variables(&self) -> Vec<(&str, &str)> {
        vec![
            ("TABLE_NAME", &self.feed.backend.table_name),
            ("OUTBOUND_TABLE", &self.feed.outbound_name),
            ("WEBHOOK_QUEUE_URL", &self.queues.url),
            ("ALERTS_TOPIC", &self.topic),
            ("ORDERS_WEBHOOKS_ALLOW_PRIVATE", "true"),
            ("ORDERS_WEBHOOKS_RETRY_DELAYS", "1s,1s,1s"),
        ]
    }

    pub fn sender(&self) -> Service {
        let mut command: Command = at(&Emulator::shared().endpoint, &["webhook-sender"]);
        command.envs(self.variables());
        Service::spawn_until(command, "\"delivering\"").0
    }

    /// Sends jobs for everything in the change stream, as the relay does.
    pub async fn relay(&self) {
        let outbox = Outbox { table: self.feed.outbound.clone(), queue: self.store.queue.clone() };
        let relay = Relay::new(self.feed.backend.table.clone(), infra::now).with_webhooks(Arc::new(outbox));
        relay.relay(self.feed.streamed().await.into_iter().map(Ok).collect()).await.unwrap();
    }

    pub async fn record(&self, logs: &[Vec<Envelope>]) {
        self.feed.record_all(logs).await;
        self.relay().await;
    }

    pub async fn listed(&self, state: DeliveryState) -> Vec<Delivery> {
        let filter = DeliveryFilter { state: Some(state), order_id: None };
        self.store.deliveries(self.subscription.id, &filter, None, 100).await.unwrap().deliveries
    }

    /// The alerts that were raised so far.
    pub async fn alerts(&self) -> Vec<String> {
        let input = json!({ "QueueUrl": self.alerts, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0 });
        let received = Emulator::shared().sqs("ReceiveMessage", &input).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        messages.iter().map(|message| message["Body"].as_str().unwrap().to_owned()).collect()
    }

    /// Deletes all messages on the queue, to simulate a crash between the write of a row and sending its
    /// message.
    pub async fn lose_jobs(&self) {
        Emulator::shared().sqs("PurgeQueue", &json!({ "QueueUrl": self.queues.url })).await;
    }

    pub async fn set(&mut self, state: SubscriptionState) {
        self.subscription.state = state;
        self.subscription.revision += 1;
        self.store.replace(&self.subscription).await.unwrap();
    }
}

/// A subscription to all events. The subscription was created before the test events, whose recording times
/// are in the past.
pub fn subscription(url: String) -> Subscription {
    let at = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    Subscription {
        id: SubscriptionId::from(Uuid::now_v7()),
        revision: 1,
        url,
        types: Default::default(),
        customer_id: None,
        description: None,
        headers: BTreeMap::new(),
        state: SubscriptionState::Active,
        stopped: None,
        secrets: vec![SigningSecret {
            secret: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned(),
            expires_at: None,
        }],
        request_hash: None,
        created_at: at,
        updated_at: at,
    }
}
