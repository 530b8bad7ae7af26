//! Takes messages off the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{Inbox, Message};
use domain::{Receipt, Timestamp};
use tokio::time::{sleep_until, timeout_at};

use crate::embedded::Embedded;
use crate::embedded::dead_letters::Burial;
use crate::embedded::queue::index::{Delivery, Held, Uncounted};
use crate::embedded::store::keys::{self, StoredMessage, StoredReceipt};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::now;

impl Embedded {
    /// Stores the receive counts, then gives the messages: from memory, or else from the store.
    async fn deliver(&self, deliveries: Vec<Delivery>) -> anyhow::Result<Vec<Message>> {
        let Some(number) = deliveries.first().map(|delivery| delivery.lease) else { return Ok(Vec::new()) };
        let named = |delivery: &Delivery| (Arc::clone(&delivery.group), delivery.seq, delivery.receives);
        let taken: Vec<_> = deliveries.iter().map(named).collect();
        let (keys, queue) = (self.0.keys.clone(), Arc::clone(&self.0.queue));
        let job = move |stage: &mut Stage| {
            let counting = queue.lock().count(number, &taken, now());
            if let Some(together) = counting.together {
                stage.put(&keys.first_receives, number.to_be_bytes(), together.encode());
            }
            for (seq, receives) in counting.alone {
                stage.put(&keys.receives, seq.to_be_bytes(), receives.encode());
            }
            for delivery in counting.spent {
                stage.remove(&keys.first_receives, delivery.to_be_bytes());
            }
            Ok(counting.firsts)
        };
        let firsts = self.0.writer.write(Durability::Written, job).await?;

        let all_held = deliveries.iter().all(|delivery| delivery.held.is_some());
        let messages = move |engine: &Self| {
            let received = deliveries.into_iter().zip(firsts);
            let readable = received.filter_map(|(delivery, first)| {
                let seq = delivery.seq;
                // It comes again, and holds its group until somebody looks; no other waits for it.
                let unreadable = |error| tracing::error!(seq, "cannot read a message: {error:#}");
                engine.message(delivery, first).map_err(unreadable).ok()
            });
            Ok(readable.collect())
        };
        if all_held { messages(self) } else { self.read(messages).await }
    }

    fn message(&self, delivery: Delivery, first: Timestamp) -> anyhow::Result<Message> {
        let message = Message {
            id: self.message_id(delivery.seq),
            handle: format!("{}.{}", delivery.seq, delivery.lease),
            group: Some(delivery.group.to_string()),
            receive_count: delivery.receives,
            first_received_at: Some(first),
            ..Message::default()
        };
        if let Some(held) = delivery.held {
            let Held { event, body, enqueued_at, attributes } = *held;
            return Ok(Message { sent_at: Some(enqueued_at), event, attributes, body, ..message });
        }
        let row = self.0.keys.queue.get(delivery.seq.to_be_bytes())?;
        let row = row.context("a message in the index is not in the store")?;
        let StoredMessage { header, body } = StoredMessage::decode(&row)?;
        Ok(Message { sent_at: header.enqueued_at(), attributes: header.attributes, body, ..message })
    }

    /// Moves what was received as often as allowed to the dead letters, each by itself: one that cannot be moved stays in
    /// flight, as if it had been received, and holds up no other.
    async fn bury_exhausted(&self, exhausted: &[Delivery]) {
        for delivery in exhausted {
            if let Err(error) = self.bury(vec![Burial::of_exhausted(delivery)]).await {
                let seq = delivery.seq;
                tracing::error!(seq, "cannot move a message to the dead letters: {error:#}");
            }
        }
    }

    pub(crate) fn stage_removal(&self, stage: &mut Stage, group: &str, seq: u64) {
        let keys = &self.0.keys;
        stage.remove(&keys.queue, seq.to_be_bytes());
        stage.queued -= 1;
        match self.0.queue.lock().uncount(group, seq) {
            Uncounted::Nothing => {}
            Uncounted::Alone => stage.remove(&keys.receives, seq.to_be_bytes()),
            Uncounted::Last(delivery) => stage.remove(&keys.first_receives, delivery.to_be_bytes()),
        }
    }

    /// Takes messages out of the index, which may make the next of their groups visible.
    pub(crate) fn forget(&self, messages: &[(String, u64)]) {
        let mut index = self.0.queue.lock();
        messages.iter().for_each(|(group, seq)| index.remove(group, *seq));
        drop(index);
        self.0.queue.bell.notify_one();
    }

