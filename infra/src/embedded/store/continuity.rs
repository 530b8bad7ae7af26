//! Checks that a store contains every acknowledged write before fjall opens it. Opening and recovery call this check.
//!
//! fjall cuts off a journal at the first place that it cannot read. After a power cut that is correct: the data after
//! that place was never acknowledged. But if the journal is damaged, fjall silently discards acknowledged commits. The
//! check requires:
//!
//! 1. The lists of tables and the tables are whole. The tables are verified only if they are not larger than
//!    [`MAX_BYTES_VERIFIED_AT_OPEN`].
//! 2. The commits in the journals are numbered without gaps ([`super::chain`]). A gap is allowed only if the tables hold
//!    every write before it: old journals are removed once tables hold their content.
//! 3. The journals and the tables contain every write up to the synced [`Extent`].
//!
//! Commits after the extent were not acknowledged, and the journal may end anywhere among them.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::chain::{Chain, KEPT, LastWrites, Link};
use super::counters::Counters;
use super::extent::Extent;
use super::keyspaces;
use super::layout::journal::{self, JournalBatch, JournalBatches};
use super::layout::manifest::TableManifest;
use super::layout::{LayoutError, journals, keyspace_path};

/// The maximum total size of tables that a start verifies, in bytes. Verifying that many takes well under a second.
/// Larger tables are verified by `orders rebuild --check`, and fjall verifies each block that it reads.
const MAX_BYTES_VERIFIED_AT_OPEN: u64 = 128 << 20;

/// Why a store must not be opened.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// The file system returned an error.
    Io(PathBuf, io::Error),
    /// Commits after the cut were synced to the disk, but can no longer be read.
    Cut(Box<JournalCut>),
    /// Some commits are missing from the tables and the journals, although later commits can be read.
    Missing(PathBuf, String),
    /// A file is missing or damaged, and nothing can replace it.
    Irreparable(PathBuf, String),
}

/// The place in the journals where the readable commits end too early.
#[derive(Debug)]
pub(crate) struct JournalCut {
    pub(crate) journal: u64,
    pub(crate) path: PathBuf,
    /// The byte offset at which the readable part of the journal ends.
    pub(crate) offset: u64,
    /// The chain as of the latest commit before the cut.
    pub(crate) kept: Chain,
    /// The number of missing commits that had been synced, and the numbers of accepted and recorded events in those
    /// commits. `None` if unknown.
    pub(crate) commits: Option<u64>,
    pub(crate) accepted: Option<u64>,
    pub(crate) recorded: Option<u64>,
    /// The number of whole commits after the cut that can still be read.
    pub(crate) readable: u64,
}

impl From<LayoutError> for Flaw {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Io(path, source) => Self::Io(path, source),
            LayoutError::Damaged(path, what) => Self::Irreparable(path, what),
        }
    }
}

impl JournalCut {
    pub(crate) fn describe(&self, file: &str) -> String {
        let number = |number: Option<u64>, what: &str| number.map(|number| format!("{number} {what}"));
        let lost = [
            number(self.commits, "commits"),
            number(self.accepted, "accepted events"),
            number(self.recorded, "recorded events"),
        ];
        let lost: Vec<_> = lost.into_iter().flatten().collect();
        let lost = if lost.is_empty() { "commits".to_owned() } else { lost.join(", ") };
        format!(
            "{file} cannot be read from byte {} on, and what was on the disk after that is missing: {lost} ({} commits \
             after it can be read)",
            self.offset, self.readable
        )
    }
}

/// The part of a journal after the latest commit that is known to be durable.
#[derive(Debug)]
pub(crate) struct JournalTail {
    pub(crate) path: PathBuf,
    /// The byte range of the whole commits that are not known to be durable.
    pub(crate) commits: Range<u64>,
    /// Whether the last whole commit is followed by the remains of a torn commit, which a power cut leaves.
    pub(crate) is_torn: bool,
}

