//! Writes the JSON that is stored and queued for every event. A test checks that the bytes are those that `serde_json`
//! writes. This writer takes a third of the time, because most texts need no escapes and are copied. Envelopes, log
//! entries and orders use it.

use serde::Serialize;
use uuid::Uuid;

use crate::lines::{LineId, LineItem, Sku};
use crate::order_line::OrderLine;
use crate::value::{Text, Timestamp};

/// About the size of an event with a few lines.
const INITIAL_CAPACITY: usize = 768;

/// Writes one JSON document.
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
        // The loop has no early exit, so that the compiler can vectorize it.
        let is_plain = text.bytes().fold(true, |plain, b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\'));
        if is_plain {
            self.plain(text);
        } else {
            self.value(&text);
        }
    }

    /// Writes a text that needs no escapes.
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
            .expect("only a non-string map key or a failing writer can fail, and there is neither");
    }

    /// Writes `name`, which includes its comma and colon, and then `value`. Writes nothing if `value` is `None`.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.raw(name);
            self.value(value);
        }
    }

    /// Writes the members of an object, each after a comma and without the braces.
    pub(crate) fn members_of(&mut self, object: &impl Serialize) {
        let start = self.0.len();
        self.value(object);
        self.0.pop();
        if self.0.len() == start + 1 { self.0.truncate(start) } else { self.0[start] = b',' }
    }

    /// Writes `member` if the flag is set.
    pub(crate) fn flag(&mut self, member: &str, is_set: bool) {
        if is_set {
            self.raw(member);
        }
    }

    /// Writes `name`, which includes its comma and colon, and then the list. Writes nothing if the list is empty.
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

    /// Writes the members of a line up to the name of `quantity`.
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
