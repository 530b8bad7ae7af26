//! Compares AsyncAPI descriptions: operations, and the payloads and headers of the messages on their channels.

use serde_json::Value;

use super::{Comparison, Side, members, resolved};
use crate::spec::escaped;

impl Comparison<'_> {
    pub(super) fn messages(&mut self) {
        for (name, old) in members(&self.old["operations"]) {
            let at = format!("/operations/{}", escaped(name));
            let new = &self.new["operations"][name];
            if new.is_null() {
                self.report(&at, "the operation was removed");
                continue;
            }
            if (&old["action"], &old["channel"]) != (&new["action"], &new["channel"]) {
                self.report(&at, "the action or the channel of the operation changed");
                continue;
            }
            // Clients send the messages that the service receives.
            let side = if old["action"] == "receive" { Side::Sent } else { Side::Received };
            let (old_messages, new_messages) = (listed(old), listed(new));
            for reference in &old_messages {
                match new_messages.iter().find(|other| other["$ref"] == reference["$ref"]) {
                    Some(same) => self.message(&at, reference, same, side),
                    None => self.report(&at, format!("the message {} was removed", reference["$ref"])),
                }
            }
        }
    }

    fn message(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        let ((old_at, old), (at, new)) = (resolved(self.old, at, old), resolved(self.new, at, new));
        if new.is_null() || new.get("$ref").is_some() {
            self.report(&old_at, "the message was removed");
            return;
        }
        self.schema(&format!("{at}/payload"), &old["payload"], &new["payload"], side);
        let (old, new) = (headers(self.old, old), headers(self.new, new));
        self.schema(&format!("{at}/headers"), old, new, side);
    }
}

fn listed(operation: &Value) -> Vec<Value> {
    operation["messages"].as_array().cloned().unwrap_or_default()
}

/// The schema of a message's headers, which the message itself or its trait contains.
fn headers<'a>(document: &'a Value, message: &'a Value) -> &'a Value {
    match &message["headers"] {
        Value::Null => &resolved(document, "", &message["traits"][0]).1["headers"],
        own => own,
    }
}
