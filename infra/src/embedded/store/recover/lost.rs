//! Finds the events of commits that recovery cuts off, if they can still be read.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use domain::{Currency, Envelope, EventId, EventType, OrderId};
use serde::Serialize;

use crate::embedded::store::continuity::JournalCut;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::{self, Keyspaces};
use crate::embedded::store::layout::journal::{self, JournalBatch, JournalBatches};
use crate::embedded::store::layout::{LayoutError, journals};
use crate::embedded::store::records::{self, StoredMessage};

/// An accepted event in a commit that recovery cuts off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostEvent {
    /// The order that the event belongs to.
    pub order_id: OrderId,
    /// The id of the event.
    pub event_id: EventId,
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The event's version in the order log, or `None` if the event was only queued.
    pub version: Option<u64>,
    /// Whether the event is lost with its commit.
    pub fate: LostEventState,
    /// The whole event, so that it can be sent again.
    pub envelope: serde_json::Value,
}

/// Whether an event is lost when its commit is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LostEventState {
    /// The event is not lost, because a table holds its log entry.
    Recorded,
    /// The event is lost, because it is not in the log.
    Lost,
    /// Not determined, because a dry run does not look for the event in the log.
    Unknown,
}

/// The accepted events that were found in the journals after a cut.
#[derive(Debug, Default)]
pub(crate) struct LostEvents {
    events: Vec<LostEvent>,
    /// The index of each event in `events`, by the event's id.
    places: HashMap<EventId, usize>,
}

impl LostEvents {
    /// Reads the events from the journals.
    pub(crate) fn after(cut: &JournalCut, store: &Path) -> io::Result<Self> {
        let journals = journals(store).map_err(|fault| match fault {
            LayoutError::Io(_, error) => error,
            LayoutError::Damaged(path, what) => io::Error::other(format!("{}: {what}", path.display())),
        })?;
        let mut lost = Self::default();
        for (_, path) in journals.into_iter().filter(|(number, _)| *number >= cut.journal) {
            let bytes = journal::read(&path)?;
            let mut batches = JournalBatches::of(&bytes);
            let whole: Vec<_> = batches.by_ref().collect();
            let is_cut =
                |batch: &&JournalBatch<'_>| path != cut.path || batch.range.start as u64 >= cut.offset;
            let after_end = batches.after_end();
            whole.iter().filter(is_cut).chain(&after_end).for_each(|batch| lost.add(batch));
        }
        Ok(lost)
    }

    fn add(&mut self, batch: &JournalBatch<'_>) {
        for item in batch.items() {
            let Some(value) = item.value.and_then(|value| value.read()) else { continue };
            match item.keyspace {
                keyspaces::LOG => self.add_event(records::split_log_entry(&value).0),
                keyspaces::QUEUE => {
                    let message = StoredMessage::decode(&value).ok();
                    message.into_iter().for_each(|message| self.add_event(&message.body));
                }
                _ => {}
            }
        }
    }

    /// Adds the event in `json`. Content that is not an event is skipped: it was not an event before the damage either.
    fn add_event(&mut self, json: &[u8]) {
        // The currency matters only for events of schema version 0, which contain no currency.
        let Ok(currency) = Currency::parse("USD") else { return };
        let Ok(envelope) = Envelope::decode(json, currency) else { return };
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) else { return };
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        let event_id = envelope.event_id;
        if let Some(place) = self.places.get(&event_id) {
            let known = &mut self.events[*place];
            known.version = known.version.or(version);
            return;
        }
        self.places.insert(event_id, self.events.len());
        self.events.push(LostEvent {
            order_id: envelope.order_id,
            event_id,
            event_type: envelope.event.event_type(),
            version,
            fate: LostEventState::Unknown,
            envelope: value,
        });
    }

    /// Returns the events, after `state_of` has determined the state of each event.
    pub(crate) fn into_events(
        mut self,
        state_of: impl Fn(&LostEvent) -> io::Result<LostEventState>,
    ) -> io::Result<Vec<LostEvent>> {
        for event in &mut self.events {
            event.fate = state_of(event)?;
        }
        Ok(self.events)
    }
}

impl LostEvent {
    /// Determines whether the event is in the log of the store.
    pub(crate) fn state_in(&self, keys: &Keyspaces) -> io::Result<LostEventState> {
        for entry in keys.log.prefix(keys::log_prefix(&self.order_id)) {
            let entry = entry.value().map_err(|error| io::Error::other(error.to_string()))?;
            if records::contains_id(records::split_log_entry(&entry).0, self.event_id) {
                return Ok(LostEventState::Recorded);
            }
        }
        Ok(LostEventState::Lost)
    }
}
