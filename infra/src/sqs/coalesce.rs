//! Lets concurrent requests share calls: events that are published within a moment go out together.

use std::time::Duration;

use anyhow::anyhow;
use api::ports::{EventPublisher, PublishError};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use domain::Envelope;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::publisher::Published;
use super::{MAX_BATCH, Queue};

/// How long the first event of a call waits for company.
const LINGER: Duration = Duration::from_millis(2);
/// Events that wait to go out; whoever publishes more waits for room.
const WAITING: usize = 1024;

/// A publisher that gathers single events of concurrent callers into calls of up to 10. Each caller still waits for
/// the answer for its own event. What is published as several events at one go is passed on as it is.
#[derive(Debug)]
pub struct Coalescing {
    queue: Queue,
    waiting: mpsc::Sender<Waiting>,
}

struct Waiting {
    event: Envelope,
    trace: TraceContext,
    answer: oneshot::Sender<Published>,
}

impl Coalescing {
    /// Gathers for `queue`. Must be called in a runtime: the gathering is a task of it, which ends with this value.
    pub fn new(queue: Queue) -> Self {
        let (waiting, events) = mpsc::channel(WAITING);
        tokio::spawn(gather(queue.clone(), events));
        Self { queue, waiting }
    }
}

async fn gather(queue: Queue, mut events: mpsc::Receiver<Waiting>) {
    while let Some(first) = events.recv().await {
        let mut batch = vec![first];
        let deadline = Instant::now() + LINGER;
        while batch.len() < MAX_BATCH {
            let Ok(Some(next)) = timeout_at(deadline, events.recv()).await else { break };
            batch.push(next);
        }
        tokio::spawn(publish(queue.clone(), batch));
    }
}

async fn publish(queue: Queue, batch: Vec<Waiting>) {
    let events: Vec<_> = batch.iter().map(|waiting| (&waiting.event, &waiting.trace)).collect();
    for (result, waiting) in queue.publish_all(&events).await.into_iter().zip(batch) {
        // A caller that has gone does not need its answer; the event is on the queue all the same.
        let _ = waiting.answer.send(result);
    }
}

#[async_trait]
impl EventPublisher for Coalescing {
    async fn publish(&self, events: &[Envelope]) -> Vec<Published> {
        let [event] = events else { return self.queue.publish(events).await };
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { event: event.clone(), trace: trace::current().unwrap_or_default(), answer };
        let gone = || anyhow!("the publisher is stopping");
        let result = match self.waiting.send(waiting).await {
            // Its call may be under way.
            Ok(()) => answered.await.unwrap_or_else(|_| Err(PublishError::Unknown(gone()))),
            Err(_) => Err(PublishError::NotAccepted(gone())),
        };
        vec![result]
    }
}
