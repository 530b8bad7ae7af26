//! The stream in which a running service sends its content to `orders backup`: frames with checksums. Each checksum
//! includes the previous checksum, and the last frame contains the number of lines. So an incomplete stream is never
//! taken for a complete stream.
//!
//! ```text
//! "orders-backup-stream 1\n", then frames:
//! byte 0       the kind: H header, L log lines, S state lines, E end
//! bytes 1–4    the size of the content, big-endian
//! bytes 5–12   XXH3 of the previous checksum, the kind and the content, big-endian
//! the content  compressed with zstd
//! ```
//!
//! The content of H is a [`SourceHeader`] in JSON. S begins with the name of the keyspace and a newline. E contains the
//! number of lines in the stream, in decimal digits.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::record::LogRecord;
use super::row::StateRow;
use super::segment::lines;
use super::source::{BackupPart, SourceHeader};

/// The first bytes of a stream.
pub const MAGIC: &[u8] = b"orders-backup-stream 1\n";
const HEAD_BYTES: usize = 13;
/// The level of compression. The lowest level takes the least processor time of the service.
const COMPRESSION_LEVEL: i32 = 1;
/// The maximum size of a frame, both compressed and uncompressed. A frame is usually much smaller, unless it contains a
/// large row.
const MAX_FRAME_BYTES: usize = 64 << 20;

/// The reason why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StreamFlaw {
    /// The stream does not begin with [`MAGIC`].
    #[error("it is not the stream of a backup, or of a later version")]
    Foreign,
    /// The stream ended before its last frame.
    #[error("it was cut off after {lines} lines")]
    CutOff {
        /// The number of lines that were received.
        lines: u64,
    },
    /// The content of the stream was changed.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// The content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first frame.
    Header(Box<SourceHeader>),
    /// A part of the content.
    Part(BackupPart),
    /// The last frame.
    End,
}

/// Encodes a stream.
#[derive(Debug, Default)]
pub struct FrameEncoder {
    checksum: u64,
    lines: u64,
}

impl FrameEncoder {
    /// Encodes the beginning of the stream.
    pub fn header(&mut self, header: &SourceHeader) -> anyhow::Result<Vec<u8>> {
        let frame = self.frame(b'H', &serde_json::to_vec(header)?)?;
        Ok([MAGIC, &frame].concat())
    }

    /// Encodes the frame of a part.
    pub fn part(&mut self, part: &BackupPart) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        match part {
            BackupPart::Log(records) => {
                records.iter().try_for_each(|record| record.encode(&mut content))?;
                self.lines += records.len() as u64;
                self.frame(b'L', &content)
            }
            BackupPart::State { keyspace, rows } => {
                content.extend_from_slice(keyspace.as_bytes());
                content.push(b'\n');
                rows.iter().try_for_each(|row| row.encode(&mut content))?;
                self.lines += rows.len() as u64;
                self.frame(b'S', &content)
            }
        }
    }

    /// Encodes the end of the stream.
    pub fn end(&mut self) -> anyhow::Result<Vec<u8>> {
        self.frame(b'E', self.lines.to_string().as_bytes())
    }

    fn frame(&mut self, kind: u8, content: &[u8]) -> anyhow::Result<Vec<u8>> {
        let content = zstd::bulk::compress(content, COMPRESSION_LEVEL)?;
        self.checksum = checksum(self.checksum, kind, &content);
        let size = u32::try_from(content.len())?;
        let mut frame = Vec::with_capacity(HEAD_BYTES + content.len());
        frame.push(kind);
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(&self.checksum.to_be_bytes());
        frame.extend_from_slice(&content);
        Ok(frame)
    }
}

/// Decodes a stream that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    received: Vec<u8>,
    /// The number of bytes of `received` that were decoded.
    done: usize,
    checksum: u64,
    lines: u64,
    has_begun: bool,
    has_ended: bool,
}

impl FrameDecoder {
    /// Adds a piece of the stream.
    pub fn add(&mut self, piece: &[u8]) {
        self.received.drain(..self.done);
        self.done = 0;
        self.received.extend_from_slice(piece);
    }

    /// Decodes the next frame, or returns `None` if another piece is needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, StreamFlaw> {
        if !self.has_begun {
            let rest = &self.received[self.done..];
            let known = rest.len().min(MAGIC.len());
            if rest[..known] != MAGIC[..known] {
                return Err(StreamFlaw::Foreign);
            }
            if known < MAGIC.len() {
                return Ok(None);
            }
            (self.has_begun, self.done) = (true, self.done + known);
        }
        let rest = &self.received[self.done..];
        if rest.is_empty() {
            return Ok(None);
        }
        if self.has_ended {
            return Err(StreamFlaw::Damaged("it goes on after its end".to_owned()));
        }
        let Some((head, rest)) = rest.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [kind, a, b, c, d, sum @ ..] = *head;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if size > MAX_FRAME_BYTES {
            return Err(StreamFlaw::Damaged(format!("a frame has {size} bytes")));
        }
        let Some(content) = rest.get(..size) else { return Ok(None) };
        self.checksum = checksum(self.checksum, kind, content);
        if self.checksum != u64::from_be_bytes(sum) {
            return Err(StreamFlaw::Damaged(format!("the checksum after line {} is wrong", self.lines)));
        }
        let frame = decode(kind, content, &mut self.lines);
        let frame = frame.map_err(|error| StreamFlaw::Damaged(format!("{error:#}")))?;
        self.done += HEAD_BYTES + size;
        self.has_ended = frame == Frame::End;
        Ok(Some(frame))
    }

    /// Checks that the stream is complete. Call this function after the last piece.
    pub fn finish(&self) -> Result<(), StreamFlaw> {
        if self.has_ended { Ok(()) } else { Err(StreamFlaw::CutOff { lines: self.lines }) }
    }
}

fn checksum(before: u64, kind: u8, content: &[u8]) -> u64 {
    xxh3_64_with_seed(content, before ^ u64::from(kind))
}

fn decode(kind: u8, content: &[u8], count: &mut u64) -> anyhow::Result<Frame> {
    let size = zstd::zstd_safe::get_frame_content_size(content).ok().flatten().unwrap_or(0);
    anyhow::ensure!(size <= MAX_FRAME_BYTES as u64, "a frame has {size} bytes");
    let content = zstd::bulk::decompress(content, size as usize)?;
    Ok(match kind {
        b'H' => Frame::Header(Box::new(serde_json::from_slice(&content)?)),
        b'L' => {
            let records = lines(&content).map(LogRecord::decode).collect::<Result<Vec<_>, _>>()?;
            *count += records.len() as u64;
            Frame::Part(BackupPart::Log(records))
        }
        b'S' => {
            let mut lines = lines(&content);
            let keyspace = std::str::from_utf8(lines.next().unwrap_or_default())?.to_owned();
            let rows = lines.map(StateRow::decode).collect::<Result<Vec<_>, _>>()?;
            *count += rows.len() as u64;
            Frame::Part(BackupPart::State { keyspace, rows })
        }
        b'E' => {
            let expected = std::str::from_utf8(&content)?;
            anyhow::ensure!(expected == count.to_string(), "it has {count} lines instead of {expected}");
            Frame::End
        }
        other => anyhow::bail!("a frame has the unknown kind {other}"),
    })
}
