//! Cuts the rows of the keyspaces into segments. [`increment`](super::increment) adds the rows and stores the segments.
//!
//! The key and the size of a row determine whether a segment ends after the row. So adding or removing a row changes
//! only the segment around that row. The segments of all other rows stay the same files.

use xxhash_rust::xxh3::xxh3_64;

use super::row::StateRow;
use super::segment::FULL_SEGMENT_BYTES;

/// The average size of the lines of a segment, in bytes.
const AVERAGE_SEGMENT_BYTES: u64 = 1 << 20;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StateLines {
    pub(super) keyspace: String,
    pub(super) rows: u64,
    pub(super) lines: Vec<u8>,
}

/// Collects rows, and cuts them into segments.
#[derive(Debug, Default)]
pub(super) struct StateCutter(StateLines);

impl StateCutter {
    /// Adds a row. Returns the lines of the segments that are complete.
    pub(super) fn add(&mut self, keyspace: &str, row: &StateRow) -> anyhow::Result<[Option<StateLines>; 2]> {
        let before = if self.0.keyspace == keyspace { None } else { self.take() };
        if before.is_some() || self.0.keyspace != keyspace {
            keyspace.clone_into(&mut self.0.keyspace);
        }
        let size = self.0.lines.len();
        row.encode(&mut self.0.lines)?;
        self.0.rows += 1;
        let size = (self.0.lines.len() - size) as u64;
        let is_full = self.0.lines.len() >= FULL_SEGMENT_BYTES || ends_segment(&row.key, size);
        let after = if is_full { self.take() } else { None };
        Ok([before, after])
    }

    /// Takes the lines since the last cut, if there are any.
    pub(super) fn take(&mut self) -> Option<StateLines> {
        let lines = std::mem::take(&mut self.0);
        self.0.keyspace.clone_from(&lines.keyspace);
        (lines.rows > 0).then_some(lines)
    }
}

/// Whether a segment ends after the row with `key`. Segments end so often that they have the average size.
fn ends_segment(key: &[u8], size: u64) -> bool {
    let chance = size.saturating_mul(1 << 32) / AVERAGE_SEGMENT_BYTES;
    xxh3_64(key) & 0xFFFF_FFFF < chance
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn cut(rows: impl Iterator<Item = u64>) -> BTreeSet<Vec<u8>> {
        let mut cutter = StateCutter::default();
        let mut segments = BTreeSet::new();
        let mut add = |lines: Option<StateLines>| segments.extend(lines.map(|lines| lines.lines));
        for number in rows {
            let row = StateRow { key: number.to_be_bytes().to_vec(), value: vec![b'x'; 1000] };
            cutter.add("queue", &row).unwrap().into_iter().for_each(&mut add);
        }
        add(cutter.take());
        segments
    }

    #[test]
    fn a_row_that_changes_leaves_the_other_segments_as_they_are() {
        let all = cut(0..20_000);
        assert!((10..40).contains(&all.len()), "{}", all.len());
        for removed in [0, 1, 777, 9_999, 19_999] {
            let without = cut((0..20_000).filter(|number| *number != removed));
            let changed = all.difference(&without).count();
            assert!((1..=2).contains(&changed), "{changed} segments changed without row {removed}");
        }
        let longer = cut(0..30_000);
        assert!(all.difference(&longer).count() <= 1, "the last segment grew");
    }

    #[test]
    fn each_keyspace_has_its_own_segments() {
        let mut cutter = StateCutter::default();
        let row = |key: &[u8]| StateRow { key: key.to_vec(), value: b"1".to_vec() };
        assert_eq!(cutter.add("queue", &row(b"a")).unwrap(), [None, None]);
        assert_eq!(cutter.add("queue", &row(b"b")).unwrap(), [None, None]);
        let [before, after] = cutter.add("alerts", &row(b"a")).unwrap();
        let before = before.unwrap();
        assert_eq!((before.keyspace.as_str(), before.rows, after), ("queue", 2, None));
        let last = cutter.take().unwrap();
        assert_eq!((last.keyspace.as_str(), last.rows), ("alerts", 1));
        assert_eq!(cutter.take(), None);
    }
}
