//! Refuses events while the queue is too deep, so that clients wait and not their orders.
//!
//! SQS itself holds any number of messages; only those in flight are bounded (120,000, and a FIFO queue looks for
//! groups among its first 120,000). So this is for those who would rather refuse than fall behind.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use api::ports::{EventPublisher, PublishError, Published};
use async_trait::async_trait;
use domain::Envelope;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Queue;

/// How often the queue is asked for its depth.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Tells how deep the queue is.
#[async_trait]
pub trait Depth: Send + Sync + 'static {
    /// About how many messages wait; an error says, in a sentence, why that is not known.
    async fn depth(&self) -> Result<u64, String>;
}

#[async_trait]
impl Depth for Queue {
    async fn depth(&self) -> Result<u64, String> {
        Self::depth(self).await
    }
}

/// A publisher that publishes by another one, unless the queue is too deep.
///
/// The depth is that of a few seconds ago at most, and SQS tells it only about: a bound to the message it is not.
#[derive(Debug)]
pub struct Bounded<P> {
    publisher: P,
    most: u64,
    depth: Arc<AtomicU64>,
    asking: AbortHandle,
}

impl<P> Bounded<P> {
    /// Publishes by `publisher` while fewer than `most` messages wait on `queue`. Must be called in a runtime: asking
    /// for the depth is a task of it, which ends with this value.
    pub fn new(publisher: P, most: NonZeroU64, queue: impl Depth) -> Self {
        let depth = Arc::new(AtomicU64::new(0));
        let asking = tokio::spawn(ask(queue, Arc::clone(&depth))).abort_handle();
        Self { publisher, most: most.get(), depth, asking }
    }
}

impl<P> Drop for Bounded<P> {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ask(queue: impl Depth, depth: Arc<AtomicU64>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = queue.depth().await.unwrap_or_else(|error| {
            // Not knowing is no reason to refuse: a queue that cannot be reached refuses by itself.
            tracing::warn!(error, "the depth of the queue is not known, and not bounded");
            0
        });
        depth.store(known, Relaxed);
    }
}

#[async_trait]
impl<P: EventPublisher> EventPublisher for Bounded<P> {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Published, PublishError>> {
        let (depth, most) = (self.depth.load(Relaxed), self.most);
        if depth < most {
            return self.publisher.publish(events).await;
        }
        let full =
            || PublishError::Full(format!("about {depth} messages wait, and {most} are the most allowed"));
        events.iter().map(|_| Err(full())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes everything.
    struct Taking;

    #[async_trait]
    impl EventPublisher for Taking {
        async fn publish(&self, events: &[Envelope]) -> Vec<Result<Published, PublishError>> {
            events.iter().map(|_| Ok(Published::New)).collect()
        }
    }

    /// Says one after the other, when asked.
    struct Says(Mutex<Vec<Result<u64, String>>>, Arc<AtomicU64>);

    #[async_trait]
    impl Depth for Says {
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
        let asked = Arc::new(AtomicU64::new(0));
        let answers = vec![Ok(9), Ok(10), Ok(11), Err("no route".to_owned()), Ok(10), Ok(0), Ok(0)];
        let queue = Says(Mutex::new(answers), Arc::clone(&asked));
        let bounded = Bounded::new(Taking, NonZeroU64::new(10).unwrap(), queue);
        assert!(bounded.publish(&[event()]).await[0].is_ok(), "nothing is known yet");
        let half = ASK_EVERY / 2;
        for (number, takes) in [true, false, false, true, false, true].into_iter().enumerate() {
            tokio::time::sleep(half).await;
            for _ in 0..100 {
                let results = bounded.publish(&[event(), event()]).await;
                assert_eq!(results.len(), 2);
                let right = |result: &Result<Published, PublishError>| match result {
                    Ok(_) => takes,
                    Err(error) => !takes && matches!(error, PublishError::Full(_)),
                };
                assert!(results.iter().all(right), "{number}: {results:?}");
            }
            assert_eq!(asked.load(Relaxed), number as u64 + 1, "not for each request");
            tokio::time::sleep(ASK_EVERY - half).await;
        }
    }
}
