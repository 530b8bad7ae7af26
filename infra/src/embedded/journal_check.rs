//! A look at fjall's journals before fjall opens them.
//!
//! On open, fjall cuts a journal off at the first entry it cannot read. After a crash that is right: what is cut off
//! is the torn end of a batch that was never acknowledged. After damage in the middle (a flipped bit, an overwritten
//! block) it would silently throw away every acknowledged batch behind it. So: where a journal cannot be read, but a
//! whole batch follows further on, refuse to open it. Reads only.
//!
//! The layout is that of fjall's disk format 3: a batch is a start (tag 1, item count u32, sequence number u64),
//! items (tag 2, value type u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32,
//! key, stored value) or clears (tag 4, keyspace u64), and an end (tag 3, checksum u64, `FJL` 3), little-endian.
//! Behind the last batch there are zeros, for journals are allocated in advance.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::folder::OpenError;

const TRAILER: &[u8; 4] = b"FJL\x03";
/// What reaches the disk whole, or not at all.
const PAGE: u64 = 4096;

/// The journals in a store, in no order.
pub(super) fn journals(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(store) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension() == Some(OsStr::new("jnl"))).collect()
}

/// Errs if opening the store would cut off whole batches.
pub(super) fn check(store: &Path) -> Result<(), OpenError> {
    for journal in journals(store) {
        let lost = batches_behind_damage(&journal).map_err(|source| OpenError::io(&journal, source))?;
        if let Some(position) = lost {
            let what = format!("it cannot be read at byte {position}, and whole batches follow behind that");
            return Err(OpenError::damaged(&journal, what));
        }
    }
    Ok(())
}

/// Where the journal becomes unreadable, if whole batches follow behind that.
fn batches_behind_damage(journal: &Path) -> io::Result<Option<u64>> {
    let file = File::open(journal)?;
    let length = file.metadata()?.len();
    let mut scan = Scan { reader: BufReader::with_capacity(1 << 20, file), length, last_batch: None };
    let mut good = 0;
    while let Some(length) = scan.skip_entry()? {
        good += length;
    }
    let mut reader = scan.reader;
    reader.seek(SeekFrom::Start(good))?;
    let mut rest_of_page = Vec::new();
    reader.by_ref().take(PAGE - good % PAGE).read_to_end(&mut rest_of_page)?;
    if rest_of_page.iter().all(|byte| *byte == 0) {
        // The end, or a hole: a crash can leave those, damage by itself does not. A single zero says nothing, for a
        // damaged length leads anywhere.
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(good))?;
    Ok(contains_trailer(reader)?.then_some(good))
}

struct Scan {
    reader: BufReader<File>,
    length: u64,
    /// The sequence number of the last batch; they only ever grow, and fjall's checksum does not cover them.
    last_batch: Option<u64>,
}

impl Scan {
    /// Moves behind the next entry and tells its length; `None` where there is no readable one.
    fn skip_entry(&mut self) -> io::Result<Option<u64>> {
        let Some([tag]) = self.fill()? else { return Ok(None) };
        match tag {
            1 => {
                let Some(start) = self.fill::<12>()? else { return Ok(None) };
                let [_, _, _, _, seqno @ ..] = start;
                let seqno = u64::from_le_bytes(seqno);
                let grows = self.last_batch.replace(seqno).is_none_or(|last| last < seqno);
                Ok(grows.then_some(13))
            }
            2 => self.skip_item(),
            3 => Ok(self.fill::<12>()?.filter(|end| end[8..] == *TRAILER).map(|_| 13)),
            4 => Ok(self.fill::<8>()?.map(|_| 9)),
            _ => Ok(None),
        }
    }

    fn skip_item(&mut self) -> io::Result<Option<u64>> {
        let Some(item) = self.fill::<20>()?.filter(|item| item[0] <= 4 && item[1] <= 1) else {
            return Ok(None);
        };
        let key = i64::from(u16::from_le_bytes([item[10], item[11]]));
        let value = i64::from(u32::from_le_bytes([item[16], item[17], item[18], item[19]]));
        let end = self.reader.stream_position()?.saturating_add_signed(key + value);
        if end > self.length {
            return Ok(None);
        }
        self.reader.seek_relative(key + value)?;
        Ok(Some(21 + (key + value).unsigned_abs()))
    }

    /// The next bytes; `None` at the end of the file.
    fn fill<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        match self.reader.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn contains_trailer(mut reader: BufReader<File>) -> io::Result<bool> {
    let mut window = Vec::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        window.extend_from_slice(&chunk[..read]);
        if window.windows(TRAILER.len()).any(|bytes| bytes == TRAILER) {
            return Ok(true);
        }
        window.drain(..window.len() - (TRAILER.len() - 1).min(window.len()));
    }
}
