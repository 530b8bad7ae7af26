//! The file `EXTENT`: how far the journals are on the disk. The syncing thread writes the file after each sync, and the
//! next start compares the journals with it. The file is separate from the journals, so that a damaged journal cannot
//! hide which commits must be there.
//!
//! ```text
//! byte 0     first slot   "ORDEXT1\n", the numbers of an `Extent` (u64 each), and the XXH3 of these bytes (u64)
//! byte 4096  second slot  the same format
//! ```
//!
//! All numbers are little-endian. If both slots are intact, the slot with the later commit is valid.
//!
//! The syncing thread overwrites the older slot after each sync of the journal, once the callers have their results. A
//! slot lies within one sector, so a power cut leaves either the old or the new content of the slot. The file itself is
//! synced once a second and when the service stops. After a power cut, the file may lag behind the journals by a
//! second, but is never ahead of them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use domain::Ledger;
use xxhash_rust::xxh3::xxh3_64;

use super::chain::{Chain, KEPT, LastWrites};
use crate::now;

const MAGIC: &[u8; 8] = b"ORDEXT1\n";
const SLOT_BYTES: u64 = 4096;
/// The size of a slot: the magic, five numbers, the latest writes, and the checksum.
const EXTENT_BYTES: usize = 8 * (1 + 5 + KEPT.len() + 1);

/// States that all commits up to the commit with number `commit` are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) commit: u64,
    /// The number of the journal that contains the commit.
    pub(crate) journal: u64,
    /// The time when the commit was synced, in microseconds since 1970.
    pub(crate) at: i64,
    /// The number of accepted events in the ledger, as of the extent's commit.
    pub(crate) accepted: u64,
    /// The number of recorded events in the ledger, as of the extent's commit.
    pub(crate) recorded: u64,
    /// The latest write to each kept keyspace, including the extent's commit.
    pub(crate) last: LastWrites,
}

impl Extent {
    /// The extent after everything up to the latest commit of `chain` was synced just now.
    pub(crate) fn now(chain: &Chain, journal: u64, ledger: &Ledger) -> Self {
        let Ledger { accepted, recorded, .. } = *ledger;
        Self { commit: chain.commit, journal, at: now().micros(), accepted, recorded, last: chain.last }
    }

    fn encode(&self) -> Vec<u8> {
        let numbers = [self.commit, self.journal, self.at as u64, self.accepted, self.recorded];
        let numbers = numbers.into_iter().chain(self.last.0);
        let mut bytes: Vec<u8> = MAGIC.iter().copied().chain(numbers.flat_map(u64::to_le_bytes)).collect();
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; EXTENT_BYTES]) -> Option<Self> {
        let (numbers, checksum) = bytes.split_last_chunk()?;
        if xxh3_64(numbers) != u64::from_le_bytes(*checksum) {
            return None;
        }
        let (magic, numbers) = numbers.split_first_chunk()?;
        let (chunks, []) = numbers.as_chunks() else { return None };
        let mut numbers = chunks.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next();
        let extent = Self {
            commit: next()?,
            journal: next()?,
            at: next()? as i64,
            accepted: next()?,
            recorded: next()?,
            last: LastWrites(numbers.collect::<Vec<_>>().try_into().ok()?),
        };
        (magic == MAGIC).then_some(extent)
    }
}

/// The file `EXTENT`, opened for writing.
#[derive(Debug)]
pub(crate) struct ExtentFile {
    file: File,
    /// The number of the slot to overwrite next: 0 or 1.
    next: u64,
    is_dirty: bool,
}

impl ExtentFile {
    pub(crate) const NAME: &str = "EXTENT";

    /// Creates the file, or replaces its content, and syncs it. The caller must sync the folder.
    pub(crate) fn create(folder: &Path, extent: &Extent) -> io::Result<Self> {
        let file = File::create(folder.join(Self::NAME))?;
        file.set_len(2 * SLOT_BYTES)?;
        file.write_all_at(&extent.encode(), 0)?;
        file.sync_all()?;
        Ok(Self { file, next: 1, is_dirty: false })
    }

    /// Opens the existing file. `extent` is the extent that [`ExtentFile::read`] has read from this file.
    pub(crate) fn open(folder: &Path, extent: &Extent) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(folder.join(Self::NAME))?;
        let newest = slot(&file, 0)?.is_some_and(|first| first == *extent);
        Ok(Self { file, next: u64::from(newest), is_dirty: false })
    }

    /// The newest extent in the file, or `None` if no slot is whole.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Extent>> {
        let file = File::open(folder.join(Self::NAME))?;
        let extents = [slot(&file, 0)?, slot(&file, 1)?];
        Ok(extents.into_iter().flatten().max_by_key(|extent| extent.commit))
    }

    /// Records that everything up to `extent` is on the disk.
    pub(crate) fn write(&mut self, extent: &Extent) -> io::Result<()> {
        self.file.write_all_at(&extent.encode(), self.next * SLOT_BYTES)?;
        (self.next, self.is_dirty) = (1 - self.next, true);
        Ok(())
    }

    /// Whether the file has changed since its last sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.is_dirty = false;
        self.file.sync_data()
    }
}

fn slot(file: &File, number: u64) -> io::Result<Option<Extent>> {
    let mut bytes = [0; EXTENT_BYTES];
    match file.read_exact_at(&mut bytes, number * SLOT_BYTES) {
        Ok(()) => Ok(Extent::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(commit: u64) -> Extent {
        let last = LastWrites(std::array::from_fn(|keyspace| commit * 10 + keyspace as u64));
        Extent { commit, journal: 7, at: -1, accepted: commit * 2, recorded: commit, last }
    }

    #[test]
    fn the_newest_whole_slot_counts_whichever_slot_is_damaged() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(ExtentFile::NAME);
        let read = || ExtentFile::read(folder.path()).unwrap();
        let mut file = ExtentFile::create(folder.path(), &extent(1)).unwrap();
        assert_eq!(read(), Some(extent(1)));
        for commit in 2..5 {
            file.write(&extent(commit)).unwrap();
            assert_eq!(read(), Some(extent(commit)));
        }
        // A reopened file also overwrites the older slot first.
        let mut file = ExtentFile::open(folder.path(), &extent(4)).unwrap();
        file.write(&extent(5)).unwrap();
        let good = std::fs::read(&path).unwrap();
        for (position, left) in [(0, 5), (EXTENT_BYTES - 1, 5), (4096, 4), (4096 + 20, 4)] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let left = [4, 5].contains(&left).then(|| extent(left));
            assert!(read() == left || read() == Some(extent(9 - left.unwrap().commit)), "{position}");
        }
        std::fs::write(&path, [0; 100]).unwrap();
        assert_eq!(read(), None);
    }
}
