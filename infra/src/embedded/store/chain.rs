//! Numbers the commits, so that the next start finds out whether one of them is missing. Each commit has a row in the
//! keyspace `meta` with its number, and with the sequence number of the latest write before it to each of [`KEPT`]. The
//! numbers have no gaps: a journal that begins with commit 70 proves that 69 others were made, and its first row says up
//! to which sequence number tables must hold what those wrote.

use anyhow::Context;

use super::keys;

/// The numbers of the keyspaces that are never removed from, so that their tables always hold their latest write. What
/// comes and goes (the queue, dead letters) is checked against the ledger instead, and what follows from the log can be
/// rebuilt.
pub(crate) const KEPT: [u64; 3] = [keys::LOG, keys::RECEIPTS, keys::META];

/// Of each of [`KEPT`], the sequence number of the latest write to it; 0 if there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LastWrites(pub(crate) [u64; KEPT.len()]);

/// Those of [`KEPT`] that a commit writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Touched([bool; KEPT.len()]);

impl Touched {
    /// Notes a write to the keyspace of this number.
    pub(crate) fn add(&mut self, keyspace: u64) {
        let known = KEPT.iter().position(|kept| *kept == keyspace);
        known.into_iter().for_each(|at| self.0[at] = true);
    }
}

/// A commit's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    /// The number of the commit, from 1.
    pub(crate) commit: u64,
    /// What this commit writes to.
    touched: Touched,
    /// The latest writes before it.
    pub(crate) before: LastWrites,
}

impl Link {
    /// Of the row in `meta`.
    pub(crate) const KEY: &[u8] = b"chain";

    pub(crate) fn encode(&self) -> Vec<u8> {
        let numbers = std::iter::once(self.commit).chain(self.before.0);
        numbers.flat_map(u64::to_be_bytes).chain(self.touched.0.map(u8::from)).collect()
    }

    pub(crate) fn decode(row: &[u8]) -> anyhow::Result<Self> {
        let parts = || {
            let (numbers, touched) = row.split_at_checked(8 * (1 + KEPT.len()))?;
            let (numbers, []) = numbers.as_chunks() else { return None };
            let mut numbers = numbers.iter().map(|number| u64::from_be_bytes(*number));
            let commit = numbers.next()?;
            let before = LastWrites(numbers.collect::<Vec<_>>().try_into().ok()?);
            let touched: [u8; KEPT.len()] = touched.try_into().ok()?;
            Some(Self { commit, touched: Touched(touched.map(|touched| touched != 0)), before })
        };
        parts().context("a row of the chain of commits that is none")
    }
}

/// The latest commit, and what the next one needs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chain {
    pub(crate) commit: u64,
    pub(crate) last: LastWrites,
}

impl Chain {
    /// After the commit of this row, which fjall gave this sequence number.
    pub(crate) fn after(link: &Link, seqno: u64) -> Self {
        let mut last = link.before;
        let touched = last.0.iter_mut().zip(link.touched.0).filter(|(_, touched)| *touched);
        touched.for_each(|(last, _)| *last = seqno);
        Self { commit: link.commit, last }
    }

    /// The row of the next commit.
    pub(crate) fn next(&self, touched: Touched) -> Link {
        Link { commit: self.commit + 1, touched, before: self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_knows_the_latest_writes_before_it() {
        let (mut first, mut second) = (Touched::default(), Touched::default());
        [keys::LOG, keys::META].into_iter().for_each(|keyspace| first.add(keyspace));
        [keys::RECEIPTS, keys::META, 99].into_iter().for_each(|keyspace| second.add(keyspace));
        let chain = Chain::after(&Chain::default().next(first), 40);
        assert_eq!((chain.commit, chain.last), (1, LastWrites([40, 0, 40])));
        let link = chain.next(second);
        assert_eq!(Link::decode(&link.encode()).unwrap(), link);
        let chain = Chain::after(&link, 41);
        assert_eq!((chain.commit, chain.last), (2, LastWrites([40, 41, 41])));
        assert!(Link::decode(b"short").is_err());
    }
}
