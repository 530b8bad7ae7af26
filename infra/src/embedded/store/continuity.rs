//! Decides, before fjall opens a store, whether everything is there that was promised to be. It only reads.
//!
//! fjall cuts a journal off at the first place it cannot read. After a power cut that is right: what is cut off was never
//! acknowledged. After damage it would throw away acknowledged commits without a word. So:
//!
//! 1. The lists of tables are whole, and so are the tables, as far as [`VERIFIED_AT_OPEN`] allows.
//! 2. The commits in the journals are numbered without a gap ([`super::chain`]). Where one begins behind a gap (older
//!    journals are removed once tables hold what is in them), the tables hold every write before it.
//! 3. The journals reach to the synced [`Extent`], or the tables do.
//!
//! What is behind the extent was not acknowledged, and may end anywhere.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::chain::{Chain, KEPT, LastWrites, Link};
use super::extent::Extent;
use super::keys;
use super::layout::journal::{self, Batch, Batches};
use super::layout::manifest::Manifest;
use super::layout::{Fault, journals, keyspace_path};
use super::writer::Books;

/// Tables are read whole and verified before a start if they have no more bytes than this in all: it takes well under a
/// second. Larger ones are verified by `orders rebuild --check`, and each block of them when it is read.
const VERIFIED_AT_OPEN: u64 = 128 << 20;

/// Why a store must not be opened.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// Commits that were on the disk cannot be read from here on.
    Cut(Box<Cut>),
    /// Older commits are neither in tables nor in journals; what is there can be read.
    Missing(PathBuf, String),
    /// A file is missing or damaged that nothing can stand in for.
    Beyond(PathBuf, String),
}

/// Where the readable commits end too early.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The journal, and the byte in it from which on it is of no use.
    pub(crate) journal: u64,
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    /// The latest commit before it.
    pub(crate) kept: Chain,
    /// How many commits are missing that were on the disk, and with them how many accepted and recorded events, if known.
    pub(crate) commits: Option<u64>,
    pub(crate) accepted: Option<u64>,
    pub(crate) recorded: Option<u64>,
    /// Whole commits that can be read behind it.
    pub(crate) readable: u64,
}

impl From<Fault> for Flaw {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(path, source) => Self::Io(path, source),
            Fault::Damaged(path, what) => Self::Beyond(path, what),
        }
    }
}

impl Cut {
    /// What was found, for the operator.
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
            "{file} cannot be read from byte {} on, and what was on the disk behind that is missing: {lost} ({} commits \
             behind it can be read)",
            self.offset, self.readable
        )
    }
}

/// The end of a journal, behind what was promised.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) path: PathBuf,
    /// Where the whole commits that nobody was promised begin and end.
    pub(crate) commits: Range<u64>,
    /// Whether what a power cut left of another commit follows.
    pub(crate) is_torn: bool,
}

/// Checks the store, and returns the ends of its journals. `extent` is what was promised; `None` for a folder of format 3,
/// which did not record it.
pub(crate) fn check(store: &Path, extent: Option<&Extent>) -> Result<Vec<Tail>, Flaw> {
    let tables = Tables::read(store)?;
    let mut scan = Scan::default();
    let mut tails = Vec::new();
    let journals = journals(store)?;
    if journals.is_empty() {
        return Err(Flaw::Beyond(store.to_owned(), "the store has no journal (*.jnl)".to_owned()));
    }
    for (at, (number, path)) in journals.iter().enumerate() {
        let bytes = journal::read(path).map_err(|source| Flaw::Io(path.clone(), source))?;
        let mut batches = Batches::of(&bytes);
        let mut promised = 0;
        for batch in &mut batches {
            if let Some(commit) = scan.add(&batch, &tables, path)? {
                let at_start = batch.range.start == 0;
                if !at_start {
                    let offset = batch.range.start as u64;
                    scan.ends.push(End { number: *number, path: path.clone(), offset });
                }
                return Err(scan.cut_before(commit, extent, &journals[at..]));
            }
            if extent.is_some_and(|extent| scan.chain.commit <= extent.commit) {
                promised = batch.range.end as u64;
            }
        }
        let behind = || batches.behind().len() as u64;
        scan.ends.push(End { number: *number, path: path.clone(), offset: batches.end as u64 });
        match extent {
            None if !hole(&bytes[batches.end..]) && behind() > 0 => {
                return Err(scan.cut(None, behind(), &journals[at + 1..]));
            }
            Some(extent) if !batches.ends_clean() && scan.chain.commit < extent.commit => {
                let readable = behind();
                // Behind a journal that ends too early, another may go on where tables fill the gap.
                if at + 1 == journals.len() && !tables.hold(&extent.last) {
                    return Err(scan.cut(Some(extent), readable, &[]));
                }
            }
            _ => {}
        }
        let commits = promised..batches.end as u64;
        tails.push(Tail { path: path.clone(), commits, is_torn: !batches.ends_clean() });
    }
    match extent {
        Some(extent) if scan.chain.commit < extent.commit && !tables.hold(&extent.last) => {
            Err(scan.cut(Some(extent), 0, &[]))
        }
        _ => Ok(tails),
    }
}

