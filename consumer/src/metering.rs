//! What is counted of the messages that are handled, through the [`metrics`] facade: nothing, unless whoever runs this
//! has installed a recorder.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use domain::{ParkReason, Timestamp};
use metrics::{Histogram, counter, histogram};

use crate::execute::{Handled, Outcome};
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
        let latency = end_to_end();
        let (now, mut statuses) = (now(), BTreeMap::<_, u64>::new());
        for Handled { message, outcome } in handled {
            *statuses.entry(outcome.name()).or_default() += 1;
            match outcome {
                // A replay was accepted long before it was sent again.
                Outcome::Recorded(_) if message.replayed().is_none() => {
                    since(message, now).into_iter().for_each(|seconds| latency.record(seconds));
                }
                Outcome::Parked(reason, _) => parked(*reason),
                // Its queue has moved it by itself, and nobody has counted that yet.
                Outcome::Archived if !message.attributes.contains_key(attributes::REASON) => {
                    *statuses.entry("parked").or_default() += 1;
                    parked(ParkReason::TriesExhausted);
                }
                _ => {}
            }
        }
        for (status, count) in statuses {
            processed(status, count);
        }
    }
}

/// Counts an event that came to its outcome in the commit that accepted it, and was never received.
pub(crate) fn at_once(outcome: &Outcome, latency: Duration) {
    processed(outcome.name(), 1);
    end_to_end().record(latency);
}

fn processed(status: &'static str, count: u64) {
    counter!("orders_messages_processed_total", "status" => status).increment(count);
}

fn end_to_end() -> Histogram {
    histogram!("orders_end_to_end_seconds")
}

fn parked(reason: ParkReason) {
    counter!("orders_dead_letters_parked_total", "reason" => reason.as_str()).increment(1);
}

fn now() -> Timestamp {
    Timestamp::new(SystemTime::now().into())
}

/// Seconds since the message was sent, if that is known; 0 if the queue's clock is ahead of this one.
fn since(message: &Message, now: Timestamp) -> Option<f64> {
    let micros = now.micros() - message.sent_at?.micros();
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64())
}
