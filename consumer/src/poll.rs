//! The poll loop: receives batches, passes them to the handler, and acknowledges or retries their messages. The
//! commands that serve without Lambda run this loop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::full_jitter;
use crate::disposition::Disposition;
use crate::handler::{BatchHandler, HandledMessage};
use crate::metering;
use crate::ports::{Inbox, Message};

/// The settings of the poll loop.
#[derive(Debug, Clone, Copy)]
pub struct PollOptions {
    /// How many batches are handled concurrently.
    pub concurrency: usize,
    /// The maximum number of messages in a batch.
    pub batch_size: usize,
    /// How long a receive call waits for messages.
    pub wait: Duration,
}

/// Polls until `stop` becomes true or its sender is dropped, then finishes the batches in progress.
pub async fn run(
    inbox: Arc<dyn Inbox>,
    handler: Arc<dyn BatchHandler>,
    options: PollOptions,
    stop: watch::Receiver<bool>,
) {
    let mut workers = JoinSet::new();
    for _ in 0..options.concurrency {
        workers.spawn(work(Arc::clone(&inbox), Arc::clone(&handler), options, stop.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a consumer worker panicked; its messages become visible again at their visibility timeout");
            if !*stop.borrow() {
                workers.spawn(work(Arc::clone(&inbox), Arc::clone(&handler), options, stop.clone()));
            }
        }
    }
}

async fn work(
    inbox: Arc<dyn Inbox>,
    handler: Arc<dyn BatchHandler>,
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
                let batch = metering::BatchMetrics::received(&messages);
                let mut handled = handler.handle(messages).await;
                handler.count(&mut handled).await;
                let handled = acknowledge(inbox.as_ref(), handled).await;
                batch.handled(&handled);
            }
            Err(error) => {
                failures += 1;
                let pause = full_jitter(failures, Duration::from_millis(200), Duration::from_secs(30));
                tracing::error!("cannot receive, trying again in {pause:?}: {error:#}");
                let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
            }
        }
    }
}

/// Acknowledges the finished messages and retries the others.
///
/// A message that cannot be acknowledged becomes [`Disposition::Retry`]. The queue delivers it again at its visibility
/// timeout, and the consumer then reaches the same disposition as before. The metrics count each message once, when it
/// leaves the queue.
async fn acknowledge(inbox: &dyn Inbox, mut handled: Vec<HandledMessage>) -> Vec<HandledMessage> {
    let is_done = |place: &usize| handled[*place].disposition.is_acknowledged();
    let done: Vec<usize> = (0..handled.len()).filter(is_done).collect();
    let acks: Vec<_> =
        done.iter().map(|place| (&handled[*place].message, &handled[*place].disposition)).collect();
    let again = retries(&handled);
    let acked = if acks.is_empty() { Vec::new() } else { inbox.ack(&acks).await };
    let retried = if again.is_empty() { Vec::new() } else { inbox.retry(&again).await };
    for error in retried.into_iter().filter_map(Result::err) {
        tracing::warn!("cannot set the delay of a retry: {error:#}");
    }
    for (place, acked) in done.into_iter().zip(acked) {
        if let Err(error) = acked {
            tracing::warn!("cannot acknowledge a message: {error:#}");
            handled[place].disposition =
                Disposition::Retry(format!("the message is still on the queue: {error:#}"));
        }
    }
    handled
}

/// The messages to receive again, each with its delay. All messages of an ordering group get the delay of the first
/// message, because none of them can be received before the first message.
pub(crate) fn retries(handled: &[HandledMessage]) -> Vec<(&Message, Duration)> {
    let mut delays: HashMap<&str, Duration> = HashMap::new();
    let again = handled.iter().filter(|handled| matches!(handled.disposition, Disposition::Retry(_)));
    again
        .map(|HandledMessage { message, delay, .. }| {
            let own = || delay.unwrap_or_else(|| retry_delay(message.receive_count));
            let delay = match message.group.as_deref() {
                Some(group) => *delays.entry(group).or_insert_with(own),
                None => own(),
            };
            (message, delay)
        })
        .collect()
}

/// The backoff of a message: up to 30 s · 2^(receives - 1), at most 300 s, with full jitter ([Exponential
/// backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)).
pub fn retry_delay(receives: u32) -> Duration {
    full_jitter(receives, Duration::from_secs(30), Duration::from_secs(300))
}
