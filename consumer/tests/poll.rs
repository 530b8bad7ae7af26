//! The poll loop: what counts of a batch that the queue does not let go.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use consumer::ports::{Counts, End, Inbox, Message};
use support::{Counted, Fake, consumer, messages};
use tokio::sync::watch;

/// A queue that cannot delete its messages the first times. It delivers what it has until it is empty.
struct Sticky {
    messages: Mutex<Vec<Message>>,
    refusals: Mutex<usize>,
    /// Becomes true when the queue is empty.
    empty: watch::Sender<bool>,
}

#[async_trait]
impl Inbox for Sticky {
    async fn receive(&self, _: usize, _: Duration) -> anyhow::Result<Vec<Message>> {
        let batch = {
            let mut messages = self.messages.lock().unwrap();
            messages.iter_mut().for_each(|message| message.receive_count += 1);
            messages.clone()
        };
        if batch.is_empty() { pending().await } else { Ok(batch) }
    }

    async fn ack(&self, messages: &[(&Message, End)]) -> Vec<anyhow::Result<()>> {
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
async fn what_cannot_be_acked_counts_when_it_is() {
    let mut sent = messages(&["created@a", "shipped@a", "created@b", "confirmed@b"]);
    // The same event in another message.
    sent.push(Message { id: "again".to_owned(), ..sent[3].clone() });
    sent.iter_mut().for_each(|message| message.receive_count = 0);
    let (empty, mut emptied) = watch::channel(false);
    let inbox = Arc::new(Sticky { messages: Mutex::new(sent), refusals: Mutex::new(2), empty });
    let (fake, counted) = (Arc::<Fake>::default(), Arc::<Counted>::default());
    let consumer = Consumer { tally: Some(counted.clone()), ..consumer(&fake) };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::ZERO };
    let polling = tokio::spawn(poll::run(inbox, Arc::new(consumer), options, stopped));
    tokio::time::timeout(Duration::from_secs(30), emptied.wait_for(|empty| *empty)).await.unwrap().unwrap();
    stop.send_replace(true);
    polling.await.unwrap();

    let expected = Counts { received: 5, recorded: 3, rejected: 1, duplicate: 1, parked: 0 };
    assert_eq!(*counted.0.lock().unwrap(), expected, "each once, though each was received three times");
}