/// Whether the page that the journal ends in is empty from there on: a crash can leave that, damage by itself does not.
fn hole(rest: &[u8]) -> bool {
    const PAGE: usize = 4096;
    rest.iter().take(PAGE).all(|byte| *byte == 0)
}

/// Verifies every table of the store, however large.
pub(crate) fn verify_tables(store: &Path, progress: &dyn Fn(u64)) -> Result<u64, Flaw> {
    let mut verified = 0;
    for keyspace in 0..=keys::META {
        for table in Manifest::read(&keyspace_path(store, keyspace))?.tables {
            table.verify()?;
            verified += table.bytes;
            progress(verified);
        }
    }
    Ok(verified)
}

/// Up to which sequence number the tables of [`KEPT`] hold everything.
pub(crate) struct Tables(LastWrites);

impl Tables {
    fn read(store: &Path) -> Result<Self, Flaw> {
        // fjall makes anew a keyspace that it misses, and deletes what is left over then.
        let manifests = (0..=keys::META).map(|number| Manifest::read(&keyspace_path(store, number)));
        let manifests = manifests.collect::<Result<Vec<_>, _>>()?;
        let all = || manifests.iter().flat_map(|manifest| &manifest.tables);
        if all().map(|table| table.bytes).sum::<u64>() <= VERIFIED_AT_OPEN {
            all().try_for_each(|table| table.verify())?;
        }
        Ok(Self(LastWrites(KEPT.map(|number| manifests[number as usize].highest().unwrap_or(0)))))
    }

    /// Whether they hold all writes up to these.
    fn hold(&self, last: &LastWrites) -> bool {
        self.missing(last).is_none()
    }

    /// The first keyspace whose tables end too early: its number, where they end, and where they should.
    fn missing(&self, last: &LastWrites) -> Option<(u64, u64, u64)> {
        let ends = KEPT.into_iter().zip(self.0.0).zip(last.0);
        ends.map(|((keyspace, held), last)| (keyspace, held, last)).find(|(_, held, last)| held < last)
    }
}

/// Where the readable part of a journal ends.
struct End {
    number: u64,
    path: PathBuf,
    offset: u64,
}

/// What was read of the journals so far.
#[derive(Default)]
struct Scan {
    chain: Chain,
    books: Option<Books>,
    ends: Vec<End>,
}

impl Scan {
    /// Adds a batch. If there is a gap before it that the tables do not fill, the number of its commit is returned.
    fn add(&mut self, batch: &Batch<'_>, tables: &Tables, path: &Path) -> Result<Option<u64>, Flaw> {
        let damaged = |what: String| Flaw::Beyond(path.to_owned(), what);
        let at = batch.range.start;
        let mut link = None;
        for item in batch.items().filter(|item| item.keyspace == keys::META) {
            let value = || item.value.and_then(|value| value.read());
            if item.key == Link::KEY {
                let row = value().unwrap_or_default();
                link = Some(Link::decode(&row).map_err(|error| damaged(format!("at byte {at}: {error}")))?);
            } else if item.key == keys::LEDGER {
                self.books = value().and_then(|row| serde_json::from_slice(&row).ok());
            }
        }
        let Some(link) = link else {
            // Those before the folder's upgrade have none.
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
                        "it begins with commit {}, before which keyspace {keyspace} was written up to sequence number \
                         {last}, and the tables of that end at {held}: an older journal or a table is missing",
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

    /// The commits end where the latest journal that was read does; `readable` are behind that in the same journal.
    fn cut(&self, extent: Option<&Extent>, readable: u64, later: &[(u64, PathBuf)]) -> Flaw {
        // Where a journal has nothing that can be read, the one before it ended well.
        let Some(end) = self.ends.last() else {
            return Flaw::Beyond(PathBuf::new(), "the store has no journal".to_owned());
        };
        let lost = |of: fn(&Books) -> u64, promised: fn(&Extent) -> u64| {
            Some(promised(extent?).saturating_sub(of(self.books.as_ref()?)))
        };
        Flaw::Cut(Box::new(Cut {
            journal: end.number,
            path: end.path.clone(),
            offset: end.offset,
            kept: self.chain,
            commits: extent.map(|extent| extent.commit.saturating_sub(self.chain.commit)),
            accepted: lost(|books| books.ledger.accepted, |extent| extent.accepted),
            recorded: lost(|books| books.ledger.recorded, |extent| extent.recorded),
            readable: readable + later.iter().map(|(_, path)| batches_in(path)).sum::<u64>(),
        }))
    }

    /// The commits end before a gap; the `later` journals begin behind it, with this commit.
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
    journal::read(journal).map_or(0, |bytes| Batches::of(&bytes).count() as u64)
}
