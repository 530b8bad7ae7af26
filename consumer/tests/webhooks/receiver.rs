//! A receiver that fails in many ways, and checks the order of the events that it receives.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use consumer::webhooks::ports::WebhookSender;
use consumer::webhooks::{Answer, EventPayload, PostError};
use domain::Subscription;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::setup::pause;

/// How the receiver treats a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Accepts,
    /// Ignores the event, and answers 500.
    Fails,
    /// Accepts the event, but the answer is lost, so the sender must send it again.
    Lies,
    /// Never answers, so the sender gives up. The receiver may have accepted the event.
    Hangs,
    /// Closes the connection. The receiver may have accepted the event.
    Resets,
    /// Answers with an error that asks for a delay.
    Throttles,
    Gone,
}

#[derive(Default)]
pub(crate) struct Received {
    /// For each order, the version up to which every event was answered with 200.
    pub(crate) accepted: HashMap<String, u64>,
    /// Versions that an operator has skipped.
    pub(crate) skipped: HashSet<(String, u64)>,
    pub(crate) requests: u64,
    pub(crate) successes: u64,
    /// Events that arrived before the delivery of the previous event had succeeded.
    pub(crate) inversions: Vec<String>,
    /// Orders that had more than one event in flight at a time.
    pub(crate) concurrent: Vec<String>,
    in_flight: HashMap<String, usize>,
    pub(crate) max_in_flight: usize,
    /// Each accepted event, in the order of the answers.
    pub(crate) order_of_answers: Vec<(String, u64)>,
}

type Behave = dyn Fn(&str, u64) -> Behaviour + Send + Sync;

pub(crate) struct Receiver {
    received: Arc<Mutex<Received>>,
    pub(crate) changed: Arc<Notify>,
    behave: Mutex<Box<Behave>>,
}

struct InFlight(Arc<Mutex<Received>>, String);

impl Drop for InFlight {
    fn drop(&mut self) {
        *self.0.lock().unwrap().in_flight.get_mut(&self.1).unwrap() -= 1;
    }
}

impl Receiver {
    pub(crate) fn new(behave: impl Fn(&str, u64) -> Behaviour + Send + Sync + 'static) -> Self {
        Self { received: Arc::default(), changed: Arc::default(), behave: Mutex::new(Box::new(behave)) }
    }

    pub(crate) fn behave(&self, behave: impl Fn(&str, u64) -> Behaviour + Send + Sync + 'static) {
        *self.behave.lock().unwrap() = Box::new(behave);
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }

    fn arrive(&self, order: &str, version: u64) -> InFlight {
        let mut received = self.received();
        received.requests += 1;
        let in_flight = received.in_flight.entry(order.to_owned()).or_default();
        *in_flight += 1;
        if *in_flight > 1 {
            received.concurrent.push(format!("{order} {version}"));
        }
        let all = received.in_flight.values().sum();
        received.max_in_flight = received.max_in_flight.max(all);
        if !received.has_all_before(order, version) {
            received.inversions.push(format!("{order} {version}"));
        }
        InFlight(Arc::clone(&self.received), order.to_owned())
    }

    fn accept(&self, order: &str, version: u64) {
        let mut received = self.received();
        received.successes += 1;
        received.order_of_answers.push((order.to_owned(), version));
        if received.has_all_before(order, version) {
            let accepted = received.accepted.entry(order.to_owned()).or_default();
            *accepted = version.max(*accepted);
        }
        self.changed.notify_one();
    }
}

impl Received {
    fn has_all_before(&self, order: &str, version: u64) -> bool {
        let accepted = self.accepted.get(order).copied().unwrap_or(0);
        (accepted + 1..version).all(|before| self.skipped.contains(&(order.to_owned(), before)))
    }

    /// Whether every event up to the given version was accepted or skipped.
    pub(crate) fn has_all(&self, order: &str, version: u64) -> bool {
        self.has_all_before(order, version + 1)
    }
}

#[async_trait]
impl WebhookSender for Receiver {
    async fn post(&self, _: &Subscription, payload: &EventPayload) -> Result<Answer, PostError> {
        let body = std::str::from_utf8(&payload.body).unwrap();
        let (order, version) = body.split_once(' ').unwrap();
        let version = version.parse().unwrap();
        pause().await;
        let behaviour = (self.behave.lock().unwrap())(order, version);
        let _in_flight = self.arrive(order, version);
        pause().await;
        let status = match behaviour {
            Behaviour::Accepts => 200,
            Behaviour::Fails => 500,
            Behaviour::Lies => {
                self.accept(order, version);
                return Err(PostError::Failed("the connection was closed".to_owned()));
            }
            Behaviour::Throttles => 429,
            Behaviour::Gone => 410,
            Behaviour::Hangs => {
                sleep(Duration::from_secs(15)).await;
                return Err(PostError::TimedOut("no answer within 15 s".to_owned()));
            }
            Behaviour::Resets => return Err(PostError::Failed("the connection was closed".to_owned())),
        };
        if status == 200 {
            self.accept(order, version);
        }
        pause().await;
        let retry_after = (status == 429).then(|| Duration::from_secs(fastrand::u64(1..100)));
        Ok(Answer { status, body_excerpt: None, retry_after })
    }
}
