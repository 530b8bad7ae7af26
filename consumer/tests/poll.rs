//! Tests how the poll loop counts a batch that the queue fails to delete.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod support;

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::Consumer;
use consumer::Disposition;
use consumer::poll::{self, PollOptions};
use consumer::ports::{Inbox, Message};
use support::{CountingStore, Fake, consumer, messages};
use tokio::sync::watch;

/// A queue whose first attempts to delete messages fail. The queue delivers its messages until it is empty.
struct StickyQueue {
    messages: Mutex<Vec<Message>>,
    refusals: Mutex<usize>,
    /// A channel that becomes true when the queue is empty.
    empty: watch::Sender<bool>,
}

#[async_trait]
impl Inbox for StickyQueue {
    async fn receive(&self, _: usize, _: Duration) -> anyhow::Result<Vec<Message>> {
        let batch = {
            let mut messages = self.messages.lock().unwrap();
            messages.iter_mut().for_each(|message| message.receive_count += 1);
            messages.clone()
        };
        if batch.is_empty() { pending().await } else { Ok(batch) }
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return messages.iter().map(|_| Err(anyhow::anyhow!("no connection"))).collect();
        }
        let mut left = self.messages.lock().unwrap();
        left.retain(|message| messages.iter().all(|(acked, _)| acked.id != message.id));
        if left.is_empty() {
            self.empty.send_replace(true);
        }
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        messages.iter().map(|_| Ok(())).collect()
    }
}

#[tokio::test]
async fn messages_are_counted_before_they_are_acknowledged() {
    let mut sent = messages(&["created@a", "shipped@a", "created@b", "confirmed@b"]);
    // The message has a new id, but contains the same event as an earlier message.
    sent.push(Message { id: "again".to_owned(), ..sent[3].clone() });
    sent.iter_mut().for_each(|message| message.receive_count = 0);
    let (empty, mut emptied) = watch::channel(false);
    let inbox = Arc::new(StickyQueue { messages: Mutex::new(sent), refusals: Mutex::new(2), empty });
    let (fake, counted) =
        (Arc::<Fake>::default(), CountingStore { failures: Mutex::new(2), ..CountingStore::default() });
    let counted = Arc::new(counted);
    let consumer = Consumer { ledger: Some(counted.clone()), ..consumer(&fake) };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::ZERO };
    let polling = tokio::spawn(poll::run(inbox, Arc::new(consumer), options, stopped));
    tokio::time::timeout(Duration::from_secs(30), emptied.wait_for(|empty| *empty)).await.unwrap().unwrap();
    stop.send_replace(true);
    polling.await.unwrap();

    let expected = [
        ("again", "Duplicate"),
        ("confirmed@b", "Recorded"),
        ("created@a", "Recorded"),
        ("created@b", "Recorded"),
        ("shipped@a", "Rejected"),
    ];
    let found = counted.counted.lock().unwrap().clone();
    assert!(found.iter().map(|(id, outcome)| (id.as_str(), outcome.as_str())).eq(expected), "{found:?}");
}
