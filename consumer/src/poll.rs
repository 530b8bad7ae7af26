//! The poll loop: receives batches, has them handled, acks and retries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff;
use crate::execute::{Handled, Handler, Outcome};
use crate::metering;
use crate::ports::{Inbox, Message};

/// How the loop polls.
#[derive(Debug, Clone, Copy)]
pub struct PollOptions {
    /// Batches that are handled at the same time.
    pub concurrency: usize,
    /// The most messages of a batch.
    pub batch_size: usize,
    /// How long a receive waits for messages.
    pub wait: Duration,
}

/// Polls until `stop` becomes true (or its sender is gone), then finishes the batches in hand.
pub async fn run(
    inbox: Arc<dyn Inbox>,
    handler: Arc<dyn Handler>,
    options: PollOptions,
    stop: watch::Receiver<bool>,
) {
    let mut workers = JoinSet::new();
    for _ in 0..options.concurrency {
        workers.spawn(work(Arc::clone(&inbox), Arc::clone(&handler), options, stop.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a consumer worker broke; its messages become visible again at their timeout");
            if !*stop.borrow() {
                workers.spawn(work(Arc::clone(&inbox), Arc::clone(&handler), options, stop.clone()));
            }
        }
    }
}

async fn work(
    inbox: Arc<dyn Inbox>,
    handler: Arc<dyn Handler>,
    options: PollOptions,
    mut stop: watch::Receiver<bool>,
) {
    let mut failures = 0;
    loop {
        let received = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            received = inbox.receive(options.batch_size, options.wait) => received,
        };
        match received {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => {
                failures = 0;
                let batch = metering::Batch::received(&messages);
                let handled = handler.handle(messages).await;
                let handled = give_back(inbox.as_ref(), handled).await;
                batch.handled(&handled);
                handler.count(&handled).await;
            }
            Err(error) => {
                failures += 1;
                let pause =
                    backoff::full_jitter(failures, Duration::from_millis(200), Duration::from_secs(30));
                tracing::error!("cannot receive, trying again in {pause:?}: {error:#}");
                let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
            }
        }
    }
}

/// Acks what is done and retries what is not.
///
/// What cannot be acked is to be retried: the queue delivers it again at its visibility timeout, and the consumer comes to
/// the same outcome then. So that outcome counts once, when the message is gone.
async fn give_back(inbox: &dyn Inbox, mut handled: Vec<Handled>) -> Vec<Handled> {
    let end = |(place, handled): (usize, &'_ Handled)| Some((place, handled.outcome.end()?));
    let done: Vec<_> = handled.iter().enumerate().filter_map(end).collect();
    let ends: Vec<_> = done.iter().map(|(place, end)| (&handled[*place].message, *end)).collect();
    let again = retries(&handled);
    let acked = if ends.is_empty() { Vec::new() } else { inbox.ack(&ends).await };
    let retried = if again.is_empty() { Vec::new() } else { inbox.retry(&again).await };
    for error in retried.into_iter().filter_map(Result::err) {
        tracing::warn!("cannot set when a message comes back: {error:#}");
    }
    for ((place, _), acked) in done.into_iter().zip(acked) {
        if let Err(error) = acked {
            tracing::warn!("cannot take a message off the queue: {error:#}");
            handled[place].outcome = Outcome::Retry(format!("it is still on the queue: {error:#}"));
        }
    }
    handled
}

/// The messages that have to be received again, each with the delay until then. Those of an ordering group come back
/// together, when the first of them does: none of them can be received before it anyway.
pub(crate) fn retries(handled: &[Handled]) -> Vec<(&Message, Duration)> {
    let mut delays: HashMap<&str, Duration> = HashMap::new();
    let again = handled.iter().filter(|handled| matches!(handled.outcome, Outcome::Retry(_)));
    again
        .map(|Handled { message, .. }| {
            let own = || retry_delay(message.receive_count);
            let delay = match message.group.as_deref() {
                Some(group) => *delays.entry(group).or_insert_with(own),
                None => own(),
            };
            (message, delay)
        })
        .collect()
}

/// How long a message waits before it is received again: up to 30 s · 2^(receives - 1), at most 300 s, with full
/// jitter ([Exponential backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)).
pub fn retry_delay(receives: u32) -> Duration {
    backoff::full_jitter(receives, Duration::from_secs(30), Duration::from_secs(300))
}
