//! Writes the rows that are not derived from the log: queue, dead letters, receipts of refused events, subscriptions.
//! After the parent has written the log, it calls the state writer for the rows of each state segment.
//!
//! The rows may be older than the log. In that case the event of a message or a dead letter may already be in the log.
//! Such finished rows are left out. A finished dead letter would hold up later events of its order, and a finished
//! message would be counted twice.

use std::collections::HashSet;

use anyhow::Context;
use consumer::ports::DEAD_LETTER;
use domain::{Currency, DeadLetter, DeadLetterState, Ledger, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::recorded::{is_recorded, record_of};
use super::{MessageList, QueuedMessages};
use crate::backup::row::StateRow;
use crate::embedded::store::commit::Committer;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::NumberedKeyspace;
use crate::embedded::store::records::StoredMessage;
use crate::embedded::store::stage::Stage;

/// The approximate number of bytes in a commit.
const COMMIT_BYTES: usize = 4 << 20;

pub(super) struct StateWriter<'a> {
    committer: &'a mut Committer,
    stage: Stage,
    currency: Currency,
    queue: QueuedMessages,
    list: MessageList<'a>,
    folder_name: &'a str,
    /// Whether the rows are older than the log.
    is_older: bool,
    /// The sequence numbers of the messages that are not put on the queue again.
    left_out: HashSet<u64>,
    /// The sequence numbers of the dead letters that are finished.
    finished: HashSet<u64>,
    pub(super) counts: StateCounts,
}

/// The numbers of rows that the state writer has written and left out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StateCounts {
    pub(super) queued: u64,
    pub(super) listed: u64,
    pub(super) finished_messages: u64,
    /// The number of finished messages whose event is in the log because of another message.
    pub(super) duplicates: u64,
    pub(super) finished_dead_letters: u64,
    /// The number of finished dead letters that were parked.
    pub(super) finished_parked: u64,
    /// The number of dead letters that were being redriven and are parked again, because their messages are not on the
    /// queue.
    pub(super) parked_again: u64,
}

