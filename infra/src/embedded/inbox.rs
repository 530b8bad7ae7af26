//! Takes messages off the queue, and puts those aside that cannot be processed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use consumer::ports::{DeadLetters, Inbox, Message, Parking};
use domain::{Envelope, EventId, OrderId, Outcome, ParkReason, Receipt, envelope};
use tokio::time::timeout_at;

use super::Embedded;
use super::keys::{self, DeadLetterHeader, StoredMessage, StoredReceipt, WithBody};
use super::queue::Delivery;
use super::writer::{Durability, Stage};
use crate::now;

/// A message in the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: String,
    /// The order it is about, where that can be told.
    pub order_id: Option<OrderId>,
    /// Why it is there.
    pub reason: ParkReason,
    /// What was wrong, in a sentence.
    pub detail: String,
    /// How often it was received.
    pub receive_count: u32,
    /// The bytes that were sent.
    pub body: Vec<u8>,
}

/// A delivery to move to the dead letters.
struct Burial {
    group: String,
    seq: u64,
    receive_count: u32,
    reason: ParkReason,
    detail: String,
}

impl Embedded {
    /// Every message in the dead letters: those of an order together, in order.
    pub async fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let engine = self.clone();
        let read =
            move || engine.0.keys.dead_letters.iter().map(|row| dead_letter(row.into_inner()?)).collect();
        tokio::task::spawn_blocking(read).await?
    }

    /// Stores the receive counts, then reads the bodies.
    async fn deliver(&self, deliveries: Vec<Delivery>) -> anyhow::Result<Vec<Message>> {
        let receives = self.0.keys.receives.clone();
        let counts: Vec<_> = deliveries
            .iter()
            .map(|delivery| (delivery.seq.to_be_bytes(), delivery.receives.to_be_bytes()))
            .collect();
        let job = move |stage: &mut Stage| {
            counts.iter().for_each(|(seq, count)| stage.put(&receives, seq.to_vec(), count.to_vec()));
            Ok(())
        };
        self.0.writer.write(Durability::Written, job).await?;

        let queue = self.0.keys.queue.clone();
        let read = move || deliveries.iter().map(|delivery| message(&queue, delivery)).collect();
        tokio::task::spawn_blocking(read).await?
    }

    /// Moves messages to the dead letters and stores what their receipts tell from then on.
    async fn bury(&self, burials: Vec<Burial>) -> anyhow::Result<()> {
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            let rows: Vec<_> =
                burials.iter().map(|burial| engine.letter(burial)).collect::<Result<_, _>>()?;
            for (burial, (key, row, receipt)) in burials.iter().zip(rows) {
                stage.put(&engine.0.keys.dead_letters, key, row);
                if let Some((key, receipt)) = receipt {
                    stage.put(&engine.0.keys.receipts, key, receipt);
                }
                engine.stage_removal(stage, burial.seq);
            }
            let buried: Vec<_> = burials.into_iter().map(|burial| (burial.group, burial.seq)).collect();
            let engine = Arc::downgrade(&engine.0);
            stage.after_commit(move || {
                let Some(engine) = engine.upgrade().map(Self) else { return };
                engine.0.dead_letter_count.fetch_add(buried.len() as u64, Ordering::Relaxed);
                engine.forget(&buried);
            });
            Ok(())
        };
        self.0.writer.write(Durability::Synced, job).await?;
        self.0.waiters.wake_all();
        Ok(())
    }

    /// The rows for a dead letter: its key, itself, and the receipt of the event in it, if that can be told.
    #[expect(clippy::type_complexity, reason = "two rows, used once, right above")]
    fn letter(&self, burial: &Burial) -> anyhow::Result<(Vec<u8>, Vec<u8>, Option<(Vec<u8>, Vec<u8>)>)> {
        let row = self.0.keys.queue.get(burial.seq.to_be_bytes())?.context("the message is gone")?;
        let StoredMessage { header, body } = StoredMessage::decode(&row)?;
        let letter = DeadLetterHeader {
            id: burial.seq.to_string(),
            group: header.group,
            reason: burial.reason,
            detail: burial.detail.clone(),
            receive_count: burial.receive_count,
            enqueued_at: header.enqueued_at,
            parked_at: now(),
        };
        let order_id = envelope::identify(&body).0;
        let outcome = Outcome::Parked { reason: burial.reason, detail: burial.detail.clone() };
        let receipt = match Envelope::decode(&body, self.0.options.default_currency) {
            Ok(envelope) => Some(receipt_row(&Receipt::of(&envelope, Some(outcome)))?),
            Err(_) => None,
        };
        let key = keys::dead_letter_key(order_id.as_ref(), burial.seq);
        Ok((key, WithBody::encode(&letter, &body)?, receipt))
    }

    fn stage_removal(&self, stage: &mut Stage, seq: u64) {
        stage.remove(&self.0.keys.queue, seq.to_be_bytes().to_vec());
        stage.remove(&self.0.keys.receives, seq.to_be_bytes().to_vec());
    }

    /// Takes messages out of the index, which may make the next of their groups visible.
    fn forget(&self, messages: &[(String, u64)]) {
        let mut index = self.0.queue.lock();
        messages.iter().for_each(|(group, seq)| index.remove(group, *seq));
        drop(index);
        self.0.queue.bell.notify_one();
    }

    /// The message's group and number, if this delivery of it is the latest.
    fn current(&self, message: &Message) -> anyhow::Result<(String, u64)> {
        let (group, seq, lease) = parse_handle(message)?;
        if self.0.queue.lock().is_current(group, seq, lease) {
            Ok((group.to_owned(), seq))
        } else {
            Err(stale(message))
        }
    }
}

