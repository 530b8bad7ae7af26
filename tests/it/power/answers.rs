//! The answers of the service, parsed from the bytes that the service wrote to its sockets. Each answer has a
//! position among the system calls.

use std::collections::HashMap;

use serde_json::Value;

/// A fact that an answer states, such as the state of an event. A client may rely on the fact once it has the
/// answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// An event is accepted and has the given state. A recorded event also has the given version.
    Event { order: String, event: String, state: String, version: Option<u64> },
    /// An order has at least the given version.
    Order { order: String, version: u64 },
    /// An event has the given position in the feed.
    Position { position: u64, event: String },
    /// The ledger counts at least the given numbers of events.
    Ledger { accepted: u64, recorded: u64 },
}

/// The bytes of incomplete answers, by socket.
#[derive(Default)]
pub(super) struct Answers {
    sockets: HashMap<i64, Vec<u8>>,
}

impl Answers {
    pub(super) fn close(&mut self, socket: i64) {
        self.sockets.remove(&socket);
    }

    /// Adds bytes that were written to a socket. Returns the facts in the answers that are now complete.
    pub(super) fn sent(&mut self, socket: i64, bytes: &[u8]) -> Vec<Fact> {
        let buffer = self.sockets.entry(socket).or_default();
        buffer.extend_from_slice(bytes);
        let mut facts = Vec::new();
        while let Some((status, body)) = take_complete(buffer) {
            if (200..300).contains(&status) {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                collect(&body, &mut facts);
            }
        }
        facts
    }
}

/// Takes the first answer out of the buffer, if it is complete.
fn take_complete(buffer: &mut Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head =
        std::str::from_utf8(&buffer[..end]).expect("the head of an answer is text").to_ascii_lowercase();
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    assert!(!head.contains("transfer-encoding"), "chunked answers are not supported: {head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.trim().parse().expect("a length is a number"));
    if buffer.len() < end + length {
        return None;
    }
    let body = buffer.drain(..end + length).skip(end).collect();
    Some((status, body))
}

/// Collects the facts in a body. Receipts, orders, events and the ledger have the same members in every answer.
pub(super) fn collect(value: &Value, facts: &mut Vec<Fact>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, facts)),
        Value::Object(members) => {
            let order = text(&value["order_id"]).or_else(|| text(&value["data"]["order_id"]));
            let version = value["version"].as_u64();
            match (order, text(&value["event_id"]), version) {
                (Some(order), Some(event), _) => {
                    // An event in a log has no state member, because every event in a log is recorded.
                    let state = text(&value["state"]).unwrap_or_else(|| "recorded".to_owned());
                    facts.push(Fact::Event { order, event, state, version });
                }
                (Some(order), None, Some(version)) => facts.push(Fact::Order { order, version }),
                _ => {}
            }
            let position = text(&value["position"]).and_then(|position| position.parse().ok());
            if let (Some(position), Some(event)) = (position, text(&value["event_id"])) {
                facts.push(Fact::Position { position, event });
            }
            let count = |name: &str| value["ledger"][name].as_u64();
            if let (Some(accepted), Some(recorded)) = (count("accepted"), count("recorded")) {
                facts.push(Fact::Ledger { accepted, recorded });
            }
            members.values().for_each(|value| collect(value, facts));
        }
        _ => {}
    }
}

#[test]
fn answers_are_read_from_partial_writes() {
    let mut answers = Answers::default();
    let accepted = br#"{"order_id":"o","event_id":"e","state":"accepted"}"#;
    let head = format!("HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\n\r\n", accepted.len());
    assert_eq!(answers.sent(5, head.as_bytes()), []);
    assert_eq!(answers.sent(5, &accepted[..20]), []);
    let order = br#"{"items":[{"order_id":"o","version":3}]}"#;
    let refused = "HTTP/1.1 409 Conflict\r\ncontent-length: 28\r\n\r\n{\"order_id\":\"o\",\"version\":9}";
    let second = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", order.len());
    let rest = [&accepted[20..], refused.as_bytes(), second.as_bytes(), order].concat();
    let event = Fact::Event {
        order: "o".to_owned(),
        event: "e".to_owned(),
        state: "accepted".to_owned(),
        version: None,
    };
    assert_eq!(answers.sent(5, &rest), [event, Fact::Order { order: "o".to_owned(), version: 3 }]);
}
