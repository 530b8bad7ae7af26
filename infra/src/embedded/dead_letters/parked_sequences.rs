//! Reads dead letters: by id, by sequence number, and in the parked sequence of an order. A sequence may be long, so
//! every function reads only the dead letters that its caller requests.

use anyhow::Context;
use domain::{DeadLetter, OrderId};

use super::DeadLetters;
use crate::embedded::store::keys;
use crate::embedded::store::views::ReadStore;

impl DeadLetters {
    /// The dead letter with the id `id`, and its sequence number, as of the latest commit.
    pub(crate) fn find(&self, id: &str) -> anyhow::Result<Option<(u64, DeadLetter)>> {
        self.find_in(&self.store.latest(), id)
    }

    pub(crate) fn find_in(
        &self,
        state: &impl ReadStore,
        id: &str,
    ) -> anyhow::Result<Option<(u64, DeadLetter)>> {
        let Some(seq) = state.get(&self.store.keys.dead_letter_ids, id)? else { return Ok(None) };
        let seq = keys::seq_of(&seq)?;
        Ok(self.at(state, seq)?.map(|letter| (seq, letter)))
    }

    pub(crate) fn at(&self, state: &impl ReadStore, seq: u64) -> anyhow::Result<Option<DeadLetter>> {
        let row = state.get(&self.store.keys.dead_letters, seq.to_be_bytes())?;
        row.map(|row| serde_json::from_slice(&row).context("a dead letter")).transpose()
    }

    /// The sequence numbers below `end` in the order's parked sequence, in ascending order.
    pub(crate) fn sequence_in<R: ReadStore>(
        &self,
        state: &R,
        order_id: &OrderId,
        end: u64,
    ) -> impl DoubleEndedIterator<Item = anyhow::Result<u64>> + use<R> {
        let range = || keys::parked_key(order_id, 0)..keys::parked_key(order_id, end);
        // Usually the store has no dead letters, so that no read is needed.
        let rows =
            (state.dead_letters() > 0).then(|| state.range(&self.store.keys.parked_sequences, range()));
        rows.into_iter().flatten().map(|row| keys::parked_seq(&row.key()?))
    }

    /// The length of the order's parked sequence, but at most `max`.
    pub(crate) fn sequence_length(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
        max: usize,
    ) -> anyhow::Result<u64> {
        let mut sequence = self.sequence_in(state, order_id, u64::MAX).take(max);
        sequence.try_fold(0, |count, seq| seq.map(|_| count + 1))
    }

    /// The first dead letters of the order's parked sequence, up to `max` of them.
    pub(crate) fn first_of_sequence(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
        max: usize,
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let letters = self.sequence_in(state, order_id, u64::MAX).map(|seq| self.at(state, seq?));
        letters.filter_map(anyhow::Result::transpose).take(max).collect()
    }
}
