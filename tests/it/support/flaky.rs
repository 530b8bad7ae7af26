//! Implementations of the service's ports for tests: a log that fails to append, an inbox without retry
//! delays, and an inbox that cannot delete messages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{Append, AppendError, Appended, Inbox, LoadRequest, LoadedOrder, Message, OrderLog};
use domain::{OrderId, Receipt};

/// A log that fails, a given number of times, to append events of one order.
pub struct Flaky {
    log: Arc<dyn OrderLog>,
    order_id: OrderId,
    failures: AtomicUsize,
}

impl Flaky {
    pub fn new(log: Arc<dyn OrderLog>, order_id: &OrderId, failures: usize) -> Arc<Self> {
        Arc::new(Self { log, order_id: order_id.clone(), failures: AtomicUsize::new(failures) })
    }

    fn fails(&self, order_id: &OrderId) -> bool {
        let less = |left: usize| left.checked_sub(1);
        *order_id == self.order_id
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

#[async_trait]
impl OrderLog for Flaky {
    async fn load(&self, wanted: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>> {
        self.log.load(wanted).await
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let mut results = Vec::new();
        for append in appends {
            if self.fails(&append.order.order_id) {
                results.push(Err(AppendError::Unavailable(anyhow::anyhow!("the table is throttled"))));
            } else {
                results.extend(self.log.append(std::slice::from_ref(append)).await);
            }
        }
        results
    }

    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        self.log.settle(receipts).await
    }
}

/// An inbox that retries messages without delay. Records the delays that the consumer requested, by group.
pub struct Hasty {
    inbox: Arc<dyn Inbox>,
    pub delays: Mutex<HashMap<String, Vec<Duration>>>,
}

impl Hasty {
    pub fn new(inbox: Arc<dyn Inbox>) -> Arc<Self> {
        Arc::new(Self { inbox, delays: Mutex::default() })
    }
}

#[async_trait]
impl Inbox for Hasty {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        self.inbox.receive(max, wait).await
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        self.inbox.ack(messages).await
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        for (message, delay) in messages {
            let group = message.group.clone().unwrap_or_default();
            self.delays.lock().unwrap().entry(group).or_default().push(*delay);
        }
        let undelayed: Vec<_> = messages.iter().map(|(message, _)| (*message, Duration::ZERO)).collect();
        self.inbox.retry(&undelayed).await
    }
}

/// An inbox that fails, a given number of times, to acknowledge messages.
pub struct Sticky {
    inbox: Arc<dyn Inbox>,
    refusals: AtomicUsize,
}

impl Sticky {
    pub fn new(inbox: Arc<dyn Inbox>, refusals: usize) -> Arc<Self> {
        Arc::new(Self { inbox, refusals: AtomicUsize::new(refusals) })
    }
}

#[async_trait]
impl Inbox for Sticky {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        self.inbox.receive(max, wait).await
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let less = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return messages.iter().map(|_| Err(anyhow::anyhow!("the queue is throttled"))).collect();
        }
        self.inbox.ack(messages).await
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        self.inbox.retry(messages).await
    }
}
