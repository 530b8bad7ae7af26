//! The form of a log entry in a table: attributes with short names, in which each id occurs once. The adapter of the table writes
//! and reads it, and the relay reads it from the change stream.
//!
//! A table bills a write by the size of its item, in units of 1 KB, and names count. So the ids of the order and of its
//! customer and the version are not repeated in the event: they are in the item's keys. UUIDs and hashes are bytes,
//! times are numbers. An order of three lines with a contact, a key and a token fits into one unit.
//!
//! | attribute | what |
//! |---|---|
//! | `i` | `event_id`, 16 bytes |
//! | `t` | `type` |
//! | `v` | `schema_version` |
//! | `r`, `a` | `recorded_at` and `timestamp`, in microseconds since 1970 |
//! | `c` | `correlation_id`; 16 bytes if it is a UUID |
//! | `h` | `request_hash`; bytes if it is hexadecimal |
//! | `u` | `actor` |
//! | `x` | `expected_version` |
//! | `p` | `repaired`, as JSON |
//! | `d` | the members of `data` without `order_id` and `customer_id`, as JSON; absent if there are none |
//! | `m` | the id of the message that carried the event; 16 bytes if it is a UUID |
//!
//! Earlier programs wrote the whole event as JSON in `entry`, with `event_id`, `type`, `request_hash` and `message`
//! beside it. Such items are read for ever.

use std::fmt::Write;

