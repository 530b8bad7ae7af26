//! A dispatcher with its surroundings, and the simulated clock.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::alert::{Alert, WebhookAlert};
use consumer::ports::Alerts;
use consumer::webhooks::{DeliveryOptions, Dispatcher, Workers};
use domain::{Subscription, SubscriptionState, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::feed::Feed;
use crate::receiver::Receiver;
use crate::store::Store;

/// The simulated time that a test may take. It is longer than every schedule.
const PATIENCE: Duration = Duration::from_secs(60 * 24 * 3600);

/// The simulated time.
pub(crate) fn clock() -> Timestamp {
    thread_local!(static START: OnceCell<Instant> = const { OnceCell::new() });
    let start = START.with(|start| *start.get_or_init(Instant::now));
    let micros = i64::try_from(Instant::now().duration_since(start).as_micros()).unwrap();
    Timestamp::from_micros(1_800_000_000_000_000 + micros).unwrap()
}

/// A short random pause, in which other tasks run and a crash may happen.
pub(crate) async fn pause() {
    match fastrand::u8(0..4) {
        0 => {}
        1 => tokio::task::yield_now().await,
        _ => sleep(Duration::from_micros(fastrand::u64(1..20_000))).await,
    }
}

pub(crate) fn subscription() -> Subscription {
    Subscription {
        id: Uuid::from_u128(1).into(),
        revision: 1,
        url: "https://receiver.example/".to_owned(),
        types: BTreeSet::new(),
        customer_id: None,
        description: None,
        headers: BTreeMap::new(),
        state: SubscriptionState::Active,
        stopped: None,
        secrets: Vec::new(),
        request_hash: None,
        created_at: clock(),
        updated_at: clock(),
    }
}

#[derive(Default)]
pub(crate) struct Alarm {
    pub(crate) raised: Mutex<Vec<WebhookAlert>>,
    /// How many of the next alerts cannot be raised.
    pub(crate) failures: Mutex<u32>,
}

#[async_trait]
impl Alerts for Alarm {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        pause().await;
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            anyhow::bail!("the alert cannot be raised");
        }
        let Alert::Webhook(alert) = alert else { panic!("{alert:?}") };
        self.raised.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

/// Everything around the dispatcher, which remains when the dispatcher crashes.
pub(crate) struct World {
    pub(crate) feed: Arc<Feed>,
    pub(crate) store: Arc<Store>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) options: DeliveryOptions,
}

impl World {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            feed: Arc::default(),
            store: Arc::new(Store::new(subscription())),
            receiver: Arc::new(receiver),
            alarm: Arc::default(),
            workers: Arc::default(),
            options: DeliveryOptions { page: 16, window: 64, ..DeliveryOptions::default() },
        }
    }

    pub(crate) fn dispatcher(&self) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            source: self.feed.clone(),
            store: self.store.clone(),
            sender: self.receiver.clone(),
            alerts: self.alarm.clone(),
            workers: self.workers.clone(),
            clock,
            options: self.options.clone(),
        })
    }

    /// Runs a dispatcher until `done` completes, then stops it.
    pub(crate) async fn run_until<R>(&self, done: impl Future<Output = R>) -> R {
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(self.dispatcher().run(stopped));
        let result = timeout(PATIENCE, done).await.expect("the test ends in time");
        stop.send_replace(true);
        running.await.unwrap();
        result
    }

    /// Runs a dispatcher for `duration` and drops it, as a crash does.
    pub(crate) async fn crash_after(&self, duration: Duration) {
        let (_stop, stopped) = watch::channel(false);
        let _ = timeout(duration, self.dispatcher().run(stopped)).await;
        self.store.crash();
        // The runtime drops the tasks of a dropped dispatcher only when it would next run them. During this
        // pause, the runtime drops them.
        sleep(Duration::from_micros(1)).await;
    }

    /// Completes when every event was accepted or skipped.
    pub(crate) async fn all_delivered(&self) {
        self.until("every event is delivered", || {
            let received = self.receiver.received();
            let versions = self.feed.versions();
            versions.iter().all(|(order, version)| received.has_all(order.as_str(), *version))
        })
        .await;
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                let _ = timeout(Duration::from_secs(1), self.receiver.changed.notified()).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}, in time"));
    }

    #[track_caller]
    pub(crate) fn check_order(&self) {
        let received = self.receiver.received();
        assert_eq!(received.inversions, Vec::<String>::new(), "events came before their predecessors");
        assert_eq!(received.concurrent, Vec::<String>::new(), "an order had two events in flight");
    }
}
