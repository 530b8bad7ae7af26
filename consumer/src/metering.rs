//! Metrics of handled messages, through the [`metrics`] facade. The poll loop and the Lambda handler report each
//! batch to this module, and `inline` reports each event. Nothing is recorded unless the program installs a recorder.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use domain::{ParkReason, Timestamp};
use metrics::{Histogram, counter, histogram};

use crate::dead_letters::attributes;
use crate::disposition::Disposition;
use crate::handler::HandledMessage;
use crate::ports::Message;

/// Measures one batch, from when it is received until all of its messages are handled.
pub(crate) struct BatchMetrics {
    started: Instant,
}

impl BatchMetrics {
    /// Records the messages of a batch that was just received.
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

    /// Records the dispositions of the batch.
    pub(crate) fn handled(self, handled: &[HandledMessage]) {
        histogram!("orders_processing_duration_seconds").record(self.started.elapsed());
        let latency = end_to_end();
        let (now, mut statuses) = (now(), BTreeMap::<_, u64>::new());
        for HandledMessage { message, disposition, .. } in handled {
            *statuses.entry(disposition.as_str()).or_default() += 1;
            match disposition {
                // The latency of a replay is not recorded, because it would include the time that the message spent as
                // a dead letter.
                Disposition::Recorded(_) if message.replayed().is_none() => {
                    since(message, now).into_iter().for_each(|seconds| latency.record(seconds));
                }
                Disposition::Parked(reason, _) => count_parked(*reason),
                // The queue itself moved the message to the dead letters, so no consumer has counted it as parked.
                Disposition::Archived if !message.attributes.contains_key(attributes::REASON) => {
                    *statuses.entry("parked").or_default() += 1;
                    count_parked(ParkReason::TriesExhausted);
                }
                _ => {}
            }
        }
        for (status, count) in statuses {
            count_processed(status, count);
        }
    }
}

/// Counts an event that was recorded by an inline commit, without being received from the queue.
pub(crate) fn count_inline(disposition: &Disposition, latency: Duration) {
    count_processed(disposition.as_str(), 1);
    end_to_end().record(latency);
}

fn count_processed(status: &'static str, count: u64) {
    counter!("orders_messages_processed_total", "status" => status).increment(count);
}

fn end_to_end() -> Histogram {
    histogram!("orders_end_to_end_seconds")
}

fn count_parked(reason: ParkReason) {
    counter!("orders_dead_letters_parked_total", "reason" => reason.as_str()).increment(1);
}

fn now() -> Timestamp {
    Timestamp::new(SystemTime::now().into())
}

/// The seconds since the message was sent, if the queue reports the time. The result is 0 if the queue's clock is ahead
/// of ours.
fn since(message: &Message, now: Timestamp) -> Option<f64> {
    let micros = now.micros() - message.sent_at?.micros();
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64())
}
