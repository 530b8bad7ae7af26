//! The role that looks after the queue of dead letters: archives each, and raises one alert for a batch.
//!
//! A letter is acked only when it is in the archive and the alert is out. Until then it stays on its queue, and when it
//! comes again the archive keeps it once all the same. So an alert may come twice, and never not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{DeadLetter, ParkReason, Timestamp};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::alert::Alert;
use crate::execute::{Handled, Handler, Outcome};
use crate::ports::{Alerts, Archive, Clock, DEAD_LETTER, Message, REPAIRED, REPLAYS};

/// Names of the attributes that tell of a letter's past. Who parks a message writes them, and here they are read.
pub mod attributes {
    /// Why, as [`domain::ParkReason::as_str`] writes it.
    pub const REASON: &str = "reason";
    /// What was wrong and where.
    pub const DETAIL: &str = "detail";
    /// The queue that the message was on.
    pub const ORIGIN: &str = "origin_queue";
    /// The id that it had there.
    pub const MESSAGE_ID: &str = "message_id";
    /// How often it was received there.
    pub const RECEIVE_COUNT: &str = "receive_count";
    /// When it was sent there, RFC 3339.
    pub const SENT_AT: &str = "sent_at";
    /// When it was first received there, RFC 3339.
    pub const FIRST_RECEIVED_AT: &str = "first_received_at";
    /// When it was parked, RFC 3339.
    pub const PARKED_AT: &str = "parked_at";
}

/// Handles batches of dead letters.
#[derive(Clone)]
pub struct DeadLetterRole {
    /// Where they are kept.
    pub archive: Arc<dyn Archive>,
    /// Who is told.
    pub alerts: Arc<dyn Alerts>,
    /// The time, for letters that do not tell theirs.
    pub clock: Clock,
    /// The queue that letters come from which do not say so: SQS moved them by itself.
    pub origin: String,
}

impl DeadLetterRole {
    /// Archives one after the other, as they came: the order of letters is that of their order's events. What fails
    /// stops its group.
    async fn archive(&self, messages: Vec<Message>) -> Vec<Handled> {
        let mut stopped: Vec<String> = Vec::new();
        let (mut handled, mut kept) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            let waits = message.group.as_ref().is_some_and(|group| stopped.contains(group));
            let outcome = if waits {
                Outcome::Retry("an earlier letter of its group has to be archived first".to_owned())
            } else {
                let letter = letter_of(&message, &self.origin, (self.clock)());
                match self.archive.keep(&letter).await {
                    Ok(()) => {
                        tell(&letter);
                        kept.push(letter);
                        Outcome::Archived
                    }
                    Err(error) => {
                        tracing::error!(letter = letter.id, "cannot archive a dead letter: {error:#}");
                        stopped.extend(message.group.clone());
                        Outcome::Retry(format!("{error:#}"))
                    }
                }
            };
            handled.push(Handled { message, outcome });
        }
        if let Some(alert) = Alert::of(&kept)
            && let Err(error) = self.alerts.raise(&alert).await
        {
            tracing::error!(count = alert.count, "cannot raise an alert, and the letters stay: {error:#}");
            let why = format!("the alert is not out: {error:#}");
            let archived = handled.iter_mut().filter(|handled| handled.outcome == Outcome::Archived);
            archived.for_each(|handled| handled.outcome = Outcome::Retry(why.clone()));
        }
        handled
    }
}

#[async_trait]
impl Handler for DeadLetterRole {
    async fn handle(&self, messages: Vec<Message>) -> Vec<Handled> {
        self.archive(messages).await
    }

    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<Handled> {
        let all = messages.clone();
        timeout_at(deadline, self.archive(messages)).await.unwrap_or_else(|_| {
            tracing::warn!("out of time: the letters stay on their queue");
            let late = |message| Handled { message, outcome: Outcome::Retry("out of time".to_owned()) };
            all.into_iter().map(late).collect()
        })
    }

    async fn count(&self, _: &[Handled]) {}
}

fn tell(letter: &DeadLetter) {
    let (id, reason, detail) = (&letter.id, letter.reason.as_str(), &letter.detail);
    let order_id = letter.order_id.as_ref().map_or("", |id| id.as_str());
    tracing::warn!(letter = id, order_id, reason, detail, "archived");
}

/// The letter in a message from the queue of dead letters, whatever is missing from it. Without a reason it was SQS that
/// moved it, after as many tries as the queue allows; then it still has its own id.
pub fn letter_of(message: &Message, origin: &str, now: Timestamp) -> DeadLetter {
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
    // The letter itself has it.
    take(REPAIRED);
    let id = replayed.or(message_id).unwrap_or_else(|| message.id.clone());
    let moved = || "received as often as the queue allows, without success; the logs of that time tell more";
    let parked_at = parked_at.or(message.sent_at).unwrap_or(now);
    let mut letter = DeadLetter::new(
        name_of(&id, message),
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

/// The name as it is, if it can be a part of a key and of a URL; or else one made of it, the same each time. A message
/// without a name gets one of its bytes: so it is still kept once.
fn name_of(id: &str, message: &Message) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match id {
        "" => Uuid::new_v5(&Uuid::NAMESPACE_OID, &message.body).to_string(),
        id if id.len() <= 100 && id.bytes().all(plain) => id.to_owned(),
        id => Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string(),
    }
}
