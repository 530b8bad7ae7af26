//! The simulated surroundings of the deliveries: what is recorded, stored, queued and received, and what
//! operators do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use consumer::ports::Message;
use consumer::webhooks::queued::{
    DeliveryQueue, FeedRange, HeldRow, Job, QueuedDeliveries, QueuedOptions, QueuedParts, held_from,
};
use consumer::webhooks::{HeldState, Schedule, SkipRequest};
use consumer::{BatchHandler, Disposition};
use domain::{CustomerId, OrderId, Subscription, SubscriptionState, Timestamp};
use uuid::Uuid;

use crate::fixtures::{customer_of, now, order, pass, subscription};
use crate::queue::{FifoQueue, Queued};

/// An event of an order, by its version.
pub(crate) type Event = (OrderId, u64);

pub(crate) struct Outside {
    pub(crate) subscription: Subscription,
    pub(crate) rows: BTreeMap<OrderId, HeldRow>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) queue: FifoQueue,
    pub(crate) recorded: BTreeMap<OrderId, u64>,
    /// The deliveries that succeeded, in order.
    pub(crate) delivered: Vec<Event>,
    /// Every attempt, with its time and the status of its answer.
    pub(crate) attempts: Vec<(Timestamp, Event, u16)>,
    /// The statuses of the next answers. When none is left, the order's status in `answers_of` applies, or
    /// 200.
    pub(crate) answers: VecDeque<u16>,
    pub(crate) answers_of: BTreeMap<OrderId, u16>,
    pub(crate) skipped: BTreeSet<Event>,
    /// The events that the subscription did not select at some time. They need not be delivered.
    excused: BTreeSet<Event>,
    pub(crate) stops: usize,
    pub(crate) stop_alerts: usize,
    pub(crate) gave_ups: usize,
    pub(crate) gave_up_alerts: usize,
}

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Outside>>);

impl Outside {
    /// Returns the status of the receiver's answer. Asserts that the previous event of the order was accepted
    /// before.
    pub(crate) fn receive(&mut self, order_id: &OrderId, version: u64) -> u16 {
        for earlier in (1..version).map(|version| (order_id.clone(), version)) {
            let is_settled = self.delivered.contains(&earlier)
                || self.skipped.contains(&earlier)
                || self.excused.contains(&earlier);
            assert!(is_settled, "{order_id}: {version} before {}: {:?}", earlier.1, self.delivered);
        }
        let status = self.answers.pop_front().or_else(|| self.answers_of.get(order_id).copied());
        let (event, status) = ((order_id.clone(), version), status.unwrap_or(200));
        self.attempts.push((now(), event.clone(), status));
        if status == 200 {
            self.delivered.push(event);
        }
        status
    }

    pub(crate) fn selects(&self, order_id: &OrderId) -> bool {
        let only = self.subscription.customer_id.as_ref();
        only.is_none_or(|only| *only == customer_of(order_id))
    }

