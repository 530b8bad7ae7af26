//! Reads the DynamoDB stream of the table of orders: implements the relay's [`ChangeStream`] in containers. Lambda
//! functions receive the records from an event source mapping instead.

use std::collections::HashMap;

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, ShardIteratorType};
use consumer::relay::{ChangeStream, Checkpoint, Shard, ShardPage, StreamEntry, StreamError};
use consumer::table_entry::EntryValue;

use crate::sdk::explain;

/// The maximum number of records of a page, which is the limit of the API.
const MAX_RECORDS: i32 = 1000;

/// A reader of a change stream.
#[derive(Debug, Clone)]
pub struct TableStream {
    client: Client,
    arn: String,
}

impl TableStream {
    /// Creates a reader of the stream with the given ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }
}

#[async_trait]
impl ChangeStream for TableStream {
    async fn shards(&self) -> anyhow::Result<Vec<Shard>> {
        let (mut shards, mut start) = (Vec::new(), None);
        loop {
            let call =
                self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(start);
            let answer =
                Box::pin(call.send()).await.map_err(explain).context("listing the shards of the stream")?;
            let page = answer.stream_description.context("the description of the stream is empty")?;
            let shard = |shard: aws_sdk_dynamodbstreams::types::Shard| {
                Some(Shard { id: shard.shard_id?, parent: shard.parent_shard_id })
            };
            shards.extend(page.shards.unwrap_or_default().into_iter().filter_map(shard));
            start = page.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn iterate(&self, shard: &str, from: &Checkpoint) -> Result<String, StreamError> {
        let call = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let call = match from {
            Checkpoint::After(sequence) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence)
            }
            Checkpoint::Start | Checkpoint::End => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = Box::pin(call.send()).await.map_err(failure)?;
        Ok(answer.shard_iterator.context("the stream returned no iterator")?)
    }

    async fn read(&self, iterator: &str) -> Result<ShardPage, StreamError> {
        let call = self.client.get_records().shard_iterator(iterator).limit(MAX_RECORDS);
        let answer = Box::pin(call.send()).await.map_err(failure)?;
        let records = answer.records.unwrap_or_default();
        let last = records.last().and_then(sequence).map(str::to_owned);
        let entries = records.iter().filter_map(entry).collect();
        Ok(ShardPage { entries, last, next: answer.next_shard_iterator })
    }
}

fn failure<E>(error: SdkError<E>) -> StreamError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("ExpiredIteratorException") => StreamError::IteratorExpired,
        Some("TrimmedDataAccessException") => StreamError::Trimmed,
        _ => StreamError::Failed(explain(error).context("reading the change stream")),
    }
}

fn sequence(record: &Record) -> Option<&str> {
    record.dynamodb()?.sequence_number()
}

/// Decodes the new log entry in a record. Also returns the record's sequence number. `None` if the record is not of a
/// new log entry.
fn entry(record: &Record) -> Option<(String, anyhow::Result<StreamEntry>)> {
    // A log entry is inserted once. Later changes of the entry's item affect only index attributes.
    if record.event_name() != Some(&OperationType::Insert) {
        return None;
    }
    let change = record.dynamodb()?;
    let keys = change.keys()?;
    let get = |name: &str| match change.new_image()?.get(name)? {
        AttributeValue::S(text) => Some(EntryValue::Text(text.clone())),
        AttributeValue::N(number) => Some(EntryValue::Number(number.clone())),
        AttributeValue::B(bytes) => Some(EntryValue::Bytes(bytes.as_ref().to_vec())),
        _ => None,
    };
    let entry = StreamEntry::read(text(keys, "pk")?, text(keys, "sk")?, &get)?;
    Some((change.sequence_number()?.to_owned(), entry))
}

fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}
