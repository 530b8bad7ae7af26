//! Lets concurrent requests share SQS calls. Events that are published within 2 ms are sent in one call. The API role
//! publishes through this module.

use std::time::Duration;

use anyhow::anyhow;
use api::ports::{EventPublisher, PublishError};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use domain::Envelope;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::publisher::PublishResult;
use super::{MAX_BATCH, Queue};

/// How long the first event of a call waits for further events.
const LINGER: Duration = Duration::from_millis(2);
/// The maximum number of pending events. At the maximum, further events wait until pending events are sent.
const MAX_PENDING: usize = 1024;

/// Gathers single events of concurrent callers into calls of up to 10 events. Each caller waits for the answer to its
/// own event. A call that publishes several events is passed on unchanged.
#[derive(Debug)]
pub struct CoalescingPublisher {
    queue: Queue,
    pending: mpsc::Sender<PendingEvent>,
}

struct PendingEvent {
    event: Envelope,
    trace: TraceContext,
    answer: oneshot::Sender<PublishResult>,
}

impl CoalescingPublisher {
    /// Creates a publisher that gathers events for `queue`. Must be called in a runtime, because it spawns a task. The
    /// task ends when the publisher is dropped.
    pub fn new(queue: Queue) -> Self {
        let (pending, events) = mpsc::channel(MAX_PENDING);
        tokio::spawn(gather(queue.clone(), events));
        Self { queue, pending }
    }
}

async fn gather(queue: Queue, mut events: mpsc::Receiver<PendingEvent>) {
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

async fn publish(queue: Queue, batch: Vec<PendingEvent>) {
    let events: Vec<_> = batch.iter().map(|pending| (&pending.event, &pending.trace)).collect();
    for (result, pending) in queue.publish_all(&events).await.into_iter().zip(batch) {
        // Sending the result fails only if the caller has stopped waiting, and no longer needs the result.
        let _ = pending.answer.send(result);
    }
}

#[async_trait]
impl EventPublisher for CoalescingPublisher {
    async fn publish(&self, events: &[Envelope]) -> Vec<PublishResult> {
        let [event] = events else { return self.queue.publish(events).await };
        let (answer, answered) = oneshot::channel();
        let pending =
            PendingEvent { event: event.clone(), trace: trace::current().unwrap_or_default(), answer };
        let stopping = || anyhow!("the publisher is stopping");
        let result = match self.pending.send(pending).await {
            // If the sending task ends without a result, SQS may have received the event. So the outcome is unknown.
            Ok(()) => answered.await.unwrap_or_else(|_| Err(PublishError::Unknown(stopping()))),
            Err(_) => Err(PublishError::NotAccepted(stopping())),
        };
        vec![result]
    }
}