#[async_trait]
impl Inbox for Embedded {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let deadline = Instant::now() + wait;
        loop {
            let rung = self.0.queue.bell.notified();
            let at = Instant::now();
            let taken = self.0.queue.lock().take(max, at);
            let done = !taken.deliveries.is_empty() || at >= deadline;
            if taken.more || (done && taken.next_wake.is_some()) {
                // This receiver leaves: another one takes the rest, and minds the next wake.
                self.0.queue.bell.notify_one();
            }
            if !taken.exhausted.is_empty() {
                self.bury(taken.exhausted.iter().map(exhausted).collect()).await?;
            }
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

    async fn ack(&self, messages: &[&Message]) -> Vec<anyhow::Result<()>> {
        let current: Vec<_> = messages.iter().map(|message| self.current(message)).collect();
        let acked: Vec<_> = current.iter().flatten().cloned().collect();
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            acked.iter().for_each(|(_, seq)| engine.stage_removal(stage, *seq));
            let engine = Arc::downgrade(&engine.0);
            stage.after_commit(move || {
                if let Some(engine) = engine.upgrade().map(Self) {
                    engine.forget(&acked);
                }
            });
            Ok(())
        };
        let written = self.0.writer.write(Durability::Written, job).await;
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

#[async_trait]
impl DeadLetters for Embedded {
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>> {
        let current: Vec<_> = messages.iter().map(|parking| self.current(parking.message)).collect();
        let burials = messages.iter().zip(&current).filter_map(|(parking, current)| {
            let (group, seq) = current.as_ref().ok()?;
            Some(Burial {
                group: group.clone(),
                seq: *seq,
                receive_count: parking.message.receive_count,
                reason: parking.reason,
                detail: parking.detail.clone(),
            })
        });
        let written = self.bury(burials.collect()).await;
        each(current, &written)
    }
}

fn exhausted(delivery: &Delivery) -> Burial {
    let detail = format!("received {} times without success", delivery.receives);
    Burial {
        group: delivery.group.to_string(),
        seq: delivery.seq,
        receive_count: delivery.receives,
        reason: ParkReason::TriesExhausted,
        detail,
    }
}

fn message(queue: &fjall::Keyspace, delivery: &Delivery) -> anyhow::Result<Message> {
    let row = queue.get(delivery.seq.to_be_bytes())?.context("a message in the index is not in the store")?;
    Ok(Message {
        id: delivery.seq.to_string(),
        handle: format!("{}.{}", delivery.seq, delivery.lease),
        group: Some(delivery.group.to_string()),
        receive_count: delivery.receives,
        body: StoredMessage::decode(&row)?.body,
    })
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
fn each<T>(current: Vec<anyhow::Result<T>>, written: &anyhow::Result<()>) -> Vec<anyhow::Result<()>> {
    let result = |current: anyhow::Result<T>| match (current, written) {
        (Ok(_), Ok(())) => Ok(()),
        (Ok(_), Err(error)) => Err(anyhow!("{error:#}")),
        (Err(error), _) => Err(error),
    };
    current.into_iter().map(result).collect()
}

fn dead_letter((key, value): fjall::KvPair) -> anyhow::Result<DeadLetter> {
    let WithBody { header, body } = WithBody::<DeadLetterHeader>::decode(&value)?;
    let zero = key.iter().position(|byte| *byte == 0).unwrap_or(0);
    Ok(DeadLetter {
        id: header.id,
        order_id: OrderId::parse(std::str::from_utf8(&key[..zero])?).ok(),
        reason: header.reason,
        detail: header.detail,
        receive_count: header.receive_count,
        body,
    })
}

/// The row of a receipt that has an outcome.
pub(super) fn receipt_row(receipt: &Receipt) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let outcome = receipt.outcome.clone().context("a receipt without an outcome is not stored")?;
    let request_hash = receipt.request_hash.clone();
    let row = StoredReceipt { event_type: receipt.event_type, outcome, request_hash };
    Ok((keys::receipt_key(&receipt.order_id, receipt.event_id), serde_json::to_vec(&row)?))
}

/// The stored type and outcome of an event.
pub(super) fn stored_receipt(
    receipts: &fjall::Keyspace,
    order_id: &OrderId,
    event_id: EventId,
) -> anyhow::Result<Option<StoredReceipt>> {
    let row = receipts.get(keys::receipt_key(order_id, event_id))?;
    row.map(|row| serde_json::from_slice(&row).context("a stored receipt")).transpose()
}
