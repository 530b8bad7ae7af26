//! The files of a backup that contain its data. A segment is named after the SHA-256 of its file. So a change of the
//! content is noticed, and equal rows are stored only once.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The size of the lines, in bytes, at which a segment is full. A segment can exceed this size by one line.
pub const FULL_SEGMENT_BYTES: usize = 8 << 20;
/// The maximum size of the lines of a segment that is read, in bytes. The limit bounds the memory that a forged file
/// can take. The longest lines are dead letters and messages, which the API and the queue limit to a few MiB.
const MAX_SEGMENT_BYTES: u64 = 64 << 20;
/// The level of compression. Higher levels take several times as long, and save a few percent.
const COMPRESSION_LEVEL: i32 = 3;

/// The SHA-256 of a file, in lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash([u8; 32]);

impl FileHash {
    /// Computes the hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }

    /// Parses 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for FileHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash has 64 lower-case hex digits"))
    }
}

/// The name and the sizes of a segment, as a manifest lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The SHA-256 of the file.
    pub sha256: FileHash,
    /// The size of the file.
    pub bytes: u64,
    /// The size of the lines, before compression.
    pub plain_bytes: u64,
}

impl SegmentRef {
    /// The path of the segment within the backup.
    pub fn path(&self) -> String {
        format!("segments/{}.zst", self.sha256)
    }
}

/// What is wrong with the file of a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentFlaw {
    /// The size of the file differs from the manifest.
    #[error("the file has {found} bytes, and the manifest says {expected}")]
    Size {
        /// The size in the manifest.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// The hash of the file differs from its name.
    #[error("the SHA-256 of the file is {found}")]
    Hash {
        /// The hash of the file's content.
        found: FileHash,
    },
    /// The file has the right hash, but is not a segment with the listed sizes.
    #[error("the file cannot be decompressed: {0}")]
    Content(String),
}

/// Compresses lines. Returns the name and the sizes of the segment, and the content of its file.
pub fn pack(lines: &[u8]) -> std::io::Result<(SegmentRef, Vec<u8>)> {
    let file = zstd::bulk::compress(lines, COMPRESSION_LEVEL)?;
    let (bytes, plain_bytes) = (file.len() as u64, lines.len() as u64);
    Ok((SegmentRef { sha256: FileHash::of(&file), bytes, plain_bytes }, file))
}

/// Checks the content of a segment's file, and returns its lines.
pub fn unpack(segment: &SegmentRef, file: &[u8]) -> Result<Vec<u8>, SegmentFlaw> {
    let found = file.len() as u64;
    if found != segment.bytes {
        return Err(SegmentFlaw::Size { expected: segment.bytes, found });
    }
    let found = FileHash::of(file);
    if found != segment.sha256 {
        return Err(SegmentFlaw::Hash { found });
    }
    let plain_bytes = segment.plain_bytes;
    if plain_bytes > MAX_SEGMENT_BYTES {
        return Err(SegmentFlaw::Content(format!("{plain_bytes} bytes are too many for a segment")));
    }
    let lines = zstd::bulk::decompress(file, plain_bytes as usize);
    let lines = lines.map_err(|error| SegmentFlaw::Content(error.to_string()))?;
    if lines.len() as u64 != plain_bytes {
        let what = format!("it has {} bytes, and the manifest says {plain_bytes}", lines.len());
        return Err(SegmentFlaw::Content(what));
    }
    Ok(lines)
}

/// The lines of a segment, without their newlines.
pub fn lines(plain: &[u8]) -> impl Iterator<Item = &[u8]> {
    plain.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes?.try_into().ok()
}
