//! Counts the commits, so that a start notices if one is missing. The writer adds a [`Link`] to each commit, and the
//! [continuity](super::continuity) check reads the links.
//!
//! A link contains the number of its commit, and the sequence number of the latest earlier write to each keyspace in
//! [`KEPT`]. Commit numbers have no gaps. A journal that begins with commit 70 proves that there were 69 earlier
//! commits. The first link of that journal states up to which sequence number the tables must hold the earlier writes.

use anyhow::Context;

use super::keyspaces;

/// The keyspaces from which nothing is ever removed, so that the tables of these keyspaces always hold the latest
/// write. Other keyspaces need no check: the ledger shows whether the queue or the dead letters have lost messages, and
/// derived writes can be rebuilt.
pub(crate) const KEPT: [u64; 3] = [keyspaces::LOG, keyspaces::RECEIPTS, keyspaces::META];

/// The sequence number of the latest write to each keyspace in [`KEPT`]. 0 for a keyspace without writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LastWrites(pub(crate) [u64; KEPT.len()]);

/// The keyspaces in [`KEPT`] that a commit writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TouchedKeyspaces([bool; KEPT.len()]);

impl TouchedKeyspaces {
    pub(crate) fn add(&mut self, keyspace: u64) {
        let known = KEPT.iter().position(|kept| *kept == keyspace);
        known.into_iter().for_each(|at| self.0[at] = true);
    }
}

/// The row of `meta` that links a commit to the previous commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    /// The number of the commit. The first commit has number 1.
    pub(crate) commit: u64,
    touched: TouchedKeyspaces,
    /// The latest write to each kept keyspace before the commit of the link.
    pub(crate) before: LastWrites,
}

impl Link {
    /// The key of the link in the keyspace `meta`.
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
            Some(Self { commit, touched: TouchedKeyspaces(touched.map(|touched| touched != 0)), before })
        };
        parts().context("the row of the commit chain is malformed")
    }
}

/// The end of the commit chain: the latest commit, and the latest writes up to that commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chain {
    pub(crate) commit: u64,
    pub(crate) last: LastWrites,
}

impl Chain {
    /// The end of the chain after the commit that contains `link`. `seqno` is the sequence number that fjall gave to
    /// the commit.
    pub(crate) fn after(link: &Link, seqno: u64) -> Self {
        let mut last = link.before;
        let touched = last.0.iter_mut().zip(link.touched.0).filter(|(_, touched)| *touched);
        touched.for_each(|(last, _)| *last = seqno);
        Self { commit: link.commit, last }
    }

    /// The link of the next commit.
    pub(crate) fn next(&self, touched: TouchedKeyspaces) -> Link {
        Link { commit: self.commit + 1, touched, before: self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_contains_the_latest_writes_before_it() {
        let (mut first, mut second) = (TouchedKeyspaces::default(), TouchedKeyspaces::default());
        [keyspaces::LOG, keyspaces::META].into_iter().for_each(|keyspace| first.add(keyspace));
        [keyspaces::RECEIPTS, keyspaces::META, 99].into_iter().for_each(|keyspace| second.add(keyspace));
        let chain = Chain::after(&Chain::default().next(first), 40);
        assert_eq!((chain.commit, chain.last), (1, LastWrites([40, 0, 40])));
        let link = chain.next(second);
        assert_eq!(Link::decode(&link.encode()).unwrap(), link);
        let chain = Chain::after(&link, 41);
        assert_eq!((chain.commit, chain.last), (2, LastWrites([40, 41, 41])));
        assert!(Link::decode(b"short").is_err());
    }
}
