//! Reads the rows of a backup that cannot be derived from the recorded events. Reads one keyspace after the other.

use std::ops::Bound;

use serde::Deserialize;

use super::{PART_BYTES, PART_ROWS};
use crate::backup::STATE_KEYSPACES;
use crate::backup::row::StateRow;
use crate::embedded::store::keyspaces::{Keyspaces, NumberedKeyspace};
use crate::embedded::store::views::{ReadStore, View};

const RECEIPTS: usize = 0;

/// The place in the keyspaces where the next read begins.
#[derive(Debug, Clone)]
pub(super) struct StatePlace {
    /// The index of the keyspace in [`STATE_KEYSPACES`].
    keyspace: usize,
    /// The key after which the read begins, or `None` at the beginning of the keyspace.
    after: Option<Vec<u8>>,
}

impl StatePlace {
    pub(super) fn first(without_receipts: bool) -> Self {
        Self { keyspace: if without_receipts { RECEIPTS + 1 } else { RECEIPTS }, after: None }
    }

    pub(super) fn keyspace(&self) -> &'static str {
        STATE_KEYSPACES[self.keyspace]
    }
}

/// The member of a receipt that shows whether the event is in the log.
#[derive(Deserialize)]
struct ReceiptState<'a> {
    #[serde(borrow)]
    state: std::borrow::Cow<'a, str>,
}

/// Reads the next rows. Also returns the place where the following read begins, or `None` at the end.
pub(super) fn read(
    keys: &Keyspaces,
    view: &View,
    place: &StatePlace,
) -> anyhow::Result<(Vec<StateRow>, Option<StatePlace>)> {
    let keyspace = keyspaces(keys)[place.keyspace];
    let from = place.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for (examined, row) in view.range(keyspace, (from, Bound::Unbounded)).enumerate() {
        let (key, value) = row.into_inner()?;
        let row = StateRow { key: key.to_vec(), value: value.to_vec() };
        let is_full = examined + 1 >= PART_ROWS || bytes + row.value.len() >= PART_BYTES;
        let next = is_full.then(|| StatePlace { keyspace: place.keyspace, after: Some(row.key.clone()) });
        if place.keyspace != RECEIPTS || !is_recorded(&row.value) {
            bytes += row.key.len() + row.value.len();
            rows.push(row);
        }
        if next.is_some() {
            return Ok((rows, next));
        }
    }
    let keyspace = place.keyspace + 1;
    let next = (keyspace < STATE_KEYSPACES.len()).then_some(StatePlace { keyspace, after: None });
    Ok((rows, next))
}

/// Whether the event of the receipt is in the log. If so, the record of the event contains the receipt.
fn is_recorded(receipt: &[u8]) -> bool {
    serde_json::from_slice::<ReceiptState<'_>>(receipt).is_ok_and(|receipt| receipt.state == "recorded")
}

/// The keyspaces, in the order of [`STATE_KEYSPACES`].
pub(super) fn keyspaces(keys: &Keyspaces) -> [&NumberedKeyspace; STATE_KEYSPACES.len()] {
    [
        &keys.receipts,
        &keys.queue,
        &keys.receives,
        &keys.first_receives,
        &keys.dead_letters,
        &keys.parked_sequences,
        &keys.dead_letter_ids,
        &keys.alerts,
        &keys.webhooks,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_receipts_of_recorded_events_are_left_out() {
        assert!(is_recorded(br#"{"type":"order_paid","state":"recorded","version":2}"#));
        for kept in [&br#"{"type":"order_paid","state":"rejected","reason":"x"}"#[..], b"{}", b"damaged"] {
            assert!(!is_recorded(kept));
        }
    }
}