/// Checks the store, and returns the ends of its journals. `extent` states which commits must be in the store. `None`
/// for a folder of format 3, which has no extent. The keyspaces up to number `last` must exist.
pub(crate) fn check(store: &Path, extent: Option<&Extent>, last: u64) -> Result<Vec<JournalTail>, Flaw> {
    let tables = TableCoverage::read(store, last)?;
    let mut scan = JournalScan::default();
    let mut tails = Vec::new();
    let journals = journals(store)?;
    if journals.is_empty() {
        return Err(Flaw::Irreparable(store.to_owned(), "the store has no journal (*.jnl)".to_owned()));
    }
    for (at, (number, path)) in journals.iter().enumerate() {
        let bytes = journal::read(path).map_err(|source| Flaw::Io(path.clone(), source))?;
        let mut batches = JournalBatches::of(&bytes);
        let mut promised = 0;
        for batch in &mut batches {
            if let Some(commit) = scan.add(&batch, &tables, path)? {
                let at_start = batch.range.start == 0;
                if !at_start {
                    let offset = batch.range.start as u64;
                    scan.ends.push(JournalEnd { number: *number, path: path.clone(), offset });
                }
                return Err(scan.cut_before(commit, extent, &journals[at..]));
            }
            if extent.is_some_and(|extent| scan.chain.commit <= extent.commit) {
                promised = batch.range.end as u64;
            }
        }
        let readable = || batches.after_end().len() as u64;
        scan.ends.push(JournalEnd { number: *number, path: path.clone(), offset: batches.end as u64 });
        match extent {
            None if !begins_with_hole(&bytes[batches.end..]) && readable() > 0 => {
                return Err(scan.cut(None, readable(), &journals[at + 1..]));
            }
            Some(extent) if !batches.ends_clean() && scan.chain.commit < extent.commit => {
                let readable = readable();
                // A later journal may continue after the missing commits, because the tables may contain the writes of
                // those commits.
                if at + 1 == journals.len() && !tables.hold(&extent.last) {
                    return Err(scan.cut(Some(extent), readable, &[]));
                }
            }
            _ => {}
        }
        let commits = promised..batches.end as u64;
        tails.push(JournalTail { path: path.clone(), commits, is_torn: !batches.ends_clean() });
    }
    match extent {
        Some(extent) if scan.chain.commit < extent.commit && !tables.hold(&extent.last) => {
            Err(scan.cut(Some(extent), 0, &[]))
        }
        _ => Ok(tails),
    }
}

/// Whether the rest of the page in which the journal ends contains only zeros. A crash can leave such a page, but
/// damage alone cannot.
fn begins_with_hole(rest: &[u8]) -> bool {
    const PAGE_BYTES: usize = 4096;
    rest.iter().take(PAGE_BYTES).all(|byte| *byte == 0)
}

/// Verifies every table of the store, however large.
pub(crate) fn verify_tables(store: &Path, last: u64, progress: &dyn Fn(u64)) -> Result<u64, Flaw> {
    let mut verified = 0;
    for keyspace in 0..=last {
        for table in TableManifest::read(&keyspace_path(store, keyspace))?.tables {
            table.verify()?;
            verified += table.bytes;
            progress(verified);
        }
    }
    Ok(verified)
}

/// For each keyspace of [`KEPT`], the sequence number up to which its tables hold every write.
pub(crate) struct TableCoverage(LastWrites);

impl TableCoverage {
    fn read(store: &Path, last: u64) -> Result<Self, Flaw> {
        // Every keyspace must exist. If a keyspace is missing, fjall creates it anew and deletes its remaining files.
        let manifests = (0..=last).map(|number| TableManifest::read(&keyspace_path(store, number)));
        let manifests = manifests.collect::<Result<Vec<_>, _>>()?;
        let all = || manifests.iter().flat_map(|manifest| &manifest.tables);
        if all().map(|table| table.bytes).sum::<u64>() <= MAX_BYTES_VERIFIED_AT_OPEN {
            all().try_for_each(|table| table.verify())?;
        }
        Ok(Self(LastWrites(KEPT.map(|number| manifests[number as usize].highest_seqno().unwrap_or(0)))))
    }

    /// Whether the tables contain every write up to `last`.
    fn hold(&self, last: &LastWrites) -> bool {
        self.missing(last).is_none()
    }

    /// Finds the first keyspace whose tables lack writes. Returns the number of the keyspace, the last write in its
    /// tables, and the last write that the tables should contain.
    fn missing(&self, last: &LastWrites) -> Option<(u64, u64, u64)> {
        let ends = KEPT.into_iter().zip(self.0.0).zip(last.0);
        ends.map(|((keyspace, held), last)| (keyspace, held, last)).find(|(_, held, last)| held < last)
    }
}

