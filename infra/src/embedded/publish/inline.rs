//! Records an event in the commit that accepts it, where nothing waits before it: what would be put on the queue, received,
//! appended and acked within one commit is appended, and the rest of it is left out.
//!
//! The event is judged by its publisher's thread, as its order is then. That counts if it still holds when the commit is made:
//! if the version is free, and no event of the order is on the queue or among the dead letters. Otherwise the event goes on
//! the queue, as does all that the rules do not allow: the consumer finds out what becomes of that.

use std::collections::BTreeMap;

use consumer::at_once::Judged;
use consumer::ports::{Loaded, Message, Wanted};
use domain::{Envelope, Event};

use crate::embedded::Embedded;
use crate::embedded::log::Rows;
use crate::embedded::publish::Unsent;
use crate::embedded::store::keys;
use crate::embedded::store::stage::Stage;
use crate::now;

/// An event to be recorded in the commit that accepts it.
pub(crate) struct InlineCommit {
    judged: Judged,
    rows: Rows,
    /// What comes with it, should it go the long way.
    attributes: BTreeMap<String, String>,
}

impl InlineCommit {
    pub(crate) fn envelope(&self) -> &Envelope {
        self.judged.envelope()
    }

    /// The message that is to bring it after all.
    pub(crate) fn into_unsent(self) -> Unsent {
        Unsent::of(self.judged.into_envelope(), self.attributes)
    }
}

impl Embedded {
    /// Judges an event that `message` would bring. `None` if it has to go by way of the queue.
    pub(crate) fn judge_inline(
        &self,
        message: &Message,
        envelope: &Envelope,
    ) -> anyhow::Result<Option<InlineCommit>> {
        let options = &self.0.options;
        let order_id = &envelope.order_id;
        if !options.inline || !options.delay.is_zero() || self.0.queue.lock().has_group(order_id.as_str()) {
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
        Ok(Some(InlineCommit { judged, rows, attributes: message.attributes.clone() }))
    }

    /// Whether what was judged still holds for this commit, which then records it: nothing else may take its version.
    /// Runs on the writing thread.
    pub(crate) fn claim_version(&self, stage: &mut Stage, event: &InlineCommit) -> anyhow::Result<bool> {
        let order_id = &event.rows.order_id;
        // What is received is on the queue until its append is committed, and what is put aside until its letter is.
        if self.0.queue.lock().has_group(order_id.as_str()) {
            return Ok(false);
        }
        // Mostly there is no dead letter at all, which the counter shows without a search.
        if stage.books.letters > 0 && self.line_length(&self.latest(), order_id, 1)? > 0 {
            return Ok(false);
        }
        for entry in &event.rows.entries {
            if stage.has_staged(&entry.key) || self.0.keys.log.contains_key(&entry.key)? {
                return Ok(false);
            }
            stage.claim(entry.key.clone());
        }
        // Whoever sends the same request again, in the same commit, is to find it.
        let envelope = event.envelope();
        if envelope.request_hash.is_some() {
            stage.claim(keys::receipt_key(order_id, envelope.event_id));
        }
        Ok(true)
    }

    /// Stages what claimed its version.
    pub(crate) fn stage_inline(&self, stage: &mut Stage, event: InlineCommit) -> Judged {
        let InlineCommit { judged, rows, .. } = event;
        let entries = rows.entries.into_iter().map(|entry| (entry.key, entry.row));
        self.stage_rows(stage, &rows.order_id, entries, rows.following);
        judged
    }
}

#[cfg(test)]
mod tests {
    use api::ports::{EventPublisher, OrderReader};
    use domain::Currency;

    use super::*;
    use crate::embedded::Options;

    #[tokio::test]
    async fn readers_see_the_store_as_it_is_on_the_disk() {
        let folder = tempfile::TempDir::new().unwrap();
        let currency = Currency::parse("EUR").unwrap();
        let options = Options { inline: true, min_free_bytes: 0, ..Options::new(currency) };
        let engine = Embedded::open(folder.path(), options).unwrap();
        let event = r#"{"type":"order_created","event_id":"0195f5a2-0000-7000-8000-000000000001","schema_version":1,
            "timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","request_hash":"00",
            "data":{"order_id":"o","customer_id":"c","total":2,"currency":"EUR",
            "items":[{"sku":"s","quantity":1,"unit_price":2}]}}"#;
        let event = Envelope::decode(event.as_bytes(), currency).unwrap();
        let before = engine.view();
        assert!(engine.publish(std::slice::from_ref(&event)).await[0].is_ok());
        assert!(engine.receipt(&event.order_id, event.event_id).await.unwrap().is_some());
        // Whoever looked when the disk was still busy sees the store as it was.
        assert!(engine.order_in(&*before, &event.order_id).unwrap().is_none());
        assert!(engine.receipt_in(&*before, &event.order_id, event.event_id).unwrap().is_none());
        assert_eq!((before.totals.books.ledger.accepted, engine.view().totals.books.ledger.accepted), (0, 1));

        assert!(
            engine.publish(std::slice::from_ref(&event)).await[0].is_ok(),
            "the same request is accepted again"
        );
        assert_eq!((engine.books().ledger.recorded, engine.books().ledger.duplicate), (1, 1));
    }
}
