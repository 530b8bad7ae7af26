//! Idempotency keys: a request that is sent again under the same key takes effect only once. `accept` and `batch` derive
//! the ids of their events here.
//!
//! The ids are derived from the subject and the key. The id of a proposed event is derived from the order, too. So a
//! replay gets the same ids, whichever server handles it. Only a hash of the request is stored. The hash distinguishes
//! a replay from another request under the same key. A key belongs to its client and to one path: the same text for
//! another order is a different key. In a batch, each position is a separate request under the key.
//!
//! Earlier builds gave the order at position `n` of a batch the ids of a single request with the key `{key} {n}`, so a
//! batch and a single request could collide. This build uses other ids for batches, so it does not recognize a replay
//! of a batch that an earlier build accepted. Do not repeat a batch across that upgrade. The ids of single requests
//! have not changed.

use domain::{Event, EventId, OrderId};
use sha2::{Digest, Sha256};

use crate::auth::Principal;
use crate::http::hash_text;
use crate::input::{IdempotencyKey, IfMatch};
use crate::state::AppState;

/// The position of a created order in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreationPlace {
    /// The only order of a request.
    Single,
    /// The order at this position of a batch.
    InBatch(usize),
}

/// The ids of an event and its order. With an idempotency key, every replay gets the same ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventIdentity {
    pub(crate) order_id: OrderId,
    pub(crate) event_id: EventId,
    /// The hash of the request. `None` if the request has no key.
    pub(crate) request_hash: Option<String>,
}

impl IdempotencyKey {
    /// The ids of a new order and its first event. Without an idempotency key, the ids are new.
    pub(crate) fn of_creation(
        &self,
        state: &AppState,
        principal: &Principal,
        event: &Event,
        place: CreationPlace,
    ) -> EventIdentity {
        let Some(key) = self.as_str() else {
            let (order_id, event_id) = ((state.new_id)().into(), (state.new_id)().into());
            return EventIdentity { order_id, event_id, request_hash: None };
        };
        let (order_id, event_id) = match place {
            CreationPlace::Single => domain::derived_ids::ids_for_key(&principal.subject, key),
            CreationPlace::InBatch(place) => {
                domain::derived_ids::ids_for_item(&principal.subject, key, place)
            }
        };
        EventIdentity { order_id, event_id, request_hash: Some(hash(event, &IfMatch::Absent)) }
    }

    /// The id of an event of the order. Without an idempotency key, the id is new.
    pub(crate) fn of_event(
        &self,
        state: &AppState,
        principal: &Principal,
        order_id: OrderId,
        event: &Event,
        if_match: &IfMatch,
    ) -> EventIdentity {
        let Some(key) = self.as_str() else {
            return EventIdentity { order_id, event_id: (state.new_id)().into(), request_hash: None };
        };
        let event_id = domain::derived_ids::event_id_for_key(&principal.subject, &order_id, key);
        EventIdentity { order_id, event_id, request_hash: Some(hash(event, if_match)) }
    }
}

/// Hashes the parsed event and the condition, so that the formatting of the JSON does not matter.
fn hash(event: &Event, if_match: &IfMatch) -> String {
    let mut hash = Sha256::new();
    hash.update(event.event_type().as_str());
    hash.update(serde_json::to_vec(event).expect("an event always serializes"));
    hash.update(format!("{if_match:?}"));
    hash_text(&hash.finalize())
}