/// The place where the readable part of a journal ends.
struct JournalEnd {
    number: u64,
    path: PathBuf,
    offset: u64,
}

/// The journals that were read so far.
#[derive(Default)]
struct JournalScan {
    chain: Chain,
    counters: Option<Counters>,
    ends: Vec<JournalEnd>,
}

impl JournalScan {
    /// Adds a batch from a journal. If commits are missing before the batch and the tables do not contain their writes,
    /// returns the number of the batch's commit.
    fn add(
        &mut self,
        batch: &JournalBatch<'_>,
        tables: &TableCoverage,
        path: &Path,
    ) -> Result<Option<u64>, Flaw> {
        let damaged = |what: String| Flaw::Irreparable(path.to_owned(), what);
        let at = batch.range.start;
        let mut link = None;
        for item in batch.items().filter(|item| item.keyspace == keyspaces::META) {
            let value = || item.value.and_then(|value| value.read());
            if item.key == Link::KEY {
                let row = value().unwrap_or_default();
                link = Some(Link::decode(&row).map_err(|error| damaged(format!("at byte {at}: {error}")))?);
            } else if item.key == keyspaces::LEDGER {
                self.counters = value().and_then(|row| serde_json::from_slice(&row).ok());
            }
        }
        let Some(link) = link else {
            // Commits from before the folder was upgraded have no number.
            let is_old = self.chain.commit == 0;
            return if is_old {
                Ok(None)
            } else {
                Err(damaged(format!("the commit at byte {at} has no number")))
            };
        };
        if link.commit != self.chain.commit + 1 && !tables.hold(&link.before) {
            return match tables.missing(&link.before) {
                Some((keyspace, held, last)) if self.chain.commit == 0 => {
                    let what = format!(
                        "the journal begins with commit {}; before that commit, keyspace {keyspace} was written up to sequence \
                         number {last}, but its tables end at {held}: an older journal or a table is missing",
                        link.commit
                    );
                    Err(Flaw::Missing(path.to_owned(), what))
                }
                _ => Ok(Some(link.commit)),
            };
        }
        self.chain = Chain::after(&link, batch.seqno);
        Ok(None)
    }

    /// Returns the flaw that the readable commits end too early in the journal that was read last. `readable` is the
    /// number of whole commits after that end in the same journal.
    fn cut(&self, extent: Option<&Extent>, readable: u64, later: &[(u64, PathBuf)]) -> Flaw {
        // If nothing in a journal can be read, the cut is at the end of the previous journal.
        let Some(end) = self.ends.last() else {
            return Flaw::Irreparable(PathBuf::new(), "the store has no journal".to_owned());
        };
        let lost = |of: fn(&Counters) -> u64, promised: fn(&Extent) -> u64| {
            Some(promised(extent?).saturating_sub(of(self.counters.as_ref()?)))
        };
        Flaw::Cut(Box::new(JournalCut {
            journal: end.number,
            path: end.path.clone(),
            offset: end.offset,
            kept: self.chain,
            commits: extent.map(|extent| extent.commit.saturating_sub(self.chain.commit)),
            accepted: lost(|counters| counters.ledger.accepted, |extent| extent.accepted),
            recorded: lost(|counters| counters.ledger.recorded, |extent| extent.recorded),
            readable: readable + later.iter().map(|(_, path)| batches_in(path)).sum::<u64>(),
        }))
    }

    /// Returns the flaw that commits are missing before the commit with number `commit`. `later` are the journals from
    /// that commit on.
    fn cut_before(&self, commit: u64, extent: Option<&Extent>, later: &[(u64, PathBuf)]) -> Flaw {
        match self.cut(extent, 0, later) {
            Flaw::Cut(mut cut) => {
                let promised = extent.map_or(commit, |extent| extent.commit.max(commit));
                cut.commits = Some(promised.saturating_sub(self.chain.commit));
                Flaw::Cut(cut)
            }
            other => other,
        }
    }
}

fn batches_in(journal: &Path) -> u64 {
    journal::read(journal).map_or(0, |bytes| JournalBatches::of(&bytes).count() as u64)
}
