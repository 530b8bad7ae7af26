//! Refuses events while the queue is too deep, for operators who prefer refused events to a growing backlog. The API
//! role wraps its publisher in this module.
//!
//! SQS itself holds any number of messages. SQS limits only the messages in flight, to 120,000. On a FIFO queue, SQS
//! also searches for groups only among the first 120,000 messages.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use api::ports::{Acceptance, EventPublisher, PublishError};
use async_trait::async_trait;
use domain::Envelope;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Queue;

/// How often the depth of the queue is read.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A queue whose depth can be read.
#[async_trait]
pub trait QueueDepth: Send + Sync + 'static {
    /// The approximate number of queued messages, or a sentence that explains why that number is unknown.
    async fn depth(&self) -> Result<u64, String>;
}

#[async_trait]
impl QueueDepth for Queue {
    async fn depth(&self) -> Result<u64, String> {
        Self::depth(self).await
    }
}

/// Passes events to another publisher unless the queue is too deep.
///
/// The limit is approximate: the depth is up to a few seconds old, and SQS reports approximate depths.
#[derive(Debug)]
pub struct DepthLimitedPublisher<P> {
    publisher: P,
    limit: u64,
    depth: Arc<AtomicU64>,
    poll_task: AbortHandle,
}

impl<P> DepthLimitedPublisher<P> {
    /// Publishes through `publisher` while fewer than `limit` messages are queued on `queue`. Must be called in a
    /// runtime, because it spawns a task that polls the depth. The task ends when the publisher is dropped.
    pub fn new(publisher: P, limit: NonZeroU64, queue: impl QueueDepth) -> Self {
        let depth = Arc::new(AtomicU64::new(0));
        let poll_task = tokio::spawn(poll_depth(queue, Arc::clone(&depth))).abort_handle();
        Self { publisher, limit: limit.get(), depth, poll_task }
    }
}

impl<P> Drop for DepthLimitedPublisher<P> {
    fn drop(&mut self) {
        self.poll_task.abort();
    }
}

async fn poll_depth(queue: impl QueueDepth, depth: Arc<AtomicU64>) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let current = queue.depth().await.unwrap_or_else(|error| {
            // An unknown depth is no reason to refuse events. If the queue is unreachable, publishing fails anyway.
            tracing::warn!(error, "the depth of the queue is unknown; events are accepted without a limit");
            0
        });
        depth.store(current, Relaxed);
    }
}

#[async_trait]
impl<P: EventPublisher> EventPublisher for DepthLimitedPublisher<P> {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
        let (depth, limit) = (self.depth.load(Relaxed), self.limit);
        if depth < limit {
            return self.publisher.publish(events).await;
        }
        let full = || PublishError::Full(format!("about {depth} messages are queued; the limit is {limit}"));
        events.iter().map(|_| Err(full())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct AcceptAll;

    #[async_trait]
    impl EventPublisher for AcceptAll {
        async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
            events.iter().map(|_| Ok(Acceptance::New)).collect()
        }
    }

    /// Returns the given depths one after the other, and counts the calls.
    struct ScriptedDepth(Mutex<Vec<Result<u64, String>>>, Arc<AtomicU64>);

    #[async_trait]
    impl QueueDepth for ScriptedDepth {
        async fn depth(&self) -> Result<u64, String> {
            self.1.fetch_add(1, Relaxed);
            self.0.lock().unwrap().remove(0)
        }
    }

    fn event() -> Envelope {
        let text = r#"{"type":"order_confirmed","event_id":"0199d3a0-0000-7000-8000-000000000001",
            "schema_version":1,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","data":{"order_id":"o"}}"#;
        Envelope::decode(text.as_bytes(), domain::Currency::parse("EUR").unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_refused_while_the_queue_is_too_deep() {
        let calls = Arc::new(AtomicU64::new(0));
        let answers = vec![Ok(9), Ok(10), Ok(11), Err("no route".to_owned()), Ok(10), Ok(0), Ok(0)];
        let queue = ScriptedDepth(Mutex::new(answers), Arc::clone(&calls));
        let limited = DepthLimitedPublisher::new(AcceptAll, NonZeroU64::new(10).unwrap(), queue);
        assert!(
            limited.publish(&[event()]).await[0].is_ok(),
            "events are accepted while the depth is not known yet"
        );
        let half = POLL_INTERVAL / 2;
        for (number, takes) in [true, false, false, true, false, true].into_iter().enumerate() {
            tokio::time::sleep(half).await;
            for _ in 0..100 {
                let results = limited.publish(&[event(), event()]).await;
                assert_eq!(results.len(), 2);
                let right = |result: &Result<Acceptance, PublishError>| match result {
                    Ok(_) => takes,
                    Err(error) => !takes && matches!(error, PublishError::Full(_)),
                };
                assert!(results.iter().all(right), "{number}: {results:?}");
            }
            assert_eq!(
                calls.load(Relaxed),
                number as u64 + 1,
                "the depth is read once per interval, not once per request"
            );
            tokio::time::sleep(POLL_INTERVAL - half).await;
        }
    }
}
