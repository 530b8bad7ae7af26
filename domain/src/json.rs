//! Writes the JSON of what is stored and queued for every event: the same bytes as `serde` would, which a test compares,
//! at a third of the cost. Most of what is in it needs no escapes, and is copied.

use serde::Serialize;
use uuid::Uuid;

use crate::envelope::{Envelope, RecordedEvent, SCHEMA_VERSION};
use crate::event::{Created, Event};
use crate::money::LineItem;
use crate::order::Order;
use crate::value::Timestamp;

/// About what an event with a few lines takes.
const USUAL: usize = 768;

/// JSON in the making.
struct Json(Vec<u8>);

impl Json {
    fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    /// JSON as it is.
    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    fn text(&mut self, text: &str) {
        // Without a way out of the loop the compiler looks at many bytes at a time.
        let is_plain = text.bytes().fold(true, |plain, b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\'));
        if is_plain {
            self.plain(text);
        } else {
            self.value(&text);
        }
    }

    /// A text that needs no escapes.
    fn plain(&mut self, text: &str) {
        self.0.push(b'"');
        self.raw(text);
        self.0.push(b'"');
    }

    fn uuid(&mut self, id: Uuid) {
        self.plain(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    fn time(&mut self, at: Timestamp) {
        self.0.push(b'"');
        at.write_to(&mut self.0);
        self.0.push(b'"');
    }

    fn value(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut self.0, value)
            .expect("only a non-string map key or a failing writer can fail, and there is neither");
    }

    fn optional(&mut self, name: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.raw(name);
            self.value(value);
        }
    }

    fn lines(&mut self, lines: &[LineItem]) {
        let mut before = "[";
        for line in lines {
            self.raw(before);
            self.raw(r#"{"sku":"#);
            self.text(line.sku.as_str());
            self.raw(r#","quantity":"#);
            self.value(&line.quantity.get());
            self.optional(r#","unit_price":"#, line.unit_price.as_ref());
            self.raw("}");
            before = ",";
        }
        self.raw("]");
    }

    /// The members of an envelope, without the braces around them.
    fn envelope(&mut self, envelope: &Envelope) {
        self.raw(r#""event_id":"#);
        self.uuid(envelope.event_id.as_uuid());
        self.raw(r#","type":"#);
        self.plain(envelope.event.event_type().as_str());
        self.raw(r#","schema_version":"#);
        self.value(&SCHEMA_VERSION);
        self.raw(r#","timestamp":"#);
        self.time(envelope.timestamp);
        self.raw(r#","correlation_id":"#);
        self.text(envelope.correlation_id.as_str());
        self.optional(r#","expected_version":"#, envelope.expected_version.as_ref());
        self.optional(r#","request_hash":"#, envelope.request_hash.as_ref());
        self.optional(r#","actor":"#, envelope.actor.as_ref());
        self.raw(r#","data":{"order_id":"#);
        self.plain(envelope.order_id.as_str());
        self.event(&envelope.event);
        self.raw("}");
    }

    /// The members of an event's data, each behind a comma.
    fn event(&mut self, event: &Event) {
        if let Event::Created(created) = event {
            return self.created(created);
        }
        let start = self.0.len();
        self.value(event);
        // It is an object: its first brace gives way to the comma, and its last one to what follows.
        self.0.pop();
        if self.0.len() == start + 1 { self.0.truncate(start) } else { self.0[start] = b',' }
    }

    fn created(&mut self, created: &Created) {
        self.raw(r#","customer_id":"#);
        self.text(created.customer_id.as_str());
        self.raw(r#","currency":"#);
        self.plain(created.currency.as_str());
        self.raw(r#","items":"#);
        self.lines(created.items.lines());
        self.raw(r#","total":"#);
        self.value(&created.total);
        let metadata = Some(&created.metadata).filter(|metadata| !metadata.is_empty());
        self.optional(r#","metadata":"#, metadata);
    }

    fn order(&mut self, order: &Order) {
        self.raw(r#"{"order_id":"#);
        self.plain(order.order_id.as_str());
        self.raw(r#","customer_id":"#);
        self.text(order.customer_id.as_str());
        self.raw(r#","status":"#);
        self.plain(order.status.as_str());
        self.raw(r#","version":"#);
        self.value(&order.version);
        self.raw(r#","currency":"#);
        self.plain(order.currency.as_str());
        self.raw(r#","items":"#);
        self.lines(order.items.lines());
        self.raw(r#","total":"#);
        self.value(&order.total);
        let metadata = Some(&order.metadata).filter(|metadata| !metadata.is_empty());
        self.optional(r#","metadata":"#, metadata);
        self.optional(r#","payment":"#, order.payment.as_ref());
        self.optional(r#","shipment":"#, order.shipment.as_ref());
        self.raw(r#","created_at":"#);
        self.time(order.created_at);
        self.raw(r#","updated_at":"#);
        self.time(order.updated_at);
        if let Some(recorded_at) = order.recorded_at {
            self.raw(r#","recorded_at":"#);
            self.time(recorded_at);
        }
        self.raw("}");
    }
}

pub(crate) fn of_envelope(envelope: &Envelope) -> Vec<u8> {
    let mut json = Json::new();
    json.raw("{");
    json.envelope(envelope);
    json.raw("}");
    json.0
}

pub(crate) fn of_recorded(event: &RecordedEvent) -> Vec<u8> {
    let mut json = Json::new();
    json.raw(r#"{"version":"#);
    json.value(&event.version);
    json.raw(r#","recorded_at":"#);
    json.time(event.recorded_at);
    json.optional(r#","repaired":"#, event.repaired.as_ref());
    json.raw(",");
    json.envelope(&event.envelope);
    json.raw("}");
    json.0
}

pub(crate) fn of_order(order: &Order) -> Vec<u8> {
    let mut json = Json::new();
    json.order(order);
    json.0
}
