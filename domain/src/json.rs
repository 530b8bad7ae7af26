//! Writes the JSON of envelopes, log entries and orders, for every event that is stored or queued. A test checks that
//! the bytes are the same as those of `serde_json`. This writer takes a third of the time, because most texts need no
//! escapes and can be copied.

use serde::Serialize;
use uuid::Uuid;

use crate::lines::{LineId, LineItem, Sku};
use crate::order_line::OrderLine;
use crate::value::{Text, Timestamp};

/// The approximate size of an event with a few lines, in bytes.
const INITIAL_CAPACITY: usize = 768;

/// Builds the bytes of one JSON document.
pub(crate) struct JsonWriter(Vec<u8>);

impl JsonWriter {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(INITIAL_CAPACITY))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes `json` unchanged.
    pub(crate) fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        // The check looks at every character and never stops early, so that the compiler can vectorize its loop.
        let is_plain = text.bytes().fold(true, |plain, b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\'));
        if is_plain {
            self.plain(text);
        } else {
            self.value(&text);
        }
    }

    /// Writes a text that is known to need no escapes.
    pub(crate) fn plain(&mut self, text: &str) {
        self.0.push(b'"');
        self.raw(text);
        self.0.push(b'"');
    }

    pub(crate) fn uuid(&mut self, id: Uuid) {
        self.plain(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    pub(crate) fn time(&mut self, at: Timestamp) {
        self.0.push(b'"');
        at.write_to(&mut self.0);
        self.0.push(b'"');
    }

    pub(crate) fn value(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut self.0, value)
            .expect("only a non-string map key or a failing writer causes an error, and neither occurs");
    }

    /// Writes a member: `name`, which includes the comma before it and the colon after it, and then `value`. Writes
    /// nothing if `value` is `None`.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.raw(name);
            self.value(value);
        }
    }

    /// Writes the members of `object` without its braces. A comma precedes each member.
    pub(crate) fn members_of(&mut self, object: &impl Serialize) {
        let start = self.0.len();
        self.value(object);
        self.0.pop();
        if self.0.len() == start + 1 { self.0.truncate(start) } else { self.0[start] = b',' }
    }

    /// Writes `member`, the text of a whole member such as `,"confirmed":true`, if the flag is set.
    pub(crate) fn flag(&mut self, member: &str, is_set: bool) {
        if is_set {
            self.raw(member);
        }
    }

    /// Writes a list as a member: `name`, which includes the comma before it and the colon after it, and then `list`.
    /// Writes nothing if the list is empty.
    pub(crate) fn list<T: Serialize>(&mut self, name: &str, list: &[T]) {
        self.optional(name, Some(&list).filter(|list| !list.is_empty()));
    }

    pub(crate) fn lines(&mut self, lines: &[LineItem]) {
        let mut separator = "[";
        for line in lines {
            self.raw(separator);
            self.line_start(line.line_id.as_ref(), &line.sku, line.name.as_ref());
            self.value(&line.quantity.get());
            self.optional(r#","unit_price":"#, line.unit_price.as_ref());
            self.raw("}");
            separator = ",";
        }
        self.raw("]");
    }

    pub(crate) fn order_lines(&mut self, lines: &[OrderLine]) {
        let mut separator = "[";
        for line in lines {
            self.raw(separator);
            self.line_start(line.line_id.as_ref(), &line.sku, line.name.as_ref());
            self.value(&line.quantity.get());
            self.optional(r#","unit_price":"#, line.unit_price.as_ref());
            for (name, count) in [
                (r#","cancelled":"#, line.cancelled),
                (r#","shipped":"#, line.shipped),
                (r#","delivered":"#, line.delivered),
                (r#","returned":"#, line.returned),
            ] {
                self.optional(name, Some(&count).filter(|count| **count > 0));
            }
            self.raw("}");
            separator = ",";
        }
        self.raw("]");
    }

    /// Writes the beginning of a line's object, up to the colon after `quantity`.
    fn line_start(&mut self, line_id: Option<&LineId>, sku: &Sku, name: Option<&Text<200>>) {
        self.raw("{");
        if let Some(line_id) = line_id {
            self.raw(r#""line_id":"#);
            self.text(line_id.as_str());
            self.raw(",");
        }
        self.raw(r#""sku":"#);
        self.text(sku.as_str());
        self.optional(r#","name":"#, name);
        self.raw(r#","quantity":"#);
    }
}
