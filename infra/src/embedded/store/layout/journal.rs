//! Reads fjall's journals. The continuity check and recovery call this module.
//!
//! In fjall's disk format 3, a batch consists of a start, then items and clears, and an end. All numbers are little-endian:
//!
//! | part | tag | then |
//! |---|---|---|
//! | start | 1 | item count u32, sequence number u64 |
//! | item | 2 | value type u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, stored value |
//! | clear | 4 | keyspace u64 |
//! | end | 3 | XXH3 of the items u64, `FJL` 3 |
//!
//! fjall allocates journals in advance, so zeros follow the last batch until the store is opened again.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
const START_BYTES: usize = 13;

/// Reads a journal without the zeros after its last batch. Most of a new journal is zeros, so reading the journal takes
/// little memory.
pub(crate) fn read(journal: &Path) -> io::Result<Vec<u8>> {
    const CHUNK_BYTES: usize = 256 << 10;
    let mut file = File::open(journal)?;
    let (mut content, mut chunk, mut zeros) = (Vec::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(content);
        }
        match chunk[..length].iter().rposition(|byte| *byte != 0) {
            Some(last) => {
                content.resize(content.len() + zeros, 0);
                content.extend_from_slice(&chunk[..=last]);
                zeros = length - last - 1;
            }
            None => zeros += length,
        }
    }
}

/// An atomic batch that is whole and has the right checksum.
#[derive(Debug, Clone)]
pub(crate) struct JournalBatch<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) seqno: u64,
    items: &'a [u8],
}

/// A write of a batch to one key: a value or a removal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalItem<'a> {
    pub(crate) keyspace: u64,
    pub(crate) key: &'a [u8],
    /// The value, or `None` for a removal.
    pub(crate) value: Option<JournalValue<'a>>,
}

/// A value as the journal stores it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalValue<'a> {
    stored: &'a [u8],
    /// The length of the value before compression, or `None` if the value is not compressed.
    uncompressed_bytes: Option<usize>,
}

impl JournalValue<'_> {
    /// The value, or `None` if it cannot be decompressed.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        match self.uncompressed_bytes {
            None => Some(self.stored.to_vec()),
            Some(length) => lz4_flex::decompress(self.stored, length).ok(),
        }
    }
}

impl<'a> JournalBatch<'a> {
    /// The items of the batch, in order.
    pub(crate) fn items(&self) -> impl Iterator<Item = JournalItem<'a>> + use<'a> {
        let mut rest = JournalBytes(self.items);
        std::iter::from_fn(move || rest.item().flatten())
    }

    /// The whole batch that starts at byte `at` of the journal, or `None` if no whole batch starts there.
    fn at(journal: &'a [u8], at: usize) -> Option<Self> {
        let mut rest = JournalBytes(journal.get(at..)?);
        let [START, count @ ..] = rest.take::<5>()? else { return None };
        let count = u32::from_le_bytes(count);
        let seqno = u64::from_le_bytes(rest.take()?);
        let from = at + START_BYTES;
        for _ in 0..count {
            rest.item()?;
        }
        let to = journal.len() - rest.0.len();
        let [END, checksum @ ..] = rest.take::<9>()? else { return None };
        let items = &journal[from..to];
        let is_whole = rest.take::<4>()? == TRAILER && u64::from_le_bytes(checksum) == xxh3_64(items);
        is_whole.then(|| Self { range: at..journal.len() - rest.0.len(), seqno, items })
    }
}

/// Reads the batches of a journal, from its start up to the first byte at which no valid batch starts.
pub(crate) struct JournalBatches<'a> {
    journal: &'a [u8],
    /// The end of the last batch, as a byte offset.
    pub(crate) end: usize,
    latest: Option<u64>,
}

impl<'a> JournalBatches<'a> {
    pub(crate) fn of(journal: &'a [u8]) -> Self {
        Self { journal, end: 0, latest: None }
    }

    /// Finds all whole batches after the readable end of the journal, wherever they start. fjall would cut off these
    /// batches.
    pub(crate) fn after_end(&self) -> Vec<JournalBatch<'a>> {
        let (mut found, mut at) = (Vec::new(), self.end);
        while let Some(start) = next_start(self.journal, at) {
            match JournalBatch::at(self.journal, start) {
                Some(batch) => {
                    at = batch.range.end;
                    found.push(batch);
                }
                None => at = start + 1,
            }
        }
        found
    }

    /// Whether the journal has only zeros after its end.
    pub(crate) fn ends_clean(&self) -> bool {
        self.journal[self.end..].iter().all(|byte| *byte == 0)
    }
}

/// Finds the next place at which a batch of fewer than 2^24 items could start. The search skips zeros and text quickly.
fn next_start(journal: &[u8], at: usize) -> Option<usize> {
    let rest = journal.get(at..)?;
    let starts = rest.windows(START_BYTES + 1);
    let found = starts
        .enumerate()
        .find(|(_, bytes)| bytes[0] == START && bytes[4] == 0 && matches!(bytes[START_BYTES], ITEM | CLEAR));
    found.map(|(offset, _)| at + offset)
}

impl<'a> Iterator for JournalBatches<'a> {
    type Item = JournalBatch<'a>;

    fn next(&mut self) -> Option<JournalBatch<'a>> {
        // Sequence numbers increase from batch to batch. fjall's checksum does not cover sequence numbers, so they are
        // compared here.
        let batch = JournalBatch::at(self.journal, self.end)
            .filter(|batch| self.latest.is_none_or(|latest| latest < batch.seqno))?;
        (self.end, self.latest) = (batch.range.end, Some(batch.seqno));
        Some(batch)
    }
}

/// The bytes of a journal that were not read yet.
struct JournalBytes<'a>(&'a [u8]);

impl<'a> JournalBytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Reads the next item of a batch. `Some(None)` means that the batch clears a keyspace, which the embedded engine
    /// never does.
    fn item(&mut self) -> Option<Option<JournalItem<'a>>> {
        match self.take::<1>()? {
            [ITEM] => {
                let [value_type, compression] = self.take()?;
                let keyspace = u64::from_le_bytes(self.take()?);
                let key = usize::from(u16::from_le_bytes(self.take()?));
                let length = u32::from_le_bytes(self.take()?) as usize;
                let stored = u32::from_le_bytes(self.take()?) as usize;
                let key = self.slice(key)?;
                let stored = self.slice(stored)?;
                if value_type > 4 || compression > 1 {
                    return None;
                }
                let uncompressed_bytes = (compression == 1).then_some(length);
                let value = (value_type == 0).then_some(JournalValue { stored, uncompressed_bytes });
                Some(Some(JournalItem { keyspace, key, value }))
            }
            [CLEAR] => self.take::<8>().map(|_| None),
            _ => None,
        }
    }
}
