//! Delivers messages to the consumer, and removes messages from the queue once the consumer has handled them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use consumer::Disposition;
use consumer::ports::Message;
use domain::{Ledger, Timestamp};
use tokio::time::{sleep_until, timeout_at};

use super::dead_letters::{DeadLetters, MessageToPark};
use super::queue::index::{Delivery, HeldMessage};
use super::queue::{EmbeddedQueue, parse_handle, result_of_each, stale};
use super::store::Store;
use super::store::records::StoredMessage;
use super::store::stage::Stage;
use super::store::writer::Durability;
use crate::now;

#[cfg(test)]
mod tests;

pub(crate) struct Inbox {
    store: Arc<Store>,
    queue: Arc<EmbeddedQueue>,
    dead_letters: Arc<DeadLetters>,
}

impl Inbox {
    pub(crate) fn new(queue: &Arc<EmbeddedQueue>, dead_letters: &Arc<DeadLetters>) -> Self {
        Self {
            store: Arc::clone(&queue.store),
            queue: Arc::clone(queue),
            dead_letters: Arc::clone(dead_letters),
        }
    }

    pub(crate) async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let deadline = Instant::now() + wait;
        loop {
            let gather_until = self.queue.lock().gather_until();
            if let Some(until) = gather_until {
                sleep_until(until.min(deadline).into()).await;
            }
            let notified = self.queue.arrivals.notified();
            let at = Instant::now();
            let taken = self.queue.lock().take(max, at);
            let done = !taken.deliveries.is_empty() || at >= deadline;
            if taken.more || (done && taken.next_wake.is_some()) {
                // The receiver returns here. So it wakes another receiver, which takes the remaining messages or waits
                // for the next wake.
                self.queue.arrivals.notify_one();
            }
            self.park_exhausted(&taken.exhausted).await;
            if !taken.deliveries.is_empty() {
                return self.deliver(taken.deliveries).await;
            }
            if at >= deadline {
                return Ok(Vec::new());
            }
            let wake = taken.next_wake.map_or(deadline, |wake| wake.min(deadline));
            // Either a wake arrived or the wait has timed out. In both cases, the loop checks for messages again.
            let _ = timeout_at(wake.into(), notified).await;
        }
    }

    /// Parks messages that were received the maximum number of times, each in a separate commit. A message that cannot
    /// be parked stays in flight, like a received message, and does not delay the other messages.
    async fn park_exhausted(&self, exhausted: &[Delivery]) {
        for delivery in exhausted {
            let message = MessageToPark::exhausted(delivery);
            if let Err(error) = self.dead_letters.park_messages(vec![message]).await {
                let seq = delivery.seq;
                tracing::error!(seq, "cannot move a message to the dead letters: {error:#}");
            }
        }
    }

    /// Stores the receive counts of messages, and returns the messages afterwards.
    async fn deliver(&self, deliveries: Vec<Delivery>) -> anyhow::Result<Vec<Message>> {
        let Some(number) = deliveries.first().map(|delivery| delivery.lease) else { return Ok(Vec::new()) };
        let named = |delivery: &Delivery| (Arc::clone(&delivery.group), delivery.seq, delivery.receives);
        let taken: Vec<_> = deliveries.iter().map(named).collect();
        let queue = Arc::clone(&self.queue);
        let job = move |stage: &mut Stage| {
            let keys = &queue.store.keys;
            let writes = queue.lock().count_receives(number, &taken, now());
            if let Some(shared) = writes.shared {
                stage.put(&keys.first_receives, number.to_be_bytes(), shared.encode());
            }
            for (seq, receives) in writes.own {
                stage.put(&keys.receives, seq.to_be_bytes(), receives.encode());
            }
            for delivery in writes.obsolete {
                stage.remove(&keys.first_receives, delivery.to_be_bytes());
            }
            Ok(writes.firsts)
        };
        let firsts = self.store.writer.write(Durability::Written, job).await?;

        let all_held = deliveries.iter().all(|delivery| delivery.held.is_some());
        let store = Arc::clone(&self.store);
        let messages = move || {
            let received = deliveries.into_iter().zip(firsts);
            let readable = received.filter_map(|(delivery, first)| {
                let seq = delivery.seq;
                // A message that cannot be read is not delivered, and becomes visible again later. Until an operator
                // acts, such a message blocks only the other messages of its group.
                let unreadable = |error| tracing::error!(seq, "cannot read a message: {error:#}");
                message(&store, delivery, first).map_err(unreadable).ok()
            });
            Ok(readable.collect())
        };
        if all_held { messages() } else { self.store.read_turns.read(messages).await }
    }

    pub(crate) async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let current = self.queue.current(messages.iter().map(|(message, _)| *message));
        let mut counts = Ledger::default();
        for ((_, disposition), _) in messages.iter().zip(&current).filter(|(_, current)| current.is_ok()) {
            match disposition {
                Disposition::Recorded(_) => counts.recorded += 1,
                Disposition::Rejected(..) => counts.rejected += 1,
                Disposition::Duplicate => counts.duplicate += 1,
                // Messages with these dispositions are not counted here. Parked messages were counted when they were
                // parked, and messages to retry are not finished. The embedded engine archives no messages, and its
                // queue has no webhook jobs.
                Disposition::Archived
                | Disposition::Completed
                | Disposition::Parked(..)
                | Disposition::Retry(_) => {}
            }
        }
        let acked: Vec<_> = current.iter().flatten().cloned().collect();
        let queue = Arc::clone(&self.queue);
        let job = move |stage: &mut Stage| {
            acked.iter().for_each(|(group, seq)| queue.stage_removal(stage, group, *seq));
            let ledger = &mut stage.counters.ledger;
            ledger.recorded += counts.recorded;
            ledger.rejected += counts.rejected;
            ledger.duplicate += counts.duplicate;
            // Before the sync, queries do not show the outcome of the event. So the message stays in the index until
            // the sync, and the event is shown as queued.
            stage.after_sync(move || queue.remove(&acked));
            Ok(())
        };
        let written = self.store.writer.write(Durability::Synced, job).await;
        result_of_each(current, &written)
    }

    pub(crate) fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        let at = Instant::now();
        let release = |(message, delay): &(&Message, Duration)| {
            let (group, seq, lease) = parse_handle(message)?;
            let released = self.queue.lock().release(group, seq, lease, at + *delay);
            if released { Ok(()) } else { Err(stale(message)) }
        };
        let results = messages.iter().map(release).collect();
        self.queue.arrivals.notify_one();
        results
    }
}

/// Returns the delivered message. Reads it from the store unless it is held in memory.
fn message(store: &Store, delivery: Delivery, first: Timestamp) -> anyhow::Result<Message> {
    let message = Message {
        id: store.message_id(delivery.seq),
        handle: format!("{}.{}", delivery.seq, delivery.lease),
        group: Some(delivery.group.to_string()),
        receive_count: delivery.receives,
        first_received_at: Some(first),
        ..Message::default()
    };
    if let Some(held) = delivery.held {
        let HeldMessage { event, body, enqueued_at, attributes } = *held;
        return Ok(Message { sent_at: Some(enqueued_at), event, attributes, body, ..message });
    }
    let row = store.keys.queue.get(delivery.seq.to_be_bytes())?;
    let row = row.context("the store does not contain a message that the queue lists")?;
    let StoredMessage { header, body } = StoredMessage::decode(&row)?;
    Ok(Message { sent_at: header.enqueued_at(), attributes: header.attributes, body, ..message })
}
