//! The AsyncAPI description: the messages on the queue and on the dead-letter queue, and what is posted to webhooks.
//! `docs` serves the description, and the command `orders asyncapi` prints it.
//!
//! The description contains a message for each [`EventType`]. The data of the message has the same schema as in the
//! OpenAPI description. The domain encodes the message's example.

mod feed;
pub(crate) mod page;
mod v0_messages;
mod webhooks;

use domain::{EventType, ParkReason};
use serde_json::{Map, Value, json};

use crate::describe::{event_schemas, samples};

const DESCRIPTION: &str = "The messages of the order service: for producers that publish to its queue, for readers of its \
    dead letters and its feed, and for receivers of its webhooks. The queue is an SQS queue, FIFO (recommended) or standard. \
    The message group is the order id, so the events of an order are handled in order; the deduplication id is the event id. \
    An event on the queue is a proposal: the rules decide whether it is legal when it is consumed. Amounts are integers in \
    the currency's minor unit. Members that are not described are ignored.";

/// The AsyncAPI description of the messages on the queue, in the feed and in webhook deliveries.
pub fn asyncapi() -> Value {
    let events = || EventType::ALL.into_iter().map(EventType::as_str);
    let foreign = v0_messages::NAMES;
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
        "channels": {
            "orders": orders(all()),
            "dead_letters": dead_letters(),
            feed::CHANNEL: feed::channel(),
            webhooks::CHANNEL: webhooks::channel(&references(webhooks::MESSAGES.into_iter())),
        },
        "operations": {
            "publishEvent": operation("send", "orders", events(),
                "The API publishes the events that clients propose, before it returns 202."),
            "recordEvent": operation("receive", "orders", all(),
                "The consumer records the event if it is legal, and removes it from the queue."),
            "parkMessage": operation("send", "dead_letters", ["dead_letter"].into_iter(),
                "The consumer parks messages that it cannot process. No message is dropped."),
            "sendFeed": operation("send", feed::CHANNEL, [feed::MESSAGE].into_iter(),
                "The API sends each recorded event to every open stream."),
            "deliverEvent": operation("send", webhooks::CHANNEL, webhooks::MESSAGES.into_iter(),
                "The service posts each recorded event to the subscriptions that select it."),
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
        "description": "The queue at `QUEUE_URL`. An event that is delivered more than once is recorded only once, because the consumer recognizes its event id.",
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
        "description": "The queue at `DLQ_URL`. It contains messages that could not be processed, each unchanged and with the reason.",
        "messages": references(["dead_letter"].into_iter()),
        "x-sqs": {
            "message-group-id": "the group of the original message, or the id of the original message if it had no group",
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
    messages.extend(v0_messages::messages());
    messages.insert("dead_letter".to_owned(), dead_letter());
    messages.insert(feed::MESSAGE.to_owned(), feed::message());
    messages.extend(webhooks::messages());
    Value::Object(messages)
}

fn message(event_type: EventType) -> Value {
    json!({
        "name": event_type,
        "title": event_type,
        "summary": event_type.summary(),
        "contentType": "application/json",
        "payload": { "$ref": format!("#/components/schemas/{event_type}") },
        "traits": [{ "$ref": "#/components/messageTraits/traced" }],
        "examples": [{ "name": event_type, "payload": samples::message(event_type) }],
    })
}

/// The message trait that all events share: it describes their message attributes.
fn traits() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({ "traced": {
        "correlationId": { "location": "$message.payload#/correlation_id" },
        "headers": { "type": "object", "title": "trace_headers", "properties": {
            "correlation_id": text("The correlation id of the request that caused the event; the same as in the envelope."),
            "traceparent": text("The trace of the request that caused the event (W3C Trace Context)."),
            "tracestate": text("Vendor-specific data of the trace (W3C Trace Context)."),
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
                "description": "Why the message could not be processed.",
            },
            "detail": text("The reason in a sentence of at most 1000 characters."),
            "origin_queue": text("The URL of the queue that the message came from."),
            "message_id": text("The id of the message on the queue that it came from."),
            "receive_count": {
                "type": "string", "pattern": "^[0-9]+$", "description": "How often the message was received on the queue that it came from.",
            },
        },
        "description": "Message attributes. Some are omitted if the message would exceed the queue's size limit.",
    });
    name_parts("dead_letter_headers", &mut headers);
    json!({
        "name": "dead_letter",
        "title": "dead_letter",
        "summary": "A message that could not be processed. A text body is kept byte for byte.",
        "headers": headers,
        "payload": { "title": "dead_letter_payload", "description": "The original body. It can be anything, not only JSON." },
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
    schemas.extend(event_schemas::parts().map(|(name, schema)| (name.to_owned(), schema)));
    schemas.extend(v0_messages::schemas());
    schemas.insert(feed::MESSAGE.to_owned(), feed::schema());
    schemas.extend(webhooks::schemas());
    schemas.iter_mut().for_each(|(name, schema)| name_parts(name, schema));
    Value::Object(schemas)
}

/// Gives a title to a schema and to each of its parts for which generators create a class. Without titles, generators
/// number the classes.
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
