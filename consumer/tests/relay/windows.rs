//! Tests how much of a batch the relay sends again after a failure, and how much it has sent at a deadline.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::relay::{FeedEntry, StreamEntry, WebhookOutbox};
use tokio::time::Instant;

use crate::fake_output::{FakeOutput, entries, relay};

/// The size of the relay's first window.
const FIRST_WINDOW: usize = 10;

/// A queue that counts the jobs of the relay, and takes some time for each call.
#[derive(Default)]
struct Jobs {
    sent: Mutex<usize>,
    time: Duration,
}

impl Jobs {
    fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }
}

#[async_trait]
impl WebhookOutbox for Jobs {
    async fn send(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>> {
        tokio::time::sleep(self.time).await;
        *self.sent.lock().unwrap() += entries.len();
        entries.iter().map(|_| Ok(())).collect()
    }
}

fn readable(entries: &[StreamEntry]) -> Vec<anyhow::Result<StreamEntry>> {
    entries.iter().cloned().map(Ok).collect()
}

#[tokio::test(start_paused = true)]
async fn while_one_output_fails_the_other_and_webhooks_get_few_events_again() {
    let (healthy, failing) = (FakeOutput::refusing(&[]), FakeOutput::refusing(&[("o-50", 1, u32::MAX)]));
    let (jobs, batch) = (Arc::new(Jobs::default()), entries(300, 1));
    let relay = relay(&[&healthy, &failing]).with_webhooks(Arc::<Jobs>::clone(&jobs));
    assert_eq!(relay.relay(readable(&batch)).await.unwrap_err().first, 50);
    let before = healthy.accepted().len();
    assert_eq!(
        (before, jobs.sent()),
        (70, 50),
        "three windows, and the jobs of all events before the failed one"
    );
    for _ in 0..5 {
        assert_eq!(relay.relay(readable(&batch[50..])).await.unwrap_err().first, 0);
    }
    assert_eq!((healthy.accepted().len() - before, jobs.sent()), (5 * FIRST_WINDOW, 50));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_as_a_whole_is_not_repeated_by_the_relay() {
    let output = FakeOutput::refusing(&[]);
    output.is_down.store(true, Ordering::Relaxed);
    let failure = relay(&[&output]).relay(readable(&entries(3, 1))).await.unwrap_err();
    assert_eq!((failure.first, failure.cause.to_string().as_str()), (0, "no answer"));
    assert_eq!(*output.calls.lock().unwrap(), [3], "the SDK has repeated the call already");
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_relay_names_the_first_entry_that_it_has_not_relayed() {
    let (output, batch) = (FakeOutput::refusing(&[]), entries(300, 1));
    let jobs = Arc::new(Jobs { time: Duration::from_secs(2), ..Jobs::default() });
    let relay = relay(&[&output]).with_webhooks(Arc::<Jobs>::clone(&jobs));
    let deadline = Instant::now() + Duration::from_secs(5);
    let failure = relay.relay_before(Some(deadline), readable(&batch)).await.unwrap_err();
    assert_eq!(
        (failure.first, failure.cause.to_string().as_str()),
        (30, "out of time"),
        "two windows of 10 and 20"
    );
    assert_eq!(jobs.sent(), 30);
}
