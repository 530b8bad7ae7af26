//! The decision on one event, given what is known of its order.

use domain::judge::Refusal;
use domain::{Envelope, Order, Outcome, ParkReason, RecordedEvent, Timestamp, Verdict, judge};

/// What is to be done with one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Append it; this is the order afterwards.
    Record(Box<(RecordedEvent, Order)>),
    /// Store that the rules said no.
    Reject(Refusal),
    /// Nothing: it has this outcome already.
    Duplicate(Outcome),
    /// Put it aside.
    Park(ParkReason, String),
    /// Not now: leave it on the queue, to be received again.
    Retry(String),
}

/// What is known of an order when an event of it is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The order; `None` if its log is empty.
    pub order: Option<&'a Order>,
    /// How many of its events are in the dead letters.
    pub parked: u64,
    /// The event's own outcome, if it was handled before.
    pub outcome: Option<&'a Outcome>,
    /// Whether the queue keeps an order's events in order.
    pub ordered: bool,
}

/// Decides on `envelope`, which is recorded as of `now` if it is.
///
/// An early event waits on a queue without order, for its predecessors may come later. On an ordered queue they
/// cannot, so it is rejected, unless they are among the dead letters: then it is parked behind them.
pub fn decide(known: Known<'_>, envelope: &Envelope, now: Timestamp) -> Decision {
    // A parked event that is back on the queue gets another chance.
    if let Some(outcome @ (Outcome::Recorded { .. } | Outcome::Rejected { .. })) = known.outcome {
        return Decision::Duplicate(outcome.clone());
    }
    match judge(known.order, envelope) {
        Verdict::Legal => record(known.order, envelope, now),
        Verdict::Never(refusal) => Decision::Reject(refusal),
        Verdict::Early(refusal) if known.parked > 0 => {
            Decision::Park(ParkReason::BehindParked, refusal.detail)
        }
        Verdict::Early(refusal) if known.ordered => Decision::Reject(refusal),
        Verdict::Early(refusal) => Decision::Retry(refusal.detail),
    }
}

fn record(order: Option<&Order>, envelope: &Envelope, now: Timestamp) -> Decision {
    let version = order.map_or(1, |order| order.version + 1);
    let event = RecordedEvent { version, recorded_at: now, envelope: envelope.clone() };
    match Order::apply(order.cloned(), &event) {
        Ok(after) => Decision::Record(Box::new((event, after))),
        // The rules and the fold read the same table, so only an event that is not what it says can come here.
        Err(error) => Decision::Park(ParkReason::Invalid, error.to_string()),
    }
}
