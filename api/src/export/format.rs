//! The lines of an export. Each log entry is one line of JSON. The last line contains no event. It contains the number
//! of the lines before it, and their hash, so an export that was cut off or damaged is never taken for a whole one.
//!
//! `GET /v1/export` and `orders export` write lines with [`ExportWriter`]. `orders import` and the client of the endpoint
//! check them with [`ExportCheck`].

use std::fmt::Write;

use domain::{OrderId, RecordedEvent};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The beginning of the last line of every export. No log entry begins like this.
const END_PREFIX: &[u8] = br#"{"object":"export_end","#;

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ExportEnd {
    object: String,
    /// The number of orders.
    orders: u64,
    /// The number of events, one on each line before this one.
    events: u64,
    /// The SHA-256 of all lines before this one, with their newlines, in hexadecimal.
    sha256: String,
}

/// Whether `line` is the last line of an export.
pub fn is_export_end(line: &[u8]) -> bool {
    line.starts_with(END_PREFIX)
}

/// Counts and hashes the lines of an export.
#[derive(Debug, Clone, Default)]
struct Totals {
    hash: Sha256,
    events: u64,
}

impl Totals {
    /// Adds a line, without its newline.
    fn add(&mut self, line: &[u8]) {
        self.hash.update(line);
        self.hash.update(b"\n");
        self.events += 1;
    }

    fn end(self, orders: u64) -> ExportEnd {
        let sha256 = self.hash.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        ExportEnd { object: "export_end".to_owned(), orders, events: self.events, sha256 }
    }
}

/// Writes the lines of an export.
#[derive(Debug, Clone, Default)]
pub struct ExportWriter {
    totals: Totals,
    orders: u64,
    /// The order of the latest event.
    latest: Option<OrderId>,
}

impl ExportWriter {
    /// Appends the line of an event to `lines`.
    pub fn add(&mut self, lines: &mut Vec<u8>, event: &RecordedEvent) {
        let (line, order_id) = (event.encode(), &event.envelope.order_id);
        self.totals.add(&line);
        if self.latest.as_ref() != Some(order_id) {
            self.orders += 1;
            self.latest = Some(order_id.clone());
        }
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }

    /// Returns the last line of the export.
    pub fn end(self) -> Vec<u8> {
        let mut line =
            serde_json::to_vec(&self.totals.end(self.orders)).expect("texts and numbers are plain JSON");
        line.push(b'\n');
        line
    }
}

/// Checks the lines of an export against its last line.
#[derive(Debug, Clone, Default)]
pub struct ExportCheck(Totals);

impl ExportCheck {
    /// Adds a line, without its newline.
    pub fn add(&mut self, line: &[u8]) {
        self.0.add(line);
    }

    /// Whether any line was added since the last call of [`finish`](Self::finish).
    pub fn has_lines(&self) -> bool {
        self.0.events > 0
    }

    /// Compares the added lines with the last line of the export, and then forgets them. The error states the
    /// difference.
    pub fn finish(&mut self, last_line: &[u8]) -> Result<(), String> {
        // The number of orders is not compared. It is information for people, and the hash covers every line.
        let found = std::mem::take(&mut self.0).end(0);
        let stated: ExportEnd = serde_json::from_slice(last_line)
            .map_err(|_| "the last line of the export is damaged".to_owned())?;
        if stated.events != found.events {
            return Err(format!("the export had {} events, and {} are here", stated.events, found.events));
        }
        if stated.sha256 != found.sha256 {
            return Err("the lines are not those that were exported: their hash differs".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::Currency;

    use super::*;

    fn event(order: &str, version: u64) -> RecordedEvent {
        let entry = serde_json::json!({
            "version": version, "recorded_at": "2026-11-23T10:59:00Z", "event_id": "0199d3a0-0000-7000-8000-000000000001",
            "type": "order_confirmed", "schema_version": 2, "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r",
            "data": { "order_id": order },
        });
        RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
    }

    fn export() -> (Vec<u8>, Vec<u8>) {
        let (mut writer, mut lines) = (ExportWriter::default(), Vec::new());
        for (order, version) in [("o-1", 1), ("o-1", 2), ("o-2", 1)] {
            writer.add(&mut lines, &event(order, version));
        }
        (lines, writer.end())
    }

    fn check(lines: &[u8], end: &[u8]) -> Result<(), String> {
        let mut check = ExportCheck::default();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            check.add(line.strip_suffix(b"\n").unwrap());
        }
        check.finish(end.trim_ascii_end())
    }

    #[test]
    fn the_last_line_counts_orders_and_events() {
        let (lines, end) = export();
        let text = String::from_utf8(end.clone()).unwrap();
        assert!(text.starts_with(r#"{"object":"export_end","orders":2,"events":3,"sha256":""#), "{text}");
        assert!(is_export_end(&end) && !is_export_end(&lines));
        assert_eq!(check(&lines, &end), Ok(()));
    }

    #[test]
    fn a_cut_or_changed_export_is_noticed() {
        let (lines, end) = export();
        let cut = lines.split_inclusive(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(check(cut, &end).unwrap_err(), "the export had 3 events, and 1 are here");
        let changed = String::from_utf8(lines.clone()).unwrap().replace("o-2", "o-3");
        assert!(check(changed.as_bytes(), &end).unwrap_err().contains("their hash differs"));
        assert!(check(&lines, &end[..end.len() - 3]).unwrap_err().contains("is damaged"));
    }
}
