//! The events in what is cut off, as far as they can still be read.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use domain::{Currency, Envelope, EventId, EventType, OrderId};
use serde::Serialize;

use crate::embedded::store::continuity::Cut;
use crate::embedded::store::keys::{self, Keyspaces, StoredMessage};
use crate::embedded::store::layout::journal::{Batch, Batches};
use crate::embedded::store::layout::{Fault, journals};

/// An event that was accepted, in a commit that is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostEvent {
    /// The order it is about.
    pub order_id: OrderId,
    /// Its id.
    pub event_id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Its version in the order's log, if it was recorded; `None` if it was on the queue.
    pub version: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// All of it, so that it can be sent again.
    pub envelope: serde_json::Value,
}

/// What became of an event whose commit is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is in the order's log: a table holds it.
    Recorded,
    /// It is neither in the log nor on the queue.
    Lost,
    /// It was not looked for.
    Unknown,
}

/// The events behind a cut.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    events: Vec<LostEvent>,
    /// Where each is among them.
    places: HashMap<EventId, usize>,
}

impl Lost {
    /// Reads them from the journals.
    pub(crate) fn behind(cut: &Cut, store: &Path) -> io::Result<Self> {
        let journals = journals(store).map_err(|fault| match fault {
            Fault::Io(_, error) => error,
            Fault::Damaged(path, what) => io::Error::other(format!("{}: {what}", path.display())),
        })?;
        let mut lost = Self::default();
        for (_, path) in journals.into_iter().filter(|(number, _)| *number >= cut.journal) {
            let bytes = fs::read(&path)?;
            let mut batches = Batches::of(&bytes);
            let whole: Vec<_> = batches.by_ref().collect();
            let is_cut = |batch: &&Batch<'_>| path != cut.path || batch.range.start as u64 >= cut.offset;
            let behind = batches.behind();
            whole.iter().filter(is_cut).chain(&behind).for_each(|batch| lost.add(batch));
        }
        Ok(lost)
    }

    fn add(&mut self, batch: &Batch<'_>) {
        for item in batch.items() {
            let Some(value) = item.value.and_then(|value| value.read()) else { continue };
            match item.keyspace {
                keys::LOG => self.add_event(keys::split_entry(&value).0),
                keys::QUEUE => {
                    let message = StoredMessage::decode(&value).ok();
                    message.into_iter().for_each(|message| self.add_event(&message.body));
                }
                _ => {}
            }
        }
    }

    /// An event from its JSON; bytes that are none were no event before either.
    fn add_event(&mut self, json: &[u8]) {
        // The currency only fills in where a producer of long ago stated none.
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
            fate: Fate::Unknown,
            envelope: value,
        });
    }

    /// The events, each with what became of it.
    pub(crate) fn into_events(
        mut self,
        fate: impl Fn(&LostEvent) -> io::Result<Fate>,
    ) -> io::Result<Vec<LostEvent>> {
        for event in &mut self.events {
            event.fate = fate(event)?;
        }
        Ok(self.events)
    }
}

impl LostEvent {
    /// What became of it in this store.
    pub(crate) fn fate_in(&self, keys: &Keyspaces) -> io::Result<Fate> {
        for entry in keys.log.prefix(keys::log_prefix(&self.order_id)) {
            let entry = entry.value().map_err(|error| io::Error::other(error.to_string()))?;
            if keys::mentions(keys::split_entry(&entry).0, self.event_id) {
                return Ok(Fate::Recorded);
            }
        }
        Ok(Fate::Lost)
    }
}