    /// The group and number of each message of which this delivery is the latest.
    pub(crate) fn current<'a>(
        &self,
        messages: impl Iterator<Item = &'a Message>,
    ) -> Vec<anyhow::Result<(String, u64)>> {
        let index = self.0.queue.lock();
        let current = |message: &Message| {
            let (group, seq, lease) = parse_handle(message)?;
            let is_current = index.is_current(group, seq, lease);
            if is_current { Ok((group.to_owned(), seq)) } else { Err(stale(message)) }
        };
        messages.map(current).collect()
    }
}

#[async_trait]
impl Inbox for Embedded {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let deadline = Instant::now() + wait;
        loop {
            let gathers_until = self.0.queue.lock().gathers_until();
            if let Some(until) = gathers_until {
                sleep_until(until.min(deadline).into()).await;
            }
            let rung = self.0.queue.bell.notified();
            let at = Instant::now();
            let taken = self.0.queue.lock().take(max, at);
            let done = !taken.deliveries.is_empty() || at >= deadline;
            if taken.more || (done && taken.next_wake.is_some()) {
                // This receiver leaves: another one takes the rest, and minds the next wake.
                self.0.queue.bell.notify_one();
            }
            self.bury_exhausted(&taken.exhausted).await;
            if !taken.deliveries.is_empty() {
                return self.deliver(taken.deliveries).await;
            }
            if at >= deadline {
                return Ok(Vec::new());
            }
            let wake = taken.next_wake.map_or(deadline, |wake| wake.min(deadline));
            // Either way there is a reason to look again.
            let _ = timeout_at(wake.into(), rung).await;
        }
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let current = self.current(messages.iter().map(|(message, _)| *message));
        let ends = messages.iter().zip(&current).filter(|(_, current)| current.is_ok());
        let ends: Vec<Disposition> = ends.map(|((_, end), _)| (*end).clone()).collect();
        let acked: Vec<_> = current.iter().flatten().cloned().collect();
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            acked.iter().for_each(|(group, seq)| engine.stage_removal(stage, group, *seq));
            for end in ends {
                let ledger = &mut stage.books.ledger;
                match end {
                    Disposition::Recorded(_) => ledger.recorded += 1,
                    Disposition::Rejected(..) => ledger.rejected += 1,
                    Disposition::Duplicate => ledger.duplicate += 1,
                    // There is no queue of dead letters here.
                    Disposition::Archived | Disposition::Parked(..) | Disposition::Retry(_) => {}
                }
            }
            let engine = Arc::downgrade(&engine.0);
            // Until then its outcome is not shown, and the event is still waiting to whoever looks.
            stage.after_sync(move || {
                if let Some(engine) = engine.upgrade().map(Self) {
                    engine.forget(&acked);
                }
            });
            Ok(())
        };
        let written = self.0.writer.write(Durability::Synced, job).await;
        each(current, &written)
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        let at = Instant::now();
        let release = |(message, delay): &(&Message, Duration)| {
            let (group, seq, lease) = parse_handle(message)?;
            let released = self.0.queue.lock().release(group, seq, lease, at + *delay);
            if released { Ok(()) } else { Err(stale(message)) }
        };
        let results = messages.iter().map(release).collect();
        self.0.queue.bell.notify_one();
        results
    }
}

fn stale(message: &Message) -> anyhow::Error {
    anyhow!("message {} was handled meanwhile, or received again: this delivery is stale", message.id)
}

fn parse_handle(message: &Message) -> anyhow::Result<(&str, u64, u64)> {
    let parts = || {
        let (seq, lease) = message.handle.split_once('.')?;
        Some((message.group.as_deref()?, seq.parse().ok()?, lease.parse().ok()?))
    };
    parts().with_context(|| format!("{:?} is not a handle of this queue", message.handle))
}

/// The result of each message: its own error, or else that of the write they share.
pub(crate) fn each<T>(
    current: Vec<anyhow::Result<T>>,
    written: &anyhow::Result<()>,
) -> Vec<anyhow::Result<()>> {
    let result = |current: anyhow::Result<T>| match (current, written) {
        (Ok(_), Ok(())) => Ok(()),
        (Ok(_), Err(error)) => Err(anyhow!("{error:#}")),
        (Err(error), _) => Err(error),
    };
    current.into_iter().map(result).collect()
}

/// The row of a receipt that has an outcome.
pub(crate) fn receipt_row(receipt: &Receipt) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let outcome = receipt.outcome.clone().context("a receipt without an outcome is not stored")?;
    let request_hash = receipt.request_hash.clone();
    let message = receipt.message.clone();
    let row = StoredReceipt { event_type: receipt.event_type, outcome, request_hash, message };
    Ok((keys::receipt_key(&receipt.order_id, receipt.event_id), serde_json::to_vec(&row)?))
}

#[cfg(test)]
mod tests;
