//! Writes the order as JSON, in the form that projections contain. [`crate::order`] defines the members, and `serde`
//! reads them.

use crate::json::JsonWriter;
use crate::order::Order;

impl Order {
    /// The order as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = JsonWriter::new();
        self.write(&mut json);
        json.into_bytes()
    }

    fn write(&self, json: &mut JsonWriter) {
        json.raw(r#"{"order_id":"#);
        json.plain(self.order_id.as_str());
        json.raw(r#","customer_id":"#);
        json.text(self.customer_id.as_str());
        json.raw(r#","status":"#);
        json.plain(self.status.as_str());
        json.raw(r#","version":"#);
        json.value(&self.version);
        json.raw(r#","currency":"#);
        json.plain(self.currency.as_str());
        json.raw(r#","items":"#);
        json.order_lines(&self.items);
        json.raw(r#","total":"#);
        json.value(&self.total);
        let metadata = Some(&self.metadata).filter(|metadata| !metadata.is_empty());
        json.optional(r#","metadata":"#, metadata);
        let adjustments = Some(&self.adjustments).filter(|adjustments| !adjustments.is_empty());
        json.optional(r#","adjustments":"#, adjustments);
        json.optional(r#","reference":"#, self.reference.as_ref());
        json.optional(r#","contact":"#, self.contact.as_ref());
        json.optional(r#","notes":"#, self.notes.as_ref());
        json.optional(r#","expires_at":"#, self.expires_at.as_ref());
        json.flag(r#","ship_unpaid":true"#, self.ship_unpaid);
        json.flag(r#","confirmed":true"#, self.confirmed);
        json.list(r#","payments":"#, &self.payments);
        json.flag(r#","settled_by_payment":true"#, self.settled_by_payment);
        json.list(r#","refunds":"#, &self.refunds);
        json.flag(r#","settled_by_refund":true"#, self.settled_by_refund);
        json.list(r#","shipments":"#, &self.shipments);
        json.list(r#","returns":"#, &self.returns);
        json.list(r#","holds":"#, &self.holds);
        json.raw(r#","created_at":"#);
        json.time(self.created_at);
        json.raw(r#","updated_at":"#);
        json.time(self.updated_at);
        if let Some(recorded_at) = self.recorded_at {
            json.raw(r#","recorded_at":"#);
            json.time(recorded_at);
        }
        json.raw("}");
    }
}
