//! Determines the rows of an order in the indexes, and how the rows change. Used when events are appended, and by
//! backfills and rebuilds.
//!
//! An order with one event has one row, in `by_status`. The second event adds a row in `by_update`. A later event moves
//! the row in `by_status` only if one of its words changes. An order has further rows if it has a reference, if its
//! metadata has an entry at a searchable key, or if it is unpaid and has an `expires_at`.

use std::collections::BTreeSet;

use domain::{Order, OrderId};

use super::index_keys::{Words, metadata_prefix, position_key};
use super::keyspaces::{Keyspaces, NumberedKeyspace};
use super::stage::Stage;

/// An index other than the customers' lists. The rows of those lists never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Index {
    Status,
    Update,
    Reference,
    Metadata,
    Due,
}

impl Index {
    pub(crate) fn keyspace(self, keys: &Keyspaces) -> &NumberedKeyspace {
        match self {
            Self::Status => &keys.by_status,
            Self::Update => &keys.by_update,
            Self::Reference => &keys.references,
            Self::Metadata => &keys.by_metadata,
            Self::Due => &keys.due,
        }
    }

    /// The criterion by which the index finds orders, for reports.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Update => "update time",
            Self::Reference => "reference",
            Self::Metadata => "metadata",
            Self::Due => "deadline",
        }
    }

    /// Stages a row of an order.
    pub(crate) fn put(self, stage: &mut Stage, keys: &Keyspaces, key: Vec<u8>, order_id: &OrderId) {
        let value = if self == Self::Reference { order_id.as_str().as_bytes() } else { &[] };
        stage.put(self.keyspace(keys), key, value);
    }
}

/// A row of an index, as the index and the key of the row. In the index `references`, the value of a row is the order's
/// id. In all other indexes, the value is empty.
pub(crate) type IndexRow = (Index, Vec<u8>);

/// The changes to the indexes when an event is appended.
#[derive(Debug, Default)]
pub(crate) struct IndexChanges {
    removed: Vec<IndexRow>,
    added: Vec<IndexRow>,
}

/// The rows of an order. `searchable` contains the keys of the metadata that have an index.
pub(crate) fn rows_of(order: &Order, searchable: &BTreeSet<String>) -> Vec<IndexRow> {
    let (created, updated) = (order.created_at.micros(), order.updated_at.micros());
    let id = &order.order_id;
    let mut rows = vec![(Index::Status, position_key(&Words::of(order).prefix(), created, id))];
    if order.version > 1 {
        rows.push((Index::Update, position_key(&[], updated, id)));
    }
    rows.extend(
        order.reference.as_ref().map(|reference| (Index::Reference, reference.as_str().as_bytes().to_vec())),
    );
    if !searchable.is_empty() && !order.metadata.is_empty() {
        let entries = order.metadata.entries().iter().filter(|(key, _)| searchable.contains(*key));
        rows.extend(
            entries.map(|(key, value)| {
                (Index::Metadata, position_key(&metadata_prefix(key, value), created, id))
            }),
        );
    }
    // Only an order with an `expires_at` has a row in `due`. All other unpaid orders expire at a configured age. The
    // configured age may change, so these orders are found by status and creation time.
    let deadline = order.deadline(None);
    rows.extend(deadline.map(|deadline| (Index::Due, position_key(&[], deadline.micros(), id))));
    rows
}

impl IndexChanges {
    /// Computes the changes to the indexes when an order changes from `previous` to `order`. For a new order,
    /// `previous` is `None`.
    pub(crate) fn between(previous: Option<&Order>, order: &Order, searchable: &BTreeSet<String>) -> Self {
        let mut added = rows_of(order, searchable);
        let mut removed = previous.map(|previous| rows_of(previous, searchable)).unwrap_or_default();
        removed.retain(|row| match added.iter().position(|new| new == row) {
            Some(place) => {
                added.swap_remove(place);
                false
            }
            None => true,
        });
        Self { removed, added }
    }

    pub(crate) fn stage(self, stage: &mut Stage, keys: &Keyspaces, order_id: &OrderId) {
        for (index, key) in self.removed {
            stage.remove(index.keyspace(keys), key);
        }
        self.added.into_iter().for_each(|(index, key)| index.put(stage, keys, key, order_id));
    }
}