    /// How often the event was posted without success.
    pub(crate) fn failures_of(&self, order_id: &OrderId, version: u64) -> usize {
        let event = (order_id.clone(), version);
        self.attempts.iter().filter(|(_, of, status)| *of == event && *status != 200).count()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Outside {
            subscription: subscription(),
            rows: BTreeMap::new(),
            failing_since: None,
            queue: FifoQueue::default(),
            recorded: BTreeMap::new(),
            delivered: Vec::new(),
            attempts: Vec::new(),
            answers: VecDeque::new(),
            answers_of: BTreeMap::new(),
            skipped: BTreeSet::new(),
            excused: BTreeSet::new(),
            stops: 0,
            stop_alerts: 0,
            gave_ups: 0,
            gave_up_alerts: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap()
    }

    /// Deliveries with up to `attempts` attempts, a minute apart.
    pub(crate) fn deliveries(&self, attempts: usize) -> QueuedDeliveries {
        self.scheduled(Schedule::new((1..attempts).map(|_| Duration::from_secs(60))))
    }

    pub(crate) fn scheduled(&self, schedule: Schedule) -> QueuedDeliveries {
        QueuedDeliveries(QueuedParts {
            state: Arc::new(self.clone()),
            log: Arc::new(self.clone()),
            sender: Arc::new(self.clone()),
            queue: Arc::new(self.clone()),
            alerts: Arc::new(self.clone()),
            clock: now,
            options: QueuedOptions { schedule, ..QueuedOptions::default() },
        })
    }

    /// Records the next event of an order, and sends a job for the event, as the relay does.
    pub(crate) async fn record(&self, number: u64) {
        let order_id = order(number);
        let (version, is_selected) = {
            let mut outside = self.lock();
            let last = outside.recorded.entry(order_id.clone()).or_default();
            *last += 1;
            let version = *last;
            let is_selected = outside.selects(&order_id);
            if !is_selected {
                outside.excused.insert((order_id.clone(), version));
            }
            (version, is_selected)
        };
        if is_selected {
            self.enqueue(Job::Deliver { subscription_id: subscription().id, order_id, version }).await;
        }
    }

    pub(crate) async fn enqueue(&self, job: Job) {
        self.send_one(job).await.unwrap();
    }

    /// Receives a batch and handles it. If the sender crashes, the work that it has done stays done, and its
    /// messages are received again. Returns whether there was a batch.
    async fn handle_batch(&self, deliveries: &QueuedDeliveries, crashes: bool) -> bool {
        let batch = self.lock().queue.receive();
        if batch.is_empty() {
            return false;
        }
        let message = |(place, queued): (usize, &Queued)| Message {
            id: place.to_string(),
            group: Some(queued.job.group()),
            receive_count: queued.receives,
            body: serde_json::to_vec(&queued.job).unwrap(),
            ..Message::default()
        };
        let handled = deliveries.handle(batch.iter().enumerate().map(message).collect()).await;
        let back = batch.into_iter().zip(handled).filter_map(|(queued, handled)| match handled.disposition {
            _ if crashes => Some((queued, Duration::from_secs(180))),
            Disposition::Retry(_) => Some((queued, handled.delay.unwrap_or(Duration::from_secs(30)))),
            disposition => {
                assert_eq!(disposition, Disposition::Completed);
                None
            }
        });
        let back = back.collect();
        self.lock().queue.come_back(back);
        true
    }

    pub(crate) async fn work(&self, deliveries: &QueuedDeliveries) -> bool {
        self.handle_batch(deliveries, false).await
    }

    pub(crate) async fn work_and_crash(&self, deliveries: &QueuedDeliveries) {
        self.handle_batch(deliveries, true).await;
    }

    /// Handles all messages that are visible now.
    pub(crate) async fn work_off(&self, deliveries: &QueuedDeliveries) {
        while self.work(deliveries).await {}
    }

    /// Handles messages for the given simulated time.
    pub(crate) async fn work_for(&self, deliveries: &QueuedDeliveries, time: Duration) {
        let end = now().micros() + i64::try_from(time.as_micros()).unwrap();
        while now().micros() < end {
            self.work_off(deliveries).await;
            pass(Duration::from_secs(10));
        }
        self.work_off(deliveries).await;
    }

    /// Handles messages until the queue is empty.
    pub(crate) async fn drain(&self, deliveries: &QueuedDeliveries) {
        for _ in 0..10_000 {
            self.work_off(deliveries).await;
            let Some(next) = self.lock().queue.next_at() else { return };
            pass(Duration::from_micros(u64::try_from(next - now().micros()).unwrap_or(0)));
        }
        panic!("the queue does not drain: {:?}", self.lock().queue);
    }

    /// Changes the subscription as the API does. An active subscription gets a sweep.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Subscription)) {
        let is_active = {
            let mut outside = self.lock();
            let changed = &mut outside.subscription;
            change(changed);
            (changed.revision, changed.updated_at) = (changed.revision + 1, now());
            let left_out: Vec<_> =
                outside.recorded.iter().filter(|(order_id, _)| !outside.selects(order_id)).collect();
            let left_out: Vec<_> = left_out
                .into_iter()
                .flat_map(|(order_id, last)| (1..=*last).map(|version| (order_id.clone(), version)))
                .collect();
            outside.excused.extend(left_out);
            outside.subscription.state == SubscriptionState::Active
        };
        if is_active {
            self.enqueue(Job::sweep_now(subscription().id)).await;
        }
    }

