//! The AsyncAPI description of the queue: its messages, and those of the dead-letter queue.
//!
//! It is made of the types that the rest of the program uses: there is a message for each [`EventType`], with the schema
//! that the OpenAPI description has too, and an example that the domain itself has written.

mod article;
mod page;

use domain::{EventType, ParkReason};
use serde_json::{Map, Value, json};

pub(crate) use self::page::page;
use crate::describe::{event_schemas, samples};

const DESCRIPTION: &str = "What travels on the queue of the order service, for those who publish to it or look into its \
    dead letters. The queue is SQS, FIFO (recommended) or standard. Its message group is the order, so the events of \
    an order are handled in order; its deduplication id is the event id. An event is a proposal: whether it is legal \
    is decided when it is taken off the queue. Amounts are integers in the currency's minor unit. Members that are \
    not described are tolerated, and ignored.";

/// The AsyncAPI description of the queue's messages.
pub fn asyncapi() -> Value {
    let events = || EventType::ALL.into_iter().map(EventType::as_str);
    let foreign = article::NAMES;
    let all = || events().chain(foreign);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Orders queue",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "channels": { "orders": orders(all()), "dead_letters": dead_letters() },
        "operations": {
            "publishEvent": operation("send", "orders", events(),
                "The API publishes the events that clients proposed, before it answers 202."),
            "recordEvent": operation("receive", "orders", all(),
                "The consumer records an event if it is legal, and takes it off the queue."),
            "parkMessage": operation("send", "dead_letters", ["dead_letter"].into_iter(),
                "The consumer puts aside what it cannot process. Nothing is dropped."),
        },
        "components": { "messages": messages(), "schemas": schemas(), "messageTraits": traits() },
    })
}

fn operation<'a>(
    action: &str,
    channel: &str,
    messages: impl Iterator<Item = &'a str>,
    summary: &str,
) -> Value {
    let reference = |name| json!({ "$ref": format!("#/channels/{channel}/messages/{name}") });
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "summary": summary,
        "messages": messages.map(reference).collect::<Value>(),
    })
}

fn orders<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    json!({
        "address": null,
        "title": "The queue of orders",
        "description": "The queue at `QUEUE_URL`. What it delivers more than once is recorded once, by its event id.",
        "messages": references(names),
        "x-sqs": {
            "message-group-id": "$message.payload#/data/order_id",
            "message-deduplication-id": "$message.payload#/event_id",
        },
    })
}

fn dead_letters() -> Value {
    json!({
        "address": null,
        "title": "The dead letters",
        "description": "The queue at `DLQ_URL`: messages that cannot be processed, as they came, with the reason.",
        "messages": references(["dead_letter"].into_iter()),
        "x-sqs": {
            "message-group-id": "that of the message; its id where it had none",
            "message-deduplication-id": "$message.header#/message_id",
        },
    })
}

fn references<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let reference =
        |name: &str| (name.to_owned(), json!({ "$ref": format!("#/components/messages/{name}") }));
    Value::Object(names.map(reference).collect())
}

fn messages() -> Value {
    let event = |event_type: EventType| (event_type.to_string(), message(event_type));
    let mut messages: Map<_, _> = EventType::ALL.into_iter().map(event).collect();
    messages.extend(article::messages());
    messages.insert("dead_letter".to_owned(), dead_letter());
    Value::Object(messages)
}

fn message(event_type: EventType) -> Value {
    json!({
        "name": event_type,
        "title": event_type,
        "summary": what_happened(event_type),
        "contentType": "application/json",
        "payload": { "$ref": format!("#/components/schemas/{event_type}") },
        "traits": [{ "$ref": "#/components/messageTraits/traced" }],
        "examples": [{ "name": event_type, "payload": samples::message(event_type) }],
    })
}

fn what_happened(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Created => "A customer ordered.",
        EventType::Amended => "The lines were replaced, before confirmation.",
        EventType::Confirmed => "The merchant took the order on.",
        EventType::Paid => "The customer paid.",
        EventType::Shipped => "The goods left.",
        EventType::Delivered => "The goods arrived.",
        EventType::Cancelled => "The order was called off.",
        EventType::Returned => "The goods came back.",
        EventType::Refunded => "The customer got money back.",
    }
}

/// What goes with every event as message attributes.
fn traits() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({ "traced": {
        "correlationId": { "location": "$message.payload#/correlation_id" },
        "headers": { "type": "object", "title": "trace_headers", "properties": {
            "correlation_id": text("The request that caused the event; the same as in the envelope."),
            "traceparent": text("The trace of that request (W3C Trace Context)."),
            "tracestate": text("What belongs to the trace besides."),
        } },
    } })
}

fn dead_letter() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut headers = json!({
        "type": "object",
        "properties": {
            "reason": {
                "type": "string", "enum": ParkReason::ALL.map(ParkReason::as_str),
                "description": "Why it could not be processed.",
            },
            "detail": text("The reason in a sentence, of at most 1000 characters."),
            "origin_queue": text("The URL of the queue that it was on."),
            "message_id": text("Its id on that queue."),
            "receive_count": {
                "type": "string", "pattern": "^[0-9]+$", "description": "How often it was received there.",
            },
        },
        "description": "Message attributes. Of a message that is as large as the queue takes, some are left out.",
    });
    name_parts("dead_letter_headers", &mut headers);
    json!({
        "name": "dead_letter",
        "title": "dead_letter",
        "summary": "A message that could not be processed, byte for byte as it came, if it is text.",
        "headers": headers,
        "payload": { "title": "dead_letter_payload", "description": "Anything: it may not even be JSON." },
        "examples": [{
            "name": "invalid",
            "headers": {
                "reason": "invalid", "detail": "invalid data.items[0].quantity: quantity must be 1–1000000",
                "origin_queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo",
                "message_id": "5fea7756-0ea4-451a-a703-a558b933e274", "receive_count": "1",
            },
            "payload": { "type": "order_created", "data": { "order_id": "order-1", "items": [{ "quantity": 0 }] } },
        }],
    })
}

fn schemas() -> Value {
    let of_event = |event_type: EventType| {
        let own = json!({ "properties": {
            "type": { "type": "string", "enum": [event_type] },
            "data": event_schemas::data(event_type),
        } });
        let schema = json!({ "type": "object", "allOf": [{ "$ref": "#/components/schemas/Envelope" }, own] });
        (event_type.to_string(), schema)
    };
    let mut schemas: Map<_, _> = EventType::ALL.into_iter().map(of_event).collect();
    schemas.insert("Envelope".to_owned(), event_schemas::envelope());
    schemas.extend(article::schemas());
    schemas.iter_mut().for_each(|(name, schema)| name_parts(name, schema));
    Value::Object(schemas)
}

/// Gives a title to a schema, and to each part of it that generators make a class of: without one they number them.
fn name_parts(title: &str, schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    if ["properties", "enum", "allOf"].iter().any(|keyword| keywords.contains_key(*keyword)) {
        keywords.entry("title").or_insert_with(|| title.into());
    }
    for (name, part) in keywords.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        name_parts(&format!("{title}_{name}"), part);
    }
    if let Some(item) = keywords.get_mut("items") {
        name_parts(&format!("{title}_item"), item);
    }
    for part in keywords.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        if part["$ref"].is_null() {
            part["title"] = format!("{title}_own").into();
            name_parts(title, part);
        }
    }
}
