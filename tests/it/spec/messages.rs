//! Tests that the schemas of messages agree with the domain, which must write and read exactly what the schemas
//! describe.

use consumer::webhooks::EventPayload;
use domain::{Envelope, EventType, RecordedEvent, Timestamp};
use serde_json::{Value, json};

use super::{Validator, openapi};
use crate::support::events::eur;

fn golden(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn decode(message: &Value) -> Result<Envelope, String> {
    Envelope::decode(message.to_string().as_bytes(), eur()).map_err(|error| error.to_string())
}

fn encoded(envelope: &Envelope) -> Value {
    serde_json::from_slice(&envelope.encode()).unwrap()
}

fn schema_of(message: &Value) -> String {
    format!("/components/schemas/{}", message["type"].as_str().unwrap())
}

fn example(event_type: EventType) -> Value {
    api::asyncapi()["components"]["messages"][event_type.as_str()]["examples"][0]["payload"].clone()
}

#[test]
fn every_event_ever_written_is_valid_against_its_schema() {
    let mut messages = Validator::of(api::asyncapi());
    let mut events = Validator::of(openapi());
    for line in golden("v1.jsonl") {
        let mut event = RecordedEvent::decode(line.to_string().as_bytes(), eur()).unwrap();
        let message = encoded(&event.envelope);
        assert_eq!(messages.check(&schema_of(&message), &message), Ok(()), "{message}");
        // Answers to clients omit the request hash.
        event.envelope.request_hash = None;
        let event: Value = serde_json::from_slice(&event.encode()).unwrap();
        assert_eq!(events.check("/components/schemas/RecordedEvent", &event), Ok(()), "{event}");
    }
}

#[test]
fn messages_of_schema_version_0_are_valid_before_and_after_upcasting() {
    let mut messages = Validator::of(api::asyncapi());
    for line in golden("article-v0.jsonl") {
        let before = format!("/components/schemas/article_{}", line["type"].as_str().unwrap());
        assert_eq!(messages.check(&before, &line), Ok(()), "{line}");
        let upcast = encoded(&decode(&line).unwrap());
        assert_eq!(messages.check(&schema_of(&upcast), &upcast), Ok(()), "{upcast}");
        assert!(
            messages.check(&before, &upcast).is_err(),
            "the schema of version 0 must not accept version 1: {upcast}"
        );
    }
}

#[test]
fn every_type_has_an_example_that_the_domain_encodes_unchanged() {
    let document = api::asyncapi();
    let mut messages = Validator::of(document.clone());
    for event_type in EventType::ALL {
        let message = example(event_type);
        assert_eq!(encoded(&decode(&message).unwrap()), message);
        assert_eq!(messages.check(&schema_of(&message), &message), Ok(()));
        let name = json!({ "$ref": format!("#/components/messages/{event_type}") });
        assert_eq!(document["channels"]["orders"]["messages"][event_type.as_str()], name);
    }
    for name in ["article_order_created", "article_order_updated"] {
        let message = &document["components"]["messages"][name]["examples"][0]["payload"];
        assert_eq!(messages.check(&format!("/components/schemas/{name}"), message), Ok(()));
        assert!(decode(message).is_ok());
    }
}

/// The message in which the value at `pointer` is replaced, or removed with `None`.
fn with(message: &Value, pointer: &str, value: Option<&Value>) -> Value {
    let mut changed = message.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap();
    match (value, parent.as_object_mut()) {
        (Some(value), _) => parent[name] = value.clone(),
        (None, Some(members)) => drop(members.remove(name)),
        (None, None) => panic!("there is no member at {pointer}"),
    }
    changed
}

/// Pointers to all members below `value`.
fn members(at: &str, value: &Value) -> Vec<String> {
    let Some(object) = value.as_object() else {
        let first = value.as_array().map(|list| members(&format!("{at}/0"), &list[0]));
        return first.unwrap_or_default();
    };
    let of_member = |(name, value): (&String, &Value)| {
        let at = format!("{at}/{name}");
        [vec![at.clone()], members(&at, value)].concat()
    };
    object.iter().flat_map(of_member).collect()
}

/// Tests that a schema accepts a changed message if and only if the domain does.
#[test]
fn the_schemas_and_the_domain_accept_the_same_messages() {
    let mut messages = Validator::of(api::asyncapi());
    let long = json!("x".repeat(600));
    let values = [
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1_i64 << 53),
        json!([]),
        json!({}),
        json!(""),
        json!("\u{7}"),
        json!(" "),
        json!("EUR"),
        long,
    ];
    let mut differences = vec![];
    for event_type in EventType::ALL {
        let message = example(event_type);
        let schema = schema_of(&message);
        for pointer in members("/data", &message["data"]) {
            for value in values.iter().map(Some).chain([None]) {
                let changed = with(&message, &pointer, value);
                let (described, read) = (messages.check(&schema, &changed), decode(&changed));
                // A JSON schema cannot state that a value is the sum of other values.
                let is_sum = matches!(&read, Err(error) if error.contains("must be the sum of the lines"));
                if described.is_ok() != (read.is_ok() || is_sum) {
                    differences.push(format!("{event_type} {pointer} {value:?}: {described:?} {read:?}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let message = example(EventType::Paid);
    for (pointer, value) in [
        ("/event_id", json!("1")),
        ("/timestamp", json!("yesterday")),
        ("/correlation_id", json!("")),
        ("/correlation_id", json!("a b")),
        ("/expected_version", json!(-1)),
        ("/schema_version", json!(3)),
        ("/schema_version", json!(0)),
        ("/type", json!("order_lost")),
        ("/data", json!([])),
        ("/data", json!(null)),
    ] {
        let changed = with(&message, pointer, Some(&value));
        let described = messages.check("/components/schemas/order_paid", &changed);
        assert!(described.is_err() && decode(&changed).is_err(), "{pointer} {value}");
    }
}

/// Tests that schemas have titles. Without a title, code generators give the class of a schema a number as its name.
#[test]
fn every_class_of_a_message_has_a_title_of_its_own() {
    fn untitled(at: &str, value: &Value, titles: &mut Vec<String>) {
        let is_class = ["properties", "enum", "allOf"].iter().any(|keyword| !value[keyword].is_null());
        // `examples` contains no schemas. The schemas in `anyOf` and `not` only add conditions.
        if !value.is_object() || ["/examples", "/anyOf", "/not"].iter().any(|end| at.ends_with(end)) {
            return;
        }
        if is_class && !at.ends_with("/properties") {
            let title = value["title"].as_str().unwrap_or_else(|| panic!("{at} has no title"));
            titles.push(title.to_owned());
        }
        for (name, part) in value.as_object().unwrap() {
            untitled(&format!("{at}/{name}"), part, titles);
            for item in part.as_array().into_iter().flatten().filter(|_| name == "allOf") {
                untitled(&format!("{at}/{name}/-"), item, titles);
            }
        }
    }
    let mut titles = vec![];
    untitled("", &api::asyncapi()["components"], &mut titles);
    let count = titles.len();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), count, "{titles:?}");
    assert!(count > 20, "{count}");
}

/// Tests that the bodies of deliveries are valid against the schemas of the OpenAPI and the AsyncAPI description.
#[test]
fn deliveries_follow_both_descriptions() {
    let (mut http, mut messages) = (Validator::of(openapi()), Validator::of(api::asyncapi()));
    let mut check = |schema: &str, body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        let pointer = format!("/components/schemas/{schema}");
        assert_eq!(
            (http.check(&pointer, &body), messages.check(&pointer, &body)),
            (Ok(()), Ok(())),
            "{body}"
        );
        // A body with a wrong `specversion` must be invalid, which shows that the schema does not accept any
        // object.
        let mut other = body;
        other["specversion"] = json!("0.3");
        assert!(http.check(&pointer, &other).is_err() && messages.check(&pointer, &other).is_err());
    };
    for event_type in EventType::ALL {
        let envelope = Envelope::decode(example(event_type).to_string().as_bytes(), eur()).unwrap();
        let event = RecordedEvent { version: 3, recorded_at: envelope.timestamp, repaired: None, envelope };
        let payload = EventPayload::of("/orders", event).unwrap();
        check("WebhookEvent", &payload.body);
    }
    let now = Timestamp::from_micros(0).unwrap();
    check("WebhookTestEvent", &EventPayload::test("/orders", now).unwrap().body);
}
