//! Handles batches from the dead-letter queue: archives each dead letter, and raises one alert for each batch. The
//! poll loop or the Lambda handler calls this module.
//!
//! A message is acknowledged only after its dead letter is archived and the alert is raised. Until then, the
//! message stays on the queue. Archiving a dead letter again changes nothing, and alerts are delivered at
//! least once.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{DeadLetter, ParkReason, Timestamp};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::alert::{Alert, DeadLetterAlert};
use crate::disposition::Disposition;
use crate::handler::{BatchHandler, HandledMessage};
use crate::ports::{Alerts, Archive, Clock, DEAD_LETTER, Message, REPAIRED, REPLAYS};

/// The names of the message attributes that describe a dead letter. The adapter that parks a message writes
/// these attributes.
pub mod attributes {
    /// Why the message was parked, as a text of [`domain::ParkReason::as_str`].
    pub const REASON: &str = "reason";
    /// What is wrong with the message, and where.
    pub const DETAIL: &str = "detail";
    /// The queue that the original message was on.
    pub const ORIGIN: &str = "origin_queue";
    /// The id of the original message on its queue.
    pub const MESSAGE_ID: &str = "message_id";
    /// How often the original message was received from its queue.
    pub const RECEIVE_COUNT: &str = "receive_count";
    /// When the original message was sent to its queue (RFC 3339).
    pub const SENT_AT: &str = "sent_at";
    /// When the original message was first received from its queue (RFC 3339).
    pub const FIRST_RECEIVED_AT: &str = "first_received_at";
    /// When the message was parked (RFC 3339).
    pub const PARKED_AT: &str = "parked_at";
}

/// Handles batches of dead letters.
#[derive(Clone)]
pub struct DeadLetterRole {
    /// The archive that keeps the dead letters.
    pub archive: Arc<dyn Archive>,
    /// The sink that receives the alerts.
    pub alerts: Arc<dyn Alerts>,
    /// Supplies the parking time of a dead letter whose message does not state it.
    pub clock: Clock,
    /// The origin queue of a dead letter whose message does not name one, because SQS itself moved the message.
    pub origin: String,
}

impl DeadLetterRole {
    /// Archives messages one by one, so that a parked sequence keeps the order of its events. After a failure, the
    /// later messages of the same group are not archived.
    async fn archive(&self, messages: Vec<Message>) -> Vec<HandledMessage> {
        let mut stopped_groups: Vec<String> = Vec::new();
        let (mut handled, mut kept) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            let is_held_back = message.group.as_ref().is_some_and(|group| stopped_groups.contains(group));
            let disposition = if is_held_back {
                Disposition::Retry(
                    "an earlier dead letter of the same group must be archived first".to_owned(),
                )
            } else {
                let letter = dead_letter_of(&message, &self.origin, (self.clock)());
                match self.archive.keep(&letter).await {
                    Ok(()) => {
                        log_archived(&letter);
                        kept.push(letter);
                        Disposition::Archived
                    }
                    Err(error) => {
                        tracing::error!(letter = letter.id, "cannot archive a dead letter: {error:#}");
                        stopped_groups.extend(message.group.clone());
                        Disposition::Retry(format!("{error:#}"))
                    }
                }
            };
            handled.push(HandledMessage { message, disposition, delay: None });
        }
        let count = kept.len();
        if let Some(alert) = DeadLetterAlert::of(&kept)
            && let Err(error) = self.alerts.raise(&Alert::DeadLetters(alert)).await
        {
            tracing::error!(count, "cannot raise an alert; the dead letters stay on their queue: {error:#}");
            let why = format!("the alert was not raised: {error:#}");
            let archived = handled.iter_mut().filter(|handled| handled.disposition == Disposition::Archived);
            archived.for_each(|handled| handled.disposition = Disposition::Retry(why.clone()));
        }
        handled
    }
}

#[async_trait]
impl BatchHandler for DeadLetterRole {
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage> {
        self.archive(messages).await
    }

    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage> {
        let all = messages.clone();
        timeout_at(deadline, self.archive(messages)).await.unwrap_or_else(|_| {
            tracing::warn!("the deadline has passed: the dead letters stay on their queue");
            let retry = |message| HandledMessage {
                message,
                disposition: Disposition::Retry("out of time".to_owned()),
                delay: None,
            };
            all.into_iter().map(retry).collect()
        })
    }

    async fn count(&self, _: &mut [HandledMessage]) {}
}

fn log_archived(letter: &DeadLetter) {
    let (id, reason, detail) = (&letter.id, letter.reason.as_str(), &letter.detail);
    let order_id = letter.order_id.as_ref().map_or("", |id| id.as_str());
    tracing::warn!(letter = id, order_id, reason, detail, "archived");
}

/// Reads a dead letter from a message of the dead-letter queue. Any attribute may be missing. A message without a
/// reason was moved by SQS itself, after the maximum number of receives. Its dead letter gets the id of the message.
pub fn dead_letter_of(message: &Message, origin: &str, now: Timestamp) -> DeadLetter {
    let mut attributes = message.attributes.clone();
    let mut take = |name: &str| attributes.remove(name);
    let reason = take(attributes::REASON).and_then(|reason| ParkReason::from_name(&reason));
    let detail = take(attributes::DETAIL);
    let (origin_queue, message_id) = (take(attributes::ORIGIN), take(attributes::MESSAGE_ID));
    let receive_count = take(attributes::RECEIVE_COUNT).and_then(|count| count.parse().ok());
    let [sent_at, first_received_at, parked_at] =
        [attributes::SENT_AT, attributes::FIRST_RECEIVED_AT, attributes::PARKED_AT]
            .map(|name| take(name).and_then(|time| Timestamp::parse(&time).ok()));
    let (replayed, replays) = (take(DEAD_LETTER), take(REPLAYS));
    // The attribute is removed, because a dead letter keeps its repairs in a separate field.
    take(REPAIRED);
    let id = replayed.or(message_id).unwrap_or_else(|| message.id.clone());
    let moved =
        || "the message failed each time that it was received; the logs of those times contain the errors";
    let parked_at = parked_at.or(message.sent_at).unwrap_or(now);
    let mut letter = DeadLetter::new(
        safe_id(&id, message),
        message.body.clone(),
        reason.unwrap_or(ParkReason::TriesExhausted),
        detail.unwrap_or_else(|| moved().to_owned()),
        parked_at,
    );
    letter.origin = origin_queue.unwrap_or_else(|| origin.to_owned());
    letter.group = message.group.clone();
    letter.receive_count = receive_count.unwrap_or(message.receive_count.saturating_sub(1));
    letter.sent_at = sent_at.or(message.sent_at);
    letter.first_received_at = first_received_at;
    letter.replays = replays.and_then(|count| count.parse().ok()).unwrap_or(0);
    letter.attributes = attributes.into_iter().collect::<BTreeMap<_, _>>();
    letter
}

/// Returns `id` if it can be part of a key and a URL, and otherwise an id derived from `id`. If `id` is empty, the
/// new id is derived from the body. The result is the same each time, so archiving the same message again changes
/// nothing.
fn safe_id(id: &str, message: &Message) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match id {
        "" => Uuid::new_v5(&Uuid::NAMESPACE_OID, &message.body).to_string(),
        id if id.len() <= 100 && id.bytes().all(plain) => id.to_owned(),
        id => Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string(),
    }
}
