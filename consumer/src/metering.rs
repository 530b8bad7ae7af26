//! What is counted of the messages that are handled, through the [`metrics`] facade: nothing, unless whoever runs this
//! has installed a recorder.

use std::time::{Duration, Instant, SystemTime};

use domain::{ParkReason, Timestamp};
use metrics::{counter, histogram};

use crate::batch::{Handled, Outcome};
use crate::dead_letters::attributes;
use crate::ports::Message;

/// A batch that is being handled.
pub(crate) struct Batch {
    started: Instant,
}

impl Batch {
    /// Counts what came.
    pub(crate) fn received(messages: &[Message]) -> Self {
        histogram!("orders_batch_size").record(messages.len() as f64);
        let again = messages.iter().filter(|message| message.receive_count > 1).count();
        if again > 0 {
            counter!("orders_messages_redelivered_total").increment(again as u64);
        }
        let ages = histogram!("orders_queue_age_seconds");
        let now = now();
        messages.iter().filter_map(|message| since(message, now)).for_each(|age| ages.record(age));
        Self { started: Instant::now() }
    }

    /// Counts what became of it.
    pub(crate) fn handled(self, handled: &[Handled]) {
        histogram!("orders_processing_duration_seconds").record(self.started.elapsed());
        for (status, is_it) in STATUSES {
            let count = handled.iter().filter(|handled| is_it(handled)).count();
            if count > 0 {
                counter!("orders_messages_processed_total", "status" => status).increment(count as u64);
            }
        }
        let latency = histogram!("orders_end_to_end_seconds");
        let now = now();
        for each in handled {
            match &each.outcome {
                // A replay was accepted long before it was sent again.
                Outcome::Recorded(_) if each.message.replayed().is_none() => {
                    since(&each.message, now).into_iter().for_each(|seconds| latency.record(seconds));
                }
                Outcome::Parked(reason, _) => parked(reason.as_str()),
                Outcome::Archived if was_moved(each) => parked(ParkReason::TriesExhausted.as_str()),
                _ => {}
            }
        }
    }
}

fn parked(reason: &'static str) {
    counter!("orders_dead_letters_parked_total", "reason" => reason).increment(1);
}

/// Whether it is a dead letter that its queue has moved by itself, which nobody has counted yet.
fn was_moved(Handled { message, outcome }: &Handled) -> bool {
    matches!(outcome, Outcome::Archived) && !message.attributes.contains_key(attributes::REASON)
}

type Is = fn(&Handled) -> bool;

/// What becomes of messages, as the label says it.
const STATUSES: [(&str, Is); 6] = [
    ("recorded", |handled| matches!(handled.outcome, Outcome::Recorded(_))),
    ("rejected", |handled| matches!(handled.outcome, Outcome::Rejected(..))),
    ("duplicate", |handled| matches!(handled.outcome, Outcome::Duplicate)),
    ("parked", |handled| matches!(handled.outcome, Outcome::Parked(..)) || was_moved(handled)),
    ("archived", |handled| matches!(handled.outcome, Outcome::Archived)),
    ("retried", |handled| matches!(handled.outcome, Outcome::Retry(_))),
];

fn now() -> Timestamp {
    Timestamp::new(SystemTime::now().into())
}

/// Seconds since the message was sent, if that is known; 0 if the queue's clock is ahead of this one.
fn since(message: &Message, now: Timestamp) -> Option<f64> {
    let micros = now.micros() - message.sent_at?.micros();
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64())
}
