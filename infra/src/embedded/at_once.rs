//! Records an event in the commit that accepts it, where nothing waits before it: what would be put on the queue, received,
//! appended and acked within one commit is appended, and the rest of it is left out.
//!
//! The event is judged by its publisher's thread, as its order is then. That counts if it still holds when the commit is made:
//! if the version is free, and no event of the order is on the queue or among the dead letters. Otherwise the event goes on
//! the queue, as does all that the rules do not allow: the consumer finds out what becomes of that.
//!
//! Such an event can be read as soon as it is committed, which is before it is on the disk. Its receipt cannot: it would tell
//! somebody who sends the same request twice that it is accepted.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use consumer::at_once::Judged;
use consumer::ports::{Loaded, Message, Wanted};
use domain::{Envelope, Event, EventId};
use foldhash::fast::RandomState;

use super::Embedded;
use super::log::Rows;
use super::publisher::Unsent;
use super::stage::Stage;
use crate::now;

/// The events that were recorded by commits which are not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Mutex<HashSet<EventId, RandomState>>);

impl Unsynced {
    pub(super) fn contains(&self, event_id: EventId) -> bool {
        self.lock().contains(&event_id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<EventId, RandomState>> {
        // Nothing that is done under the lock panics.
        self.0.lock().expect("the set is intact")
    }
}

/// An event to be recorded in the commit that accepts it.
pub(super) struct AtOnce {
    judged: Judged,
    rows: Rows,
    /// What comes with it, should it go the long way.
    attributes: BTreeMap<String, String>,
}

impl AtOnce {
    pub(super) fn envelope(&self) -> &Envelope {
        self.judged.envelope()
    }

    /// The message that is to bring it after all.
    pub(super) fn into_unsent(self) -> Unsent {
        Unsent::of(self.judged.into_envelope(), self.attributes)
    }
}

impl Embedded {
    /// Judges an event that `message` would bring. `None` if it has to go by way of the queue.
    pub(super) fn judge_at_once(
        &self,
        message: &Message,
        envelope: &Envelope,
    ) -> anyhow::Result<Option<AtOnce>> {
        let options = &self.0.options;
        let order_id = &envelope.order_id;
        if !options.at_once || !options.delay.is_zero() || self.0.queue.lock().has_group(order_id.as_str()) {
            return Ok(None);
        }
        let loaded = match envelope.event {
            // Should the order be there all the same, its first version is taken.
            Event::Created(_) => Loaded::default(),
            _ => {
                let event_ids = vec![envelope.event_id];
                self.load_one(&Wanted { order_id: order_id.clone(), event_ids })?
            }
        };
        let Some(judged) = Judged::of(&loaded, message, envelope, now()) else { return Ok(None) };
        let rows = Rows::of(judged.append())?;
        Ok(Some(AtOnce { judged, rows, attributes: message.attributes.clone() }))
    }

    /// Whether what was judged still holds for this commit, which then records it: nothing else may take its version.
    /// Runs on the writing thread.
    pub(super) fn claim_version(&self, stage: &mut Stage, event: &AtOnce) -> anyhow::Result<bool> {
        let order_id = &event.rows.order_id;
        // What is received is on the queue until its append is committed, and what is put aside until its letter is.
        if self.0.queue.lock().has_group(order_id.as_str()) || !self.line_of(order_id)?.is_empty() {
            return Ok(false);
        }
        for entry in &event.rows.entries {
            if stage.has_staged(&entry.key) || self.0.keys.log.contains_key(&entry.key)? {
                return Ok(false);
            }
            stage.claim(entry.key.clone());
        }
        Ok(true)
    }

    /// Stages what claimed its version.
    pub(super) fn stage_at_once(&self, stage: &mut Stage, event: AtOnce) -> Judged {
        let AtOnce { judged, rows, .. } = event;
        self.0.unsynced.lock().insert(judged.envelope().event_id);
        let entries = rows.entries.into_iter().map(|entry| (entry.key, entry.row));
        self.stage_rows(stage, &rows.order_id, entries, rows.following);
        judged
    }

    /// These events are on the disk: whoever waits for them may know.
    pub(super) fn synced(&self, event_ids: &[EventId]) {
        let mut unsynced = self.0.unsynced.lock();
        for event_id in event_ids {
            unsynced.remove(event_id);
        }
        drop(unsynced);
        self.0.waiters.wake(event_ids.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use api::ports::{EventPublisher, OrderReader};
    use domain::Currency;

    use super::super::Options;
    use super::*;

    #[tokio::test]
    async fn nobody_is_told_of_an_event_before_it_is_on_the_disk() {
        let folder = tempfile::TempDir::new().unwrap();
        let currency = Currency::parse("EUR").unwrap();
        let options = Options { at_once: true, min_free_bytes: 0, ..Options::new(currency) };
        let engine = Embedded::open(folder.path(), options).unwrap();
        let event = r#"{"type":"order_created","event_id":"0195f5a2-0000-7000-8000-000000000001","schema_version":1,
            "timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","request_hash":"00",
            "data":{"order_id":"o","customer_id":"c","total":2,"currency":"EUR",
            "items":[{"sku":"s","quantity":1,"unit_price":2}]}}"#;
        let event = Envelope::decode(event.as_bytes(), currency).unwrap();
        let told = async || engine.receipt(&event.order_id, event.event_id).await.unwrap().is_some();
        assert!(engine.publish(std::slice::from_ref(&event)).await[0].is_ok());
        assert!(told().await);

        // As if the disk were at it still.
        engine.0.unsynced.lock().insert(event.event_id);
        assert!(!told().await && engine.order(&event.order_id).await.unwrap().is_some());
        assert!(
            engine.publish(std::slice::from_ref(&event)).await[0].is_ok(),
            "the same request waits for it"
        );
        assert_eq!((engine.books().ledger.recorded, engine.books().ledger.duplicate), (1, 1));
    }
}
