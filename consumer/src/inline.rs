//! Decides about an event while it is being accepted, for an inline commit. The embedded engine calls this module.
//!
//! If queue and log share one store, the commit that accepts an event can also record it, provided that nothing of its
//! order is queued. The decision is the same as the consumer's: [`decide`]. An event that cannot be recorded
//! immediately is queued, and the consumer handles it.

use std::time::Instant;

use domain::{Envelope, RecordedEvent, Timestamp};
use tracing::Span;

use crate::decide::{OrderContext, Plan, decide, log_entry};
use crate::disposition::Disposition;
use crate::ports::{Append, LoadedOrder, Message};
use crate::{metering, settle, spans};

/// Stands for the message id of an event that is recorded inline, because no message carried the event. If a message carries the
/// same event later, that message counts as a duplicate, because its id differs.
const NO_MESSAGE: &str = "-";

/// An event that can be recorded by the commit that accepts it.
#[derive(Debug)]
pub struct InlineAppend {
    /// The append that records the event. It is valid as long as the order does not change and no event of the order
    /// is queued or parked.
    append: Append,
    /// The id of the trace of the request, for the log.
    trace_id: Option<String>,
    span: Span,
    since: Instant,
}

impl InlineAppend {
    /// Decides whether the event can be recorded at the time `now`. `message` is the message that would carry the event on an
    /// ordered queue; only its known fields are set. Returns `None` if the event cannot be recorded now.
    pub fn decide(
        loaded: LoadedOrder,
        message: &Message,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Option<Self> {
        let since = Instant::now();
        let context = OrderContext::of(&loaded, envelope);
        let Plan::Record { .. } = decide(context, message, envelope) else { return None };
        let (event, order) = log_entry(context.order, message, envelope, now).ok()?;
        let span = spans::of_event(message, Some(envelope));
        let messages = vec![NO_MESSAGE.to_owned()];
        let append = Append { events: vec![event], messages, order, previous: loaded.order };
        Some(Self { append, trace_id: spans::trace_id(message), span, since })
    }

    /// The append that records the event.
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

    /// Returns the event, so that the caller can queue it.
    pub fn into_envelope(mut self) -> Envelope {
        self.append.events.remove(0).envelope
    }

    /// Reports the recorded event to the log, the metrics and the trace, in the same way as an event from the queue.
    pub fn report_recorded(&self) {
        let event = self.event();
        let disposition = Disposition::Recorded(event.version);
        spans::end(&self.span, &disposition);
        let _entered = self.span.enter();
        settle::log_recorded(&event.envelope, event.version, self.trace_id.as_deref());
        metering::count_inline(&disposition, self.since.elapsed());
    }
}