    pub(crate) async fn pause(&self) {
        self.change(|it| it.stop(SubscriptionState::Paused, "An operator paused it.", now())).await;
    }

    pub(crate) async fn resume(&self) {
        self.change(Subscription::resume).await;
    }

    pub(crate) async fn limit(&self, customer_id: Option<CustomerId>) {
        self.change(|subscription| subscription.customer_id = customer_id).await;
    }

    async fn catch_up(&self, order_id: OrderId) {
        self.enqueue(Job::CatchUp { subscription_id: subscription().id, order_id }).await;
    }

    /// Delivers all events of an order again, as the API does.
    pub(crate) async fn replay(&self, order_id: OrderId) {
        {
            let mut outside = self.lock();
            if !outside.recorded.contains_key(&order_id) || !outside.selects(&order_id) {
                return;
            }
            let revision = outside.rows.get(&order_id).map_or(0, |row| row.revision);
            outside.put(&HeldRow { order: held_from(&order_id, 1, now()), revision }).unwrap();
        }
        self.catch_up(order_id).await;
    }

    pub(crate) async fn replay_feed(&self, after: u64) {
        let end = self.lock().recorded.values().sum::<u64>();
        let range = FeedRange { after: vec![after.min(end)], until: vec![end + 1] };
        self.enqueue(Job::Replay { subscription_id: subscription().id, replay: Uuid::now_v7(), range }).await;
    }

    /// Skips the delivery that holds an order, as the API does. Returns whether there was such a delivery.
    pub(crate) async fn skip(&self, order_id: &OrderId) -> bool {
        {
            let mut outside = self.lock();
            let held = outside.rows.get(order_id).filter(|row| row.order.is_held()).cloned();
            let Some(HeldRow { order, revision }) = held else { return false };
            let request = SkipRequest { reason: "test".to_owned(), at: now(), by: None };
            let Some(skipped) = order.skipped(request) else { return false };
            outside.skipped.insert((order_id.clone(), skipped.version));
            let next = held_from(order_id, order.next + 1, now());
            outside.put(&HeldRow { order: next, revision }).unwrap();
        }
        self.catch_up(order_id.clone()).await;
        true
    }

    /// Makes deliveries that were given up due again. Returns whether there were any.
    pub(crate) async fn replay_given_up(&self) -> bool {
        let is_given_up = |row: &&HeldRow| row.order.state == HeldState::GaveUp;
        let given_up: Vec<_> =
            self.lock().rows.values().filter(is_given_up).map(|row| row.order.order_id.clone()).collect();
        for order_id in &given_up {
            self.replay(order_id.clone()).await;
        }
        !given_up.is_empty()
    }

    /// Asserts that every event was delivered, or skipped, or not selected.
    pub(crate) fn assert_complete(&self) {
        let outside = self.lock();
        for (order_id, last) in &outside.recorded {
            for event in (1..=*last).map(|version| (order_id.clone(), version)) {
                let is_settled = outside.delivered.contains(&event)
                    || outside.skipped.contains(&event)
                    || outside.excused.contains(&event);
                assert!(is_settled, "{event:?} is missing");
            }
        }
        assert!(outside.queue.dead.is_empty(), "{:?}", outside.queue.dead);
    }
}