use anyhow::{Context, bail};
use domain::{CustomerId, EventId, OrderId, RecordedEvent, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// The attribute that contains the event as JSON in items of earlier programs.
const ENTRY: &str = "entry";
/// The attribute that contains the event's id.
pub const EVENT_ID: &str = "i";
/// The attribute that contains the event's id in items of earlier programs.
pub const EARLIER_EVENT_ID: &str = "event_id";

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryValue {
    /// A text.
    Text(String),
    /// A number, in decimal digits.
    Number(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Reads an attribute of an item by its name. `None` if the item has no such attribute.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<EntryValue>;

/// The attributes of a log entry, without the keys of its item and of the index of customers' orders.
pub fn attributes(event: &RecordedEvent, message: Option<&str>) -> Vec<(&'static str, EntryValue)> {
    let envelope = &event.envelope;
    let text = |text: &str| EntryValue::Text(text.to_owned());
    let mut attributes = vec![
        (EVENT_ID, event_id_value(envelope.event_id)),
        ("t", text(envelope.event.event_type().as_str())),
        ("v", EntryValue::Number(domain::SCHEMA_VERSION.to_string())),
        ("r", time_value(event.recorded_at)),
        ("a", time_value(envelope.timestamp)),
        ("c", uuid_value(envelope.correlation_id.as_str())),
    ];
    attributes.extend(envelope.request_hash.as_ref().map(|hash| ("h", hash_value(hash))));
    attributes.extend(envelope.actor.as_ref().map(|actor| ("u", text(actor))));
    attributes
        .extend(envelope.expected_version.map(|version| ("x", EntryValue::Number(version.to_string()))));
    attributes.extend(event.repaired.as_ref().map(|repaired| ("p", EntryValue::Text(json(repaired)))));
    let data = envelope.encode_data_without_ids();
    attributes.extend((data != "{}").then_some(("d", EntryValue::Text(data))));
    attributes.extend(message.map(|message| ("m", uuid_value(message))));
    attributes
}

/// The value of the attribute [`EVENT_ID`].
pub fn event_id_value(event_id: EventId) -> EntryValue {
    EntryValue::Bytes(event_id.as_uuid().into_bytes().to_vec())
}

/// The id of the event in a log entry.
pub fn event_id(get: Lookup<'_>) -> anyhow::Result<EventId> {
    let id = text(get, EVENT_ID).or_else(|| text(get, EARLIER_EVENT_ID)).context("it has no event id")?;
    Ok(id.parse()?)
}

/// The name of the event's type. A newer program may have recorded a type that this program does not know.
pub fn event_type(get: Lookup<'_>) -> anyhow::Result<String> {
    text(get, "t").or_else(|| text(get, "type")).context("it has no event type")
}

/// The hash of the request that proposed the event, if it had an idempotency key.
pub fn request_hash(get: Lookup<'_>) -> Option<String> {
    match get("h") {
        Some(EntryValue::Bytes(bytes)) => Some(hex(&bytes)),
        Some(EntryValue::Text(hash)) => Some(hash),
        _ => text(get, "request_hash"),
    }
}

/// The id of the message that carried the event, if the item has it.
pub fn message(get: Lookup<'_>) -> Option<String> {
    text(get, "m").or_else(|| text(get, "message"))
}

/// The event as JSON, as [`RecordedEvent::encode`] writes it. `customer_id` is the customer in the index keys of an
/// order's first entry.
pub fn event_json(
    order_id: &OrderId,
    version: u64,
    customer_id: Option<&CustomerId>,
    get: Lookup<'_>,
) -> anyhow::Result<String> {
    if let Some(json) = text(get, ENTRY) {
        return Ok(json);
    }
    let number = |name: &str| match get(name) {
        Some(EntryValue::Number(number)) => Ok(number),
        _ => bail!("the attribute {name:?} is not a number"),
    };
    let time = |name: &str| match get(name) {
        Some(EntryValue::Text(time)) => Ok(json(&time)),
        _ => {
            let at = Timestamp::from_micros(number(name)?.parse()?);
            Ok::<_, anyhow::Error>(json(
                &at.with_context(|| format!("the attribute {name:?} is not a time"))?,
            ))
        }
    };
    let event_type = event_type(get)?;
    let mut out = format!(r#"{{"version":{version},"recorded_at":{}"#, time("r")?);
    // Writing to a string never fails.
    let mut add = |name: &str, value: &str| {
        let _ = write!(out, r#","{name}":{value}"#);
    };
    text(get, "p").inspect(|repaired| add("repaired", repaired));
    add("event_id", &json(&event_id(get)?.to_string()));
    add("type", &json(&event_type));
    add("schema_version", &number("v")?);
    add("timestamp", &time("a")?);
    add("correlation_id", &json(&text(get, "c").context("it has no correlation id")?));
    get("x").is_some().then(|| number("x")).transpose()?.inspect(|version| add("expected_version", version));
    request_hash(get).inspect(|hash| add("request_hash", &json(hash)));
    text(get, "u").inspect(|actor| add("actor", &json(actor)));
    let mut data = format!(r#"{{"order_id":{}"#, json(order_id.as_str()));
    if event_type == "order_created" {
        let customer_id = customer_id.context("the first entry of an order has no customer")?;
        let _ = write!(data, r#","customer_id":{}"#, json(customer_id.as_str()));
    }
    match text(get, "d") {
        None => data.push('}'),
        Some(own) => {
            let members = own.strip_prefix('{').context("the attribute \"d\" is not an object")?;
            let _ = write!(data, ",{members}");
        }
    }
    add("data", &data);
    out.push('}');
    Ok(out)
}

/// An attribute that is a text. Bytes of a UUID are the text of the UUID.
fn text(get: Lookup<'_>, name: &str) -> Option<String> {
    match get(name)? {
        EntryValue::Text(text) => Some(text),
        EntryValue::Bytes(bytes) => Some(Uuid::from_slice(&bytes).ok()?.to_string()),
        EntryValue::Number(_) => None,
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("only a map with keys that are no text fails, and none has one")
}

/// The bytes of a UUID in its usual form, or else the text.
fn uuid_value(text: &str) -> EntryValue {
    match Uuid::try_parse(text) {
        Ok(id) if id.to_string() == text => EntryValue::Bytes(id.into_bytes().to_vec()),
        _ => EntryValue::Text(text.to_owned()),
    }
}

/// The bytes of a hash in lower-case hexadecimal digits, or else the text.
fn hash_value(text: &str) -> EntryValue {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    match text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>() {
        Some(bytes) if hex(&bytes) == text => EntryValue::Bytes(bytes),
        _ => EntryValue::Text(text.to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time_value(at: Timestamp) -> EntryValue {
    if Timestamp::from_micros(at.micros()) == Some(at) {
        EntryValue::Number(at.micros().to_string())
    } else {
        EntryValue::Text(at.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use domain::Currency;

    use super::*;

    fn read(line: &str) -> RecordedEvent {
        RecordedEvent::decode(line.as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
    }

    fn read_again(event: &RecordedEvent, message: Option<&str>) -> (String, Option<String>) {
        let item: HashMap<_, _> = attributes(event, message).into_iter().collect();
        let get = |name: &str| item.get(name).cloned();
        let customer = match &event.envelope.event {
            domain::Event::Created(created) => Some(created.customer_id.clone()),
            _ => None,
        };
        let order_id = &event.envelope.order_id;
        let json = event_json(order_id, event.version, customer.as_ref(), &get).unwrap();
        (json, super::message(&get))
    }

    #[test]
    fn every_event_of_the_golden_corpus_is_read_as_it_was_written() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/golden/");
        let mut lines = 0;
        for file in ["v1.jsonl", "v2.jsonl"] {
            for line in std::fs::read_to_string(format!("{corpus}{file}")).unwrap().lines() {
                let event = read(line);
                let (json, _) = read_again(&event, None);
                assert_eq!(json, String::from_utf8(event.encode()).unwrap());
                lines += 1;
            }
        }
        assert!(lines > 60, "{lines}");
    }

    #[test]
    fn ids_and_hashes_in_other_forms_are_kept_as_texts() {
        let created = r#"{"version":1,"recorded_at":"2026-11-29T20:58:00Z","event_id":"01a22919-b433-708c-9362-c08f387c7c23",
            "type":"order_created","schema_version":2,"timestamp":"2026-11-29T20:58:00.000001Z","correlation_id":"NONE",
            "request_hash":"HASH","actor":"a \"b\" \\ 日本","data":{"order_id":"o-1","customer_id":"c \"1\"","currency":"EUR",
            "items":[{"sku":"mug","quantity":1,"unit_price":5}],"total":5}}"#;
        let mut event = read(created);
        for (correlation, hash, message) in [
            ("01A22919-B433-708C-9362-C08DA5489889", "00ff", "01a22919-b433-708c-9362-c08da5489889"),
            ("01a22919b433708c9362c08da5489889", "00FF", "01a22919b433708c9362c08da5489889"),
            ("01a22919-b433-708c-9362-c08da5489889", "0ff", ""),
            ("x", "é", "é"),
        ] {
            event.envelope.correlation_id = serde_json::from_value(correlation.into()).unwrap();
            event.envelope.request_hash = Some(hash.to_owned());
            let (json, read_message) = read_again(&event, Some(message));
            assert_eq!(json, String::from_utf8(event.encode()).unwrap());
            assert_eq!(read_message.as_deref(), Some(message));
        }
    }

    #[test]
    fn an_item_of_an_earlier_program_is_read_as_it_is() {
        let item = HashMap::from([
            ("entry", "{\"version\":1}"),
            ("event_id", "01a22919-b433-708c-9362-c08f387c7c23"),
            ("type", "order_created"),
            ("request_hash", "00ff"),
            ("message", "m-1"),
        ]);
        let get = |name: &str| item.get(name).map(|text| EntryValue::Text((*text).to_owned()));
        let order_id = OrderId::parse("o-1").unwrap();
        assert_eq!(event_json(&order_id, 1, None, &get).unwrap(), "{\"version\":1}");
        assert_eq!(event_id(&get).unwrap().to_string(), "01a22919-b433-708c-9362-c08f387c7c23");
        assert_eq!(event_type(&get).unwrap(), "order_created");
        assert_eq!((request_hash(&get).as_deref(), message(&get).as_deref()), (Some("00ff"), Some("m-1")));
    }

    #[test]
    fn an_item_that_lacks_a_part_is_an_error_that_names_it() {
        let event = read(
            r#"{"version":2,"recorded_at":"2026-11-29T20:58:00Z","event_id":"01a22919-b433-708c-9362-c08f387c7c23",
            "type":"order_confirmed","schema_version":2,"timestamp":"2026-11-29T20:58:00Z","correlation_id":"c","data":{"order_id":"o-1"}}"#,
        );
        let whole: HashMap<_, _> = attributes(&event, None).into_iter().collect();
        assert!(!whole.contains_key("d"), "an event without data needs no attribute for it");
        for (name, what) in
            [("i", "event id"), ("t", "event type"), ("v", "\"v\""), ("r", "\"r\""), ("c", "correlation id")]
        {
            let get = |wanted: &str| whole.get(wanted).filter(|_| wanted != name).cloned();
            let error = event_json(&event.envelope.order_id, 2, None, &get).unwrap_err();
            assert!(error.to_string().contains(what), "{name}: {error}");
        }
    }
}
