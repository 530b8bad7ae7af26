//! One order of a batch: its state in the target, and the lines that were added so far. The parent calls this module.

use domain::{Order, OrderId, Outcome, RecordedEvent, Reference};

use super::{EventIds, ImportTarget};
use crate::ports::{Append, LoadedOrder};

/// The number of log entries that are read from the target in one call, to compare them with lines.
const ENTRIES_PER_READ: usize = 100;

/// Whether the target has the event of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    New,
    Existing,
}

pub(super) struct ImportedOrder {
    loaded: LoadedOrder,
    /// The order after the lines that were added so far.
    order: Option<Order>,
    /// The new events.
    events: Vec<RecordedEvent>,
    ids: EventIds,
    /// Entries of the target's log that were read to compare lines with them.
    read: Vec<RecordedEvent>,
    /// Whether the target has the event of a line.
    has_existing: bool,
}

impl ImportedOrder {
    pub(super) fn new(loaded: LoadedOrder) -> Self {
        let order = loaded.order.clone();
        let (events, ids, read) = (Vec::new(), EventIds::new(), Vec::new());
        Self { loaded, order, events, ids, read, has_existing: false }
    }

    pub(super) fn version(&self) -> u64 {
        self.order.as_ref().map_or(0, |order| order.version)
    }

    /// The order in the target that has the reference.
    pub(super) fn holder(&self, reference: &Reference) -> Option<&OrderId> {
        let mut holders = self.loaded.reference_holders.iter();
        holders.find(|(taken, _)| taken == reference).map(|(_, by)| by)
    }

    /// Compares an event with the log entry that has its version. The inner error is the reason why the line is refused.
    pub(super) async fn compare(
        &mut self,
        target: &dyn ImportTarget,
        event: &RecordedEvent,
    ) -> anyhow::Result<Result<Found, String>> {
        let (order_id, version) = (&event.envelope.order_id, event.version);
        if let Some(new) = self.events.iter().find(|new| new.version == version) {
            let repeated =
                format!("version {version} of order {order_id} is on an earlier line with other content");
            return Ok(if new == event { Ok(Found::Existing) } else { Err(repeated) });
        }
        if version == 0 {
            return Ok(Err("its version is 0; versions begin with 1".to_owned()));
        }
        if !self.read.iter().any(|entry| entry.version == version) {
            self.read = target.entries(order_id, version - 1, ENTRIES_PER_READ).await?;
        }
        let Some(entry) = self.read.iter().find(|entry| entry.version == version) else {
            anyhow::bail!(
                "order {order_id} of the target has version {}, but no version {version}",
                self.version()
            );
        };
        if entry == event {
            self.has_existing = true;
            return Ok(Ok(Found::Existing));
        }
        let difference = match entry.envelope.event_id == event.envelope.event_id {
            true => "the same event with other content".to_owned(),
            false => format!("event {} there", entry.envelope.event_id),
        };
        Ok(Err(format!("conflict: version {version} of order {order_id} is {difference}")))
    }

    /// Appends a new event. The error is the reason why the line is refused.
    pub(super) fn append(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let (order_id, event_id) = (&event.envelope.order_id, event.envelope.event_id);
        let (version, next) = (event.version, self.version() + 1);
        if version > next {
            return Err(format!("a gap: version {version} of order {order_id} is not the next one, {next}"));
        }
        let mut outcomes = self.loaded.outcomes.iter();
        let known = outcomes.find(|known| known.event_id == event_id).map(|known| &known.outcome);
        match known {
            Some(Outcome::Recorded { version: at }) => {
                return Err(format!(
                    "conflict: event {event_id} is version {at} of order {order_id} already"
                ));
            }
            Some(Outcome::Rejected { .. }) => {
                return Err(format!(
                    "conflict: the target has rejected event {event_id} of order {order_id}"
                ));
            }
            Some(Outcome::Parked { .. }) => {
                return Err(format!(
                    "conflict: event {event_id} of order {order_id} is a dead letter of the target"
                ));
            }
            None => {}
        }
        if self.ids.contains(&event_id) {
            return Err(format!("event {event_id} is on an earlier line with another version"));
        }
        let folded = Order::apply(self.order.clone(), event);
        self.order = Some(folded.map_err(|error| format!("order {order_id} cannot be folded: {error}"))?);
        self.ids.insert(event_id);
        self.events.push(event.clone());
        Ok(())
    }

    /// The append of the new events. `None` if no line of the order was accepted.
    pub(super) fn into_append(self) -> Option<Append> {
        let Self { loaded, order, events, has_existing, .. } = self;
        if events.is_empty() && !has_existing {
            return None;
        }
        Some(Append { events, messages: Vec::new(), order: order?, previous: loaded.order })
    }
}
