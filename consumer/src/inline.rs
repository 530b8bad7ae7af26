//! Judging an event that nothing waits before, where it is published.
//!
//! It would go on the queue, come off it, be judged and recorded. Where queue and log are one store, all of that can be one
//! commit, and what would come and go within it need not be written. What is decided here is what [`crate::execute`] would
//! decide, by the same rules; where that is anything but to record the event, it goes the long way.

use std::time::Instant;

use domain::{Envelope, RecordedEvent, Timestamp};
use tracing::Span;

use crate::decide::{Decision, Known, decide};
use crate::ports::{Append, Counts, Loaded, Message};
use crate::{Outcome, metering, settle, spans};

/// Stands where the message is told that brought an event, if none did. So whatever message brings it once more is known to
/// be another one.
const NO_MESSAGE: &str = "-";

/// An event that the rules allow, as its order was when it was judged.
#[derive(Debug)]
pub struct Judged {
    /// How it is to be recorded, unless its order has changed since, or something waits before it.
    append: Append,
    span: Span,
    since: Instant,
}

impl Judged {
    /// Decides on the event, as recorded at `now`. `message` would bring it, as far as that is known, by a queue that keeps
    /// order. `None` if it is not to be recorded, or not now.
    pub fn of(loaded: &Loaded, message: &Message, envelope: &Envelope, now: Timestamp) -> Option<Self> {
        let since = Instant::now();
        let settled = loaded.outcomes.iter().find(|settled| settled.event_id == envelope.event_id);
        let known = Known { order: loaded.order.as_ref(), parked: &loaded.parked, settled };
        let Decision::Record(recorded) = decide(known, message, envelope, now) else { return None };
        let (event, order) = *recorded;
        let span = spans::of_event(message, Some(envelope));
        let messages = vec![NO_MESSAGE.to_owned()];
        let append = Append { events: vec![event], messages, order, counts: Counts::default() };
        Some(Self { append, span, since })
    }

    /// The append of this one event.
    pub fn append(&self) -> &Append {
        &self.append
    }

    /// The event.
    pub fn envelope(&self) -> &Envelope {
        &self.event().envelope
    }

    fn event(&self) -> &RecordedEvent {
        &self.append.events[0]
    }

    /// The event as it came, if it goes the long way after all.
    pub fn into_envelope(mut self) -> Envelope {
        self.append.events.remove(0).envelope
    }

    /// To be called when it is recorded: tells it in log, metrics and trace, as is done of what the queue brought.
    pub fn recorded(&self) {
        let event = self.event();
        let outcome = Outcome::Recorded(event.version);
        spans::ended(&self.span, &outcome);
        let _entered = self.span.enter();
        settle::log_recorded(&event.envelope, event.version);
        metering::at_once(&outcome, self.since.elapsed());
    }
}
