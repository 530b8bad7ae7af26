//! Tests the metrics of Lambda functions. These metrics are log lines that must conform to the embedded metric format.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Draft, Schemas};
use serde_json::{Value, json};

use super::lambda::deploy_with;
use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::metrics::documented;
use crate::pipeline::from_created_to_delivered;
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::events::{created, new_order_id};
use crate::support::eventually::{PATIENCE, eventually};
use crate::support::service::Api;

/// The level at which functions write all metrics. The default stays for other crates, whose lines are not needed.
pub const DETAILED: (&str, &str) = ("LOG_LEVEL", "info,consumer=debug");
const SCHEMA: &str = include_str!("../../fixtures/emf.schema.json");

/// Validates each metric line in the function's log, and returns the lines.
pub async fn emitted(function: &Function<'_>) -> Vec<Value> {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.add_resource("mem:///emf", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let mut schemas = Schemas::new();
    let schema = compiler.compile("mem:///emf", &mut schemas).unwrap();
    let lines: Vec<Value> =
        function.log().await.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<_> = lines.into_iter().filter(|line| line.get("_aws").is_some()).collect();
    for line in &lines {
        schemas.validate(line, schema).unwrap_or_else(|error| panic!("{error:#} in {line}"));
        check_beyond_the_schema(line);
    }
    lines
}

/// Checks that the metadata refers to existing members of the right kind, and that the line has a level. Lambda may
/// drop a line without a level.
fn check_beyond_the_schema(line: &Value) {
    assert!(line["level"].is_string(), "{line}");
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "OrderProcessing");
        for dimension in
            directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
        {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} in {line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let values = values(line, metric["Name"].as_str().unwrap());
            assert!(!values.is_empty() && values.len() <= 100, "{metric} in {line}");
        }
    }
}

fn values(line: &Value, metric: &str) -> Vec<f64> {
    match &line[metric] {
        Value::Array(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
        Value::Null => Vec::new(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// The sum of a metric for each value of the dimension, as CloudWatch would show it.
pub fn sums(lines: &[Value], metric: &str, dimension: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        let sum: f64 = values(line, metric).iter().sum();
        if sum > 0.0 {
            *sums.entry(line[dimension].as_str().unwrap_or("").to_owned()).or_default() += sum;
        }
    }
    sums
}

/// Waits until the metric lines cover `count` messages, and returns the lines. The emulator shows the last
/// lines of an invocation only after the next invocation.
async fn with_processed(function: &Function<'_>, count: f64) -> Vec<Value> {
    eventually("the function has processed its messages", async || {
        let lines = emitted(function).await;
        let sums = sums(&lines, "MessagesProcessed", "Status");
        let sum = |status: &str| sums.get(status).copied().unwrap_or(0.0);
        if sum("Success") + sum("Failure") >= count { Ok(lines) } else { Err(lines) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_write_the_documented_metrics() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    // At `debug`, functions write all metrics.
    let api = deploy_with(&backend, "api", &[DETAILED]).await;
    let consumer = deploy_with(&backend, "consumer", &[DETAILED]).await;
    consumer.consume(&backend.queues.arn, 10).await;
    let http = api.http_api().await;
    from_created_to_delivered(&Api::at(&http.default_stage), "metrics").await;
    let poison = json!({ "QueueUrl": backend.queues.url, "MessageBody": "{ not an event",
                         "MessageGroupId": "poison", "MessageDeduplicationId": "poison" });
    Emulator::shared().sqs("SendMessage", &poison).await;
    backend.drained(PATIENCE).await;

    let lines = with_processed(&consumer, 7.0).await;
    let processed = sums(&lines, "MessagesProcessed", "Status");
    let expected =
        [("Failure", 1.0), ("Parked", 1.0), ("Recorded", 5.0), ("Rejected", 1.0), ("Success", 6.0)];
    assert_eq!(processed, expected.map(|(status, sum)| (status.to_owned(), sum)).into());
    assert_eq!(sums(&lines, "MessagesParked", "Reason"), BTreeMap::from([("Malformed".to_owned(), 1.0)]));
    assert_eq!(sums(&lines, "BatchSize", "")[""], 7.0);
    let count = |metric| lines.iter().map(|line| values(line, metric).len()).sum::<usize>();
    assert_eq!((count("QueueAge"), count("EndToEndLatency")), (7, 5));
    assert!(sums(&lines, "ProcessingDuration", "")[""] > 0.0);
    // `ProcessingDuration` has no dimension.
    for line in lines.iter().filter(|line| line.get("ProcessingDuration").is_some()) {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    }
    let mut emitted_by_all: BTreeSet<String> = names(&lines);

    let lines = emitted(&api).await;
    assert_eq!(sums(&lines, "EventsPublished", "Result")["Accepted"], 6.0);
    assert_eq!(lines.iter().map(|line| values(line, "PublishLatency").len()).sum::<usize>(), 6);
    emitted_by_all.extend(names(&lines));
    let documented: BTreeSet<_> = documented().filter_map(|(_, cloudwatch)| cloudwatch).collect();
    let missing: Vec<_> = documented.iter().filter(|name| !emitted_by_all.contains(**name)).collect();
    let absent = [
        &"DueLateness",
        &"DueProposed",
        &"EventsRelayed",
        &"MessagesRedelivered",
        &"OutputEvents",
        &"RelayLag",
        &"WebhookAttemptDuration",
        &"WebhookAttempts",
        &"WebhookDeliveriesGivenUp",
        &"WebhookSubscriptionsStopped",
    ];
    assert_eq!(missing, absent, "only metrics of things that do not happen in this test are missing");
    assert!(emitted_by_all.iter().all(|name| documented.contains(name.as_str())), "{emitted_by_all:?}");
}

fn names(lines: &[Value]) -> BTreeSet<String> {
    let directives = lines.iter().flat_map(|line| line["_aws"]["CloudWatchMetrics"].as_array().unwrap());
    let metrics = directives.flat_map(|directive| directive["Metrics"].as_array().unwrap());
    metrics.map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_more_than_a_hundred_messages_loses_no_value() {
    let backend = AwsBackend::open(false, QueueOptions::default()).await;
    let consumer = deploy_with(&backend, "consumer", &[DETAILED]).await;
    let events: Vec<_> = (0..250).map(|_| created(&new_order_id())).collect();
    let records: Vec<_> = events.iter().map(|event| record(&event.encode(), &backend.queues.arn)).collect();
    let answer = consumer.invoke(&json!({ "Records": records })).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let lines = with_processed(&consumer, 250.0).await;
    assert_eq!(lines.iter().map(|line| values(line, "EndToEndLatency").len()).sum::<usize>(), 250);
    assert_eq!(sums(&lines, "MessagesProcessed", "Status")["Recorded"], 250.0);
}

/// A message in the form in which an event source mapping passes it.
fn record(body: &[u8], queue: &str) -> Value {
    json!({
        "messageId": uuid::Uuid::now_v7(), "receiptHandle": "handle", "eventSource": "aws:sqs",
        "eventSourceARN": queue, "body": String::from_utf8_lossy(body),
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795431600000" },
    })
}
