//! Reads the event of an invocation and the messages in it. The parent module calls this module.
//!
//! Bodies are read as bytes, and not with the type from `aws_lambda_events`, whose bodies are strings. JSON can
//! contain a lone surrogate (`\ud800`), which no string can hold. With strings, one such body would make the whole
//! event unreadable on every delivery. SQS does not accept such a message, but other senders of events may send one.
//! A message whose body is not UTF-8 is parked as malformed, with all its bytes. Fields that the consumer does not
//! need are ignored.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use domain::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::ports::{Message, TRACE_HEADER};

/// The receive count that is assumed if a message does not contain one. The count must not be 1: when an
/// `order_created` event is received for the first time, the consumer assumes that its order does not exist.
const UNKNOWN_RECEIVE_COUNT: u32 = 2;

/// The messages of one invocation, as the event source mapping sends them.
#[derive(Debug, Deserialize)]
pub struct SqsBatch {
    #[serde(rename = "Records")]
    records: Vec<SqsRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord {
    message_id: Option<String>,
    receipt_handle: Option<String>,
    body: Option<RawBody>,
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

/// The bytes of a JSON string, which need not be UTF-8.
#[derive(Debug)]
struct RawBody(Vec<u8>);

impl SqsBatch {
    /// Reads the event of an invocation. The Lambda runtime's own reader also tracks the path of each value, which
    /// takes longer than the rest of the reading.
    pub fn read(event: &str) -> anyhow::Result<Self> {
        serde_json::from_str(event).context(
            "the event is not a batch from an SQS event source mapping; this function handles no other events",
        )
    }

    /// The messages, in the order of the queue. A missing id or body becomes an empty string.
    pub fn into_messages(self) -> Vec<Message> {
        self.records.into_iter().map(SqsRecord::into_message).collect()
    }
}

impl SqsRecord {
    fn into_message(self) -> Message {
        // Only the groups of a FIFO queue keep their messages in order. The messages of a standard queue may have groups, too,
        // for fairness.
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
            receive_count: receive_count.unwrap_or(UNKNOWN_RECEIVE_COUNT),
            sent_at: time(attributes.sent_timestamp),
            first_received_at: time(attributes.approximate_first_receive_timestamp),
            attributes: texts,
            body: self.body.map(|body| body.0).unwrap_or_default(),
            event: None,
        }
    }
}

/// Reads a time in milliseconds since 1970, as SQS writes it.
fn time(millis: Option<String>) -> Option<Timestamp> {
    Timestamp::from_millis(millis?.parse().ok()?)
}

impl<'de> Deserialize<'de> for RawBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = RawBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RawBody, E> {
                Ok(RawBody(bytes.to_vec()))
            }
        }
        // If serde_json reads a string as bytes, a lone surrogate becomes the three bytes of its WTF-8 encoding.
        deserializer.deserialize_bytes(Bytes)
    }
}
