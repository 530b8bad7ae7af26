//! Reads the lines of a file with bounded memory. A line that is too long is skipped and reported as too long.
//! [`decode`] reads the event of a line.

use std::io::BufRead;

use domain::{Currency, RecordedEvent, SCHEMA_VERSION};
use serde_json::Value;

/// The maximum length of a line, in bytes. The largest log entry that a backend accepts is shorter.
pub(super) const MAX_LINE_BYTES: usize = 4 << 20;

pub(super) struct LineReader<R> {
    input: R,
    /// The number of the latest line, from 1.
    number: u64,
    /// The number of bytes that were read.
    bytes: u64,
    line: Vec<u8>,
}

/// A line, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, bytes: 0, line: Vec::new() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line<'_>>> {
        self.line.clear();
        let (mut is_too_long, mut has_any) = (false, false);
        loop {
            let read = self.input.fill_buf()?;
            if read.is_empty() {
                break;
            }
            has_any = true;
            let newline = read.iter().position(|byte| *byte == b'\n');
            let part = &read[..newline.unwrap_or(read.len())];
            is_too_long |= self.line.len() + part.len() > MAX_LINE_BYTES;
            if !is_too_long {
                self.line.extend_from_slice(part);
            }
            let used = newline.map_or(read.len(), |newline| newline + 1);
            self.input.consume(used);
            self.bytes += used as u64;
            if newline.is_some() {
                break;
            }
        }
        self.number += u64::from(has_any);
        Ok(has_any.then(|| if is_too_long { Line::TooLong } else { Line::Whole(&self.line) }))
    }
}

/// Reads the event of a line. Refuses an event of the current schema version that has a member that this program does
/// not keep, because the member would be lost.
pub(super) fn decode(line: &[u8], default_currency: Currency) -> Result<RecordedEvent, String> {
    if line.is_empty() {
        return Err("the line is empty".to_owned());
    }
    let event = RecordedEvent::decode(line, default_currency).map_err(|error| error.to_string())?;
    let encoded = event.encode();
    if encoded == line {
        return Ok(event);
    }
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap_or_default();
    let (given, kept) = (value(line), value(&encoded));
    if given["schema_version"] == SCHEMA_VERSION && given != kept {
        let members = given.as_object().into_iter().flatten();
        let lost = members.filter(|(name, value)| kept.get(*name) != Some(value));
        let lost: Vec<_> = lost.map(|(name, _)| name.as_str()).collect();
        return Err(format!("the event would not be kept as it is: {}", lost.join(", ")));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_numbered_and_long_ones_are_skipped() {
        let text = [b"a\n\n".to_vec(), vec![b'x'; MAX_LINE_BYTES + 1], b"\nlast".to_vec()].concat();
        let mut lines = LineReader::new(BufReader::with_capacity(1000, text.as_slice()));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a")));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"")));
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"last")));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.number(), 4);
        assert_eq!(lines.bytes(), text.len() as u64);
        assert!(lines.line.capacity() <= 2 * MAX_LINE_BYTES);
    }
}
