//! The change stream of a table on the emulator, and an event source mapping for it.
//!
//! The emulator's own mapping ignores the failures that a function reports, and so loses records. The mapping in this file does
//! what Lambda does: it delivers records from its checkpoint, moves the checkpoint to the first failed record, and delivers
//! again from that record.

use serde_json::{Value, json};

use super::Aws;
use super::lambda::Function;

/// A mapping of a stream to a function.
pub struct StreamMapping<'a> {
    pub function: &'a Function<'a>,
    pub stream: String,
    /// The maximum number of records of an invocation.
    pub batch_size: usize,
    /// The index of the next record to deliver.
    pub next: usize,
}

/// The result of an invocation.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The number of records that were delivered.
    pub delivered: usize,
    /// The number of records before the first reported failure. Without a failure, the number of all delivered records.
    pub done: usize,
}

impl StreamMapping<'_> {
    /// Delivers the next batch. Returns `None` at the end of the stream.
    pub async fn deliver(&mut self, aws: &Aws) -> Option<Delivery> {
        let all = aws.records(&self.stream).await;
        // As in the deployment, a filter selects the records of new log entries. Other records cause no invocation.
        let is_entry = |record: &Value| {
            let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap();
            record["eventName"] == "INSERT" && sk.starts_with("EVENT#")
        };
        let places: Vec<_> =
            (self.next..all.len()).filter(|at| is_entry(&all[*at])).take(self.batch_size).collect();
        let last = *places.last()?;
        let records: Vec<_> = places.iter().map(|at| all[*at].clone()).collect();
        let answer = self.function.invoke(&json!({ "Records": records })).await;
        let failures = answer["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let sequence = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
        let failed = failures.iter().map(|failure| {
            let same = |record: &Value| sequence(record) == failure["itemIdentifier"];
            records.iter().position(same).unwrap_or_else(|| panic!("{failure} is not in the batch"))
        });
        let done = failed.min().unwrap_or(records.len());
        self.next = places.get(done).copied().unwrap_or(last + 1);
        Some(Delivery { delivered: records.len(), done })
    }
}

impl Aws {
    /// All records of a stream, oldest first.
    pub async fn records(&self, stream: &str) -> Vec<Value> {
        let description = self.streams("DescribeStream", &json!({ "StreamArn": stream })).await;
        let shard = &description["StreamDescription"]["Shards"][0]["ShardId"];
        let start = json!({ "StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = self.streams("GetShardIterator", &start).await["ShardIterator"].take();
        let mut all = Vec::new();
        loop {
            let mut page = self.streams("GetRecords", &json!({ "ShardIterator": iterator })).await;
            let Value::Array(records) = page["Records"].take() else { panic!("{page}") };
            if records.is_empty() {
                return all;
            }
            all.extend(records);
            iterator = page["NextShardIterator"].take();
        }
    }
}
