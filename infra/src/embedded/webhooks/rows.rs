//! The rows of the keyspace `webhooks`. A key consists of a letter, the id of the subscription, and further parts:
//!
//! | letter | further parts of the key | value, as JSON |
//! |---|---|---|
//! | `s` | | the subscription, with its secrets |
//! | `p` | | the progress of its deliveries |
//! | `h` | order id | a held order |
//! | `k` | time in microseconds since 1970, event id | a skipped delivery |

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use anyhow::Context;
use consumer::webhooks::{HeldOrder, Progress, SkippedDelivery};
use domain::{OrderId, Subscription, SubscriptionId};
use fjall::UserValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::embedded::store::Store;
use crate::embedded::store::index_keys::sortable;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::ReadStore;

/// A kind of row, and the letter with which its keys begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Row {
    Subscription = b's',
    Progress = b'p',
    Held = b'h',
    Skip = b'k',
}

impl Row {
    pub(super) const ALL: [Self; 4] = [Self::Subscription, Self::Progress, Self::Held, Self::Skip];

    /// The key of the row. If a subscription can have several rows of the kind, the common prefix of their keys.
    pub(super) fn key(self, id: SubscriptionId) -> Vec<u8> {
        [&[self as u8], id.as_uuid().as_bytes().as_slice()].concat()
    }

    /// Decodes the kind of row and the subscription from a key. `None` if the key is malformed.
    #[cfg(feature = "aws")]
    pub(crate) fn of_key(key: &[u8]) -> Option<(Self, SubscriptionId)> {
        let (letter, rest) = key.split_first()?;
        let kind = Self::ALL.into_iter().find(|row| *row as u8 == *letter)?;
        Some((kind, uuid::Uuid::from_bytes(*rest.first_chunk()?).into()))
    }
}

pub(super) fn held_key(id: SubscriptionId, order_id: &OrderId) -> Vec<u8> {
    [&Row::Held.key(id), order_id.as_str().as_bytes()].concat()
}

pub(super) fn skip_key(id: SubscriptionId, skip: &SkippedDelivery) -> Vec<u8> {
    let event_id = skip.event.event_id.as_uuid();
    [&Row::Skip.key(id), sortable(skip.at.micros()).as_slice(), event_id.as_bytes()].concat()
}

/// The range of all keys that begin with `prefix`. In each such key, the byte after the prefix must be below 0xFF.
pub(super) fn with_prefix(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    // An order id or a time follows the prefix. Order ids are ASCII. The first byte of a time is below 0xFF until the
    // year 200,000.
    let end = [prefix, &[0xFF]].concat();
    (Bound::Included(prefix.to_vec()), Bound::Excluded(end))
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("rows always serialize")
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, row: &UserValue) -> anyhow::Result<T> {
    serde_json::from_slice(row).with_context(|| format!("a row of webhooks is malformed: {what}"))
}

pub(super) fn subscriptions(store: &Store) -> anyhow::Result<BTreeMap<SubscriptionId, Arc<Subscription>>> {
    let rows = store.latest().range(&store.keys.webhooks, with_prefix(&[Row::Subscription as u8]));
    let decoded = rows.map(|row| {
        let subscription: Subscription = decode("a subscription", &row.value()?)?;
        anyhow::Ok((subscription.id, Arc::new(subscription)))
    });
    decoded.collect()
}

pub(super) fn progress(
    state: &impl ReadStore,
    store: &Store,
    id: SubscriptionId,
) -> anyhow::Result<Option<Progress>> {
    let row = state.get(&store.keys.webhooks, Row::Progress.key(id))?;
    row.map(|row| decode("the progress of deliveries", &row)).transpose()
}

/// The held orders of a subscription, by order id.
pub(super) fn held_orders<S: ReadStore>(
    state: &S,
    store: &Store,
    id: SubscriptionId,
) -> impl Iterator<Item = anyhow::Result<HeldOrder>> + use<S> {
    let rows = state.range(&store.keys.webhooks, with_prefix(&Row::Held.key(id)));
    rows.map(|row| decode("a held order", &row.value()?))
}

pub(super) fn remove_all(stage: &mut Stage, store: &Store, id: SubscriptionId) -> anyhow::Result<()> {
    for kind in Row::ALL {
        for row in store.latest().range(&store.keys.webhooks, with_prefix(&kind.key(id))) {
            stage.remove(&store.keys.webhooks, row.key()?);
        }
    }
    Ok(())
}