/// A message that is listed, as JSON.
#[derive(Serialize)]
struct ListedMessage<'a> {
    message_id: String,
    group: &'a str,
    enqueued_at: Option<Timestamp>,
    /// The body of the message, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    /// The body of the message as text, if it is not JSON. Bytes that are not UTF-8 are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl<'a> StateWriter<'a> {
    pub(super) fn new(
        committer: &'a mut Committer,
        currency: Currency,
        queue: QueuedMessages,
        folder_name: &'a str,
        is_older: bool,
        list: MessageList<'a>,
    ) -> Self {
        let stage = committer.stage();
        Self {
            committer,
            stage,
            currency,
            queue,
            list,
            folder_name,
            is_older,
            left_out: HashSet::new(),
            finished: HashSet::new(),
            counts: StateCounts::default(),
        }
    }

    /// Writes a row of the keyspace, unless its message, dead letter or event is finished. The keyspaces must come in
    /// the order of [`STATE_KEYSPACES`](crate::backup::STATE_KEYSPACES), because the rows of dead letters determine
    /// which later rows are written.
    pub(super) fn add(&mut self, keyspace: &str, row: StateRow) -> anyhow::Result<()> {
        let StateRow { key, value } = row;
        let keys = self.committer.keys.clone();
        let (keyspace, value) = match keyspace {
            "receipts" => {
                // An event that was parked can be in the restored log, with a receipt that shows the event as recorded.
                let is_outdated = self.is_older && is_recorded(&keys, self.currency, &key)?;
                (&keys.receipts, Some(value).filter(|_| !is_outdated))
            }
            "queue" => (&keys.queue, self.message(&key, value)?),
            "receives" => (&keys.receives, Some(value).filter(|_| self.is_queued(&key))),
            // A row counts receives of several messages. Readers of the row ignore messages that are not queued.
            "first_receives" => (&keys.first_receives, Some(value)),
            "dead_letters" => (&keys.dead_letters, self.dead_letter(&key, value)?),
            "lines" => {
                let seq = keys::parked_seq(&key)?;
                (&keys.parked_sequences, Some(value).filter(|_| !self.finished.contains(&seq)))
            }
            "letter_ids" => {
                let seq = keys::seq_of(&value)?;
                (&keys.dead_letter_ids, Some(value).filter(|_| !self.finished.contains(&seq)))
            }
            "alerts" => {
                let seq = keys::seq_of(&key)?;
                (&keys.alerts, Some(value).filter(|_| !self.finished.contains(&seq)))
            }
            "webhooks" => (&keys.webhooks, Some(value)),
            other => anyhow::bail!("the keyspace {other} is not one of a backup"),
        };
        if let Some(value) = value {
            self.put(keyspace, key, value)?;
        }
        Ok(())
    }

    fn put(&mut self, keyspace: &NumberedKeyspace, key: Vec<u8>, value: Vec<u8>) -> anyhow::Result<()> {
        self.stage.put(keyspace, key, value);
        if self.stage.bytes() >= COMMIT_BYTES {
            let full = std::mem::replace(&mut self.stage, self.committer.stage());
            self.committer.commit_portion(full)?;
        }
        Ok(())
    }

    fn is_queued(&self, key: &[u8]) -> bool {
        self.queue == QueuedMessages::Again
            && keys::seq_of(key).is_ok_and(|seq| !self.left_out.contains(&seq))
    }

    /// Returns the row of a message, or `None` if the message is not put on the queue again.
    fn message(&mut self, key: &[u8], row: Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
        let seq = keys::seq_of(key)?;
        let StoredMessage { header, body } = StoredMessage::decode(&row)?;
        let message_id = format!("{seq}-{}", self.folder_name);
        let replayed = header.attributes.get(DEAD_LETTER);
        if let Some(recorded) = record_of(&self.committer.keys, self.currency, &body)? {
            let carrier = replayed.unwrap_or(&message_id);
            self.counts.duplicates += u64::from(recorded.message.is_some_and(|message| message != *carrier));
            self.counts.finished_messages += 1;
            self.left_out.insert(seq);
            return Ok(None);
        }
        if self.queue == QueuedMessages::Again {
            self.counts.queued += 1;
            return Ok(Some(row));
        }
        // A message that redrives a dead letter is not listed, because the dead letter is parked again.
        if replayed.is_none() {
            let json = serde_json::from_slice::<&RawValue>(&body).ok();
            let listed = ListedMessage {
                message_id,
                group: &header.group,
                enqueued_at: header.enqueued_at(),
                body: json,
                text: json.is_none().then(|| String::from_utf8_lossy(&body).into_owned()),
            };
            // A body may be JSON on several lines, but a listed message must be a single line.
            let line = serde_json::to_value(&listed)?.to_string();
            (self.list)(line.as_bytes()).context("cannot list the queued messages")?;
            self.counts.listed += 1;
        }
        Ok(None)
    }

    /// Returns the row of a dead letter, or `None` if the dead letter is finished.
    fn dead_letter(&mut self, key: &[u8], row: Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
        let letter: DeadLetter = serde_json::from_slice(&row).context("a dead letter")?;
        if letter.state == DeadLetterState::Discarded {
            return Ok(Some(row));
        }
        // If an event was sent twice, it can be both in the log and parked in the backed-up folder. Such a dead letter
        // is restored, unless it comes from an earlier moment than the log.
        let may_be_finished = self.is_older || letter.state == DeadLetterState::Replaying;
        if may_be_finished && record_of(&self.committer.keys, self.currency, &letter.body.0)?.is_some() {
            self.counts.finished_dead_letters += 1;
            self.counts.finished_parked += u64::from(letter.state == DeadLetterState::Parked);
            self.finished.insert(keys::seq_of(key)?);
            return Ok(None);
        }
        if self.queue == QueuedMessages::List && letter.state == DeadLetterState::Replaying {
            self.counts.parked_again += 1;
            let letter = DeadLetter { state: DeadLetterState::Parked, ..letter };
            return Ok(Some(serde_json::to_vec(&letter)?));
        }
        Ok(Some(row))
    }

    pub(super) fn finish(self) -> anyhow::Result<StateCounts> {
        self.committer.commit(self.stage)?;
        Ok(self.counts)
    }
}

impl StateCounts {
    /// Computes the ledger of the restored folder from the ledger of the increment and the number of events in the log.
    pub(super) fn ledger(&self, before: Ledger, events: u64) -> Ledger {
        let mut ledger = Ledger {
            recorded: events,
            duplicate: before.duplicate + self.duplicates,
            parked: (before.parked + self.parked_again).saturating_sub(self.finished_parked),
            ..before
        };
        ledger.accepted = ledger.settled() + self.queued;
        ledger
    }
}
