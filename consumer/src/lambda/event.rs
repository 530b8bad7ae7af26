//! The event of an invocation, and the messages in it.
//!
//! `aws_lambda_events` has a type for it whose bodies are strings. JSON can hold what no string can, a lone surrogate
//! (`\ud800`), and one such body would make the whole event unreadable, time and again. SQS refuses to take such a
//! message, but other senders of events need not. So bodies are read as the bytes they stand for, which are not UTF-8
//! then, and are parked as malformed with everything that was in them. What nobody here needs is not looked at.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use domain::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::ports::{Message, TRACE_HEADER};

/// The receive count of a message that does not tell it: not the first time. A creation that is received for the
/// first time is appended without looking whether its order exists; of this one it is not known.
const NOT_THE_FIRST: u32 = 2;

/// The messages of one invocation, as the event source mapping sends them.
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: Option<String>,
    receipt_handle: Option<String>,
    body: Option<Body>,
    attributes: Option<Attributes>,
    #[serde(default)]
    message_attributes: Option<BTreeMap<String, Option<MessageAttribute>>>,
    #[serde(rename = "eventSourceARN")]
    source: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    message_group_id: Option<String>,
    approximate_receive_count: Option<String>,
    sent_timestamp: Option<String>,
    approximate_first_receive_timestamp: Option<String>,
    #[serde(rename = "AWSTraceHeader")]
    trace_header: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageAttribute {
    string_value: Option<String>,
}

/// The bytes that a JSON string stands for, whether they are text or not.
#[derive(Debug)]
struct Body(Vec<u8>);

impl Batch {
    /// Reads the event of an invocation. The runtime could do it as well, but keeps account of where in it it is, which
    /// takes more than the reading.
    pub fn read(event: &str) -> anyhow::Result<Self> {
        serde_json::from_str(event)
            .context("this function takes batches of messages from an SQS event source mapping, and this event is none")
    }

    /// The messages, in the order of the queue. One without an id has an empty one, and one without a body is empty.
    pub fn into_messages(self) -> Vec<Message> {
        self.records.into_iter().map(Record::into_message).collect()
    }
}

impl Record {
    fn into_message(self) -> Message {
        // A queue without order may have groups as well, for fairness among them.
        let ordered = self.source.is_some_and(|arn| arn.ends_with(".fifo"));
        let attributes = self.attributes.unwrap_or_default();
        let texts = self.message_attributes.unwrap_or_default().into_iter();
        let texts = texts.filter_map(|(name, attribute)| Some((name, attribute?.string_value?)));
        let trace = attributes.trace_header.map(|header| (TRACE_HEADER.to_owned(), header));
        let texts = texts.chain(trace).collect();
        let receive_count = attributes.approximate_receive_count.and_then(|count| count.parse().ok());
        Message {
            id: self.message_id.unwrap_or_default(),
            handle: self.receipt_handle.unwrap_or_default(),
            group: attributes.message_group_id.filter(|_| ordered),
            receive_count: receive_count.unwrap_or(NOT_THE_FIRST),
            sent_at: time(attributes.sent_timestamp),
            first_received_at: time(attributes.approximate_first_receive_timestamp),
            attributes: texts,
            body: self.body.map(|body| body.0).unwrap_or_default(),
            event: None,
        }
    }
}

/// A time as SQS tells it: milliseconds since 1970.
fn time(millis: Option<String>) -> Option<Timestamp> {
    Timestamp::from_millis(millis?.parse().ok()?)
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Body, E> {
                Ok(Body(bytes.to_vec()))
            }
        }
        // As bytes, serde_json reads a lone surrogate as the three bytes that UTF-8 would have for it (WTF-8).
        deserializer.deserialize_bytes(Bytes)
    }
}
