//! The relay as a Lambda function behind the change stream of the table: each invocation delivers records of one shard. The
//! Lambda command runs it.
//!
//! After a failure, the answer names the first record that was not relayed. The event source mapping delivers that record
//! and all later ones again. The mapping must have the setting `ReportBatchItemFailures`. Without this setting,
//! the mapping ignores the answer and continues with later records.
//!
//! The type for the event from `aws_lambda_events` keeps every attribute of every item, and depends on a crate that converts
//! items. The relay needs only texts, numbers and bytes, so this module reads them with types of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Relay, StreamEntry};
use crate::lambda::{AfterEach, IsPing};
use crate::table_entry::EntryValue;

/// The time of an invocation that is reserved for the answer.
const MARGIN: Duration = Duration::from_secs(1);

/// The records of one invocation, as the event source mapping sends them.
#[derive(Debug, Deserialize)]
pub struct StreamBatch {
    #[serde(rename = "Records")]
    records: Vec<StreamRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRecord {
    event_name: String,
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    #[serde(default)]
    sequence_number: String,
    keys: ItemKeys,
    new_image: Option<HashMap<String, ImageAttribute>>,
}

#[derive(Debug, Deserialize)]
struct ItemKeys {
    pk: TextAttribute,
    sk: TextAttribute,
}

#[derive(Debug, Deserialize)]
struct TextAttribute {
    #[serde(rename = "S")]
    text: Option<String>,
}

/// An attribute of a new image. Attributes of other types have none of the members.
#[derive(Debug, Default, Deserialize)]
struct ImageAttribute {
    #[serde(rename = "S")]
    text: Option<String>,
    #[serde(rename = "N")]
    number: Option<String>,
    /// Base64.
    #[serde(rename = "B")]
    bytes: Option<String>,
}

impl ImageAttribute {
    fn value(&self) -> Option<EntryValue> {
        let bytes = || self.bytes.as_ref().and_then(|bytes| BASE64.decode(bytes).ok()).map(EntryValue::Bytes);
        let number = || self.number.clone().map(EntryValue::Number);
        self.text.clone().map(EntryValue::Text).or_else(number).or_else(bytes)
    }
}

impl StreamBatch {
    /// Reads the event of an invocation.
    pub fn read(event: &str) -> anyhow::Result<Self> {
        serde_json::from_str(event).context(
            "the event is not a batch from the event source mapping of a DynamoDB stream; this function handles no other events",
        )
    }

    /// The new log entries among the records, each with the sequence number of its record.
    fn into_entries(self) -> Vec<(String, anyhow::Result<StreamEntry>)> {
        self.records.into_iter().filter_map(StreamRecord::into_entry).collect()
    }
}

impl StreamRecord {
    fn into_entry(self) -> Option<(String, anyhow::Result<StreamEntry>)> {
        // A log entry is inserted once and never changes. Later changes of its item concern only attributes for indexes.
        if self.event_name != "INSERT" {
            return None;
        }
        let Change { sequence_number, keys: ItemKeys { pk, sk }, new_image } = self.dynamodb;
        let image = new_image.unwrap_or_default();
        let get = |name: &str| image.get(name).and_then(ImageAttribute::value);
        Some((sequence_number, StreamEntry::read(&pk.text?, &sk.text?, &get)?))
    }
}

/// Serves invocations, one at a time, until the environment ends.
pub async fn run(relay: Arc<Relay>, is_ping: IsPing, after_each: AfterEach) -> anyhow::Result<()> {
    let relay = &relay;
    let serve = |event: LambdaEvent<Box<RawValue>>| async move {
        let answer = answer(relay, event, is_ping).await;
        after_each().await;
        answer.map_err(|error| Diagnostic {
            error_type: "orders::relay".to_owned(),
            error_message: format!("{error:#}"),
        })
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(anyhow::Error::from_boxed)
}

/// Relays a batch, and names the first record that must be delivered again. A ping is answered like an empty batch. Any other
/// event is an error.
pub async fn answer(
    relay: &Relay,
    event: LambdaEvent<Box<RawValue>>,
    is_ping: IsPing,
) -> anyhow::Result<DynamoDbEventResponse> {
    let batch = match StreamBatch::read(event.payload.get()) {
        Ok(batch) => batch,
        Err(_) if is_ping(event.payload.get()) => return Ok(DynamoDbEventResponse::default()),
        Err(error) => return Err(error),
    };
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let (sequences, entries): (Vec<_>, Vec<_>) = batch.into_entries().into_iter().unzip();
    let deadline = Instant::now() + left - MARGIN.min(left / 5);
    let Err(failure) = relay.relay_before(Some(deadline), entries).await else {
        return Ok(DynamoDbEventResponse::default());
    };
    tracing::error!("cannot relay a recorded event; the stream delivers it again: {failure}");
    let first = sequences.get(failure.first).filter(|sequence| !sequence.is_empty());
    // An empty identifier in the answer would also make the whole batch fail, but no log line would give the reason.
    let first = first.context("the whole batch must be retried, because a record has no sequence number")?;
    let mut item = DynamoDbBatchItemFailure::default();
    item.item_identifier = Some(first.clone());
    let mut answer = DynamoDbEventResponse::default();
    answer.batch_item_failures.push(item);
    Ok(answer)
}
