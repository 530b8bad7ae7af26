//! Tests the AWS emulator: the behaviour on which other tests rely, and that the emulator leaves no processes behind.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::conformance::QueueOptions;
use crate::support::emulator::lambda::Function;
use crate::support::emulator::proxy::{Proxy, throttled};
use crate::support::emulator::queues::{Depth, Queues};
use crate::support::emulator::{Aws, Emulator, python};
use crate::support::eventually::{check, eventually, eventually_blocking};
use crate::support::http;

/// The environment variable that marks the process which a test kills.
const TO_BE_KILLED: &str = "ORDERS_TEST_TO_BE_KILLED";

const EMPTY: Depth = Depth { visible: 0, in_flight: 0, delayed: 0 };

async fn send(aws: &Aws, queues: &Queues, group: &str, deduplication_id: &str, body: &str) -> Value {
    let message = json!({ "QueueUrl": queues.url, "MessageBody": body, "MessageGroupId": group,
                          "MessageDeduplicationId": deduplication_id });
    aws.sqs("SendMessage", &message).await
}

async fn receive(aws: &Aws, url: &str) -> Vec<Value> {
    let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5,
                        "MessageSystemAttributeNames": ["All"] });
    match aws.sqs("ReceiveMessage", &input).await["Messages"].take() {
        Value::Array(messages) => messages,
        _ => Vec::new(),
    }
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().unwrap()).collect()
}

#[test]
fn a_missing_python_is_reported_in_one_line() {
    let folder = TempDir::new().unwrap();
    let error = python::set_up("no-such-python", folder.path()).unwrap_err();
    assert!(error.contains("`no-such-python` cannot be used (No such file or directory"), "{error}");
    assert!(error.contains("install python3 (Debian: apt-get install python3 python3-venv)"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!folder.path().join("venv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_keeps_the_order_of_a_group_and_drops_duplicates() {
    let emulator = Emulator::shared();
    let queues = emulator.create_queues(true, QueueOptions::default()).await;
    for (id, body) in [("1", "a"), ("2", "b"), ("1", "a again"), ("3", "c")] {
        send(emulator, &queues, "group", id, body).await;
    }
    send(emulator, &queues, "other", "4", "d").await;
    let received = receive(emulator, &queues.url).await;
    assert_eq!(bodies(&received), ["a", "b", "c", "d"]);

    send(emulator, &queues, "group", "5", "e").await;
    let depth = emulator.queue_depth(&queues.url).await;
    assert_eq!(depth, Depth { visible: 1, in_flight: 4, delayed: 0 });
    let no_group = json!({ "QueueUrl": queues.url, "MessageBody": "f" });
    let refused = emulator.try_sqs("SendMessage", &no_group).await.unwrap_err();
    assert_eq!(refused.status, 400, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_received_too_often_moves_to_the_dead_letters() {
    let emulator = Emulator::shared();
    let options =
        QueueOptions { visibility_timeout: Duration::ZERO, max_receives: 2, ..QueueOptions::default() };
    let queues = emulator.create_queues(true, options).await;
    send(emulator, &queues, "group", "1", "a").await;
    for count in ["1", "2"] {
        let received = receive(emulator, &queues.url).await;
        assert_eq!(received[0]["Attributes"]["ApproximateReceiveCount"], count);
    }
    let again = json!({ "QueueUrl": queues.url, "WaitTimeSeconds": 0 });
    assert_eq!(emulator.sqs("ReceiveMessage", &again).await, json!({}));
    assert_eq!(emulator.queue_depth(&queues.url).await, EMPTY);
    let dead = receive(emulator, &queues.dead_letters_url).await;
    assert_eq!(bodies(&dead), ["a"]);
    assert_eq!(dead[0]["Attributes"]["DeadLetterQueueSourceArn"], queues.arn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_conditional_write_returns_the_existing_item() {
    let emulator = Emulator::shared();
    let table = format!("orders-{}", uuid::Uuid::now_v7().simple());
    let create = json!({
        "TableName": table, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
    });
    emulator.dynamodb("CreateTable", &create).await;
    let put = |value: &str| {
        json!({
            "TableName": table, "Item": { "pk": { "S": "ORDER#1" }, "value": { "S": value } },
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    };
    emulator.dynamodb("PutItem", &put("first")).await;
    let refused = emulator.try_dynamodb("PutItem", &put("second")).await.unwrap_err();
    assert_eq!(refused.code, "ConditionalCheckFailedException");
    assert_eq!(refused.answer["Item"]["value"]["S"], "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_makes_a_stream_record_also_one_by_partiql() {
    let emulator = Emulator::shared();
    let table = format!("orders-{}", uuid::Uuid::now_v7().simple());
    let create = json!({
        "TableName": table, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "sk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
    });
    let stream =
        emulator.dynamodb("CreateTable", &create).await["TableDescription"]["LatestStreamArn"].take();
    let put = json!({ "TableName": table, "Item": { "pk": { "S": "a" }, "sk": { "S": "1" } } });
    emulator.dynamodb("PutItem", &put).await;
    let insert = format!("INSERT INTO \"{table}\" VALUE {{'pk':?,'sk':?}}");
    let update = format!("UPDATE \"{table}\" SET \"n\" = ? WHERE \"pk\" = ? AND \"sk\" = ?");
    let [a, b, one] = ["a", "b", "1"].map(|text| json!({ "S": text }));
    let statements = json!({ "Statements": [
        { "Statement": insert, "Parameters": [b, one] },
        { "Statement": insert, "Parameters": [a, one] },
        { "Statement": update, "Parameters": [one, a, one] },
    ] });
    emulator.dynamodb("BatchExecuteStatement", &statements).await;
    let records = emulator.records(stream.as_str().unwrap()).await;
    let shown: Vec<_> =
        records.iter().map(|record| (&record["eventName"], &record["dynamodb"]["NewImage"])).collect();
    let images = [
        json!({ "pk": a, "sk": one }),
        json!({ "pk": b, "sk": one }),
        json!({ "pk": a, "sk": one, "n": one }),
    ];
    let names = ["INSERT", "INSERT", "MODIFY"].map(Value::from);
    assert_eq!(
        shown,
        names.iter().zip(&images).collect::<Vec<_>>(),
        "a refused write creates no stream record"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v0_producer_sends_its_messages() {
    let emulator = Emulator::shared();
    let queues = emulator.create_queues(true, QueueOptions::default()).await;
    let events = [
        json!({ "type": "order_created", "data": { "order_id": "A-1", "customer_id": "c-1", "items": [] } }),
        json!({ "type": "order_updated", "data": { "order_id": "A-1", "status": "confirmed" } }),
    ];
    let ids = emulator.produce_v0(&queues.url, &events);
    let received = receive(emulator, &queues.url).await;
    let received_ids: Vec<_> =
        received.iter().map(|message| message["MessageId"].as_str().unwrap()).collect();
    assert_eq!(received_ids, ids);
    let groups = received.iter().map(|message| &message["Attributes"]["MessageGroupId"]).collect::<Vec<_>>();
    assert_eq!(groups, ["c-1", "default"]);
    let body: Value = serde_json::from_str(bodies(&received)[0]).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&events[0]["type"], &events[0]["data"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_call_is_throttled_and_then_passes() {
    let emulator = Emulator::shared();
    let queues = emulator.create_queues(true, QueueOptions::default()).await;
    let proxy = Proxy::start(&emulator.endpoint, 7, &[throttled("sqs", 1.0)]);
    let input = json!({ "QueueUrl": queues.url, "AttributeNames": ["QueueArn"] });
    let refused = proxy.try_sqs("GetQueueAttributes", &input).await.unwrap_err();
    assert_eq!(refused.code, "ThrottlingException", "{refused}");

    proxy.set_rules(&[throttled("dynamodb", 1.0)]).await;
    let answer = proxy.sqs("GetQueueAttributes", &input).await;
    assert_eq!(answer["Attributes"]["QueueArn"], queues.arn);
    let refused = proxy.try_dynamodb("ListTables", &json!({})).await.unwrap_err();
    assert_eq!(refused.code, "ProvisionedThroughputExceededException", "{refused}");
    let faults = proxy.faults().await;
    let operations: Vec<_> = faults.iter().map(|fault| &fault["operation"]).collect();
    assert_eq!(operations, ["GetQueueAttributes", "ListTables"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_the_same_seed_fails_the_same_calls() {
    let emulator = Emulator::shared();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let proxy = Proxy::start(&emulator.endpoint, 7, &[throttled("dynamodb", 0.5)]);
        let mut failed = Vec::new();
        for _ in 0..20 {
            failed.push(proxy.try_dynamodb("ListTables", &json!({})).await.is_err());
        }
        runs.push(failed);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&true) && runs[0].contains(&false), "{:?}", runs[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_invoked_directly_and_over_http() {
    let emulator = Emulator::shared();
    let function = Function::deploy(emulator, &python::source("echo.py"), "api", &[]).await;
    let answer = function.invoke(&json!({ "n": 1 })).await;
    assert_eq!(answer, json!({ "handler": "api", "endpoint": emulator.endpoint, "event": { "n": 1 } }));

    let api = function.http_api().await;
    for (base, stage) in [(&api.default_stage, "$default"), (&api.prod_stage, "prod")] {
        let response = http::client().get(format!("{base}/v1/orders?customer_id=c-1")).send().await.unwrap();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let event = &answer["event"];
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["requestContext"]["stage"], stage);
        assert_eq!(event["rawQueryString"], "customer_id=c-1");
        assert!(event["rawPath"].as_str().unwrap().ends_with("/v1/orders"), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_failed_messages_of_a_batch_are_delivered_again() {
    let emulator = Emulator::shared();
    let options = QueueOptions { visibility_timeout: Duration::from_secs(1), ..QueueOptions::default() };
    let queues = emulator.create_queues(true, options).await;
    let function = Function::deploy(emulator, &python::source("echo.py"), "consumer", &[]).await;
    for (id, body) in [("1", "once"), ("2", "again"), ("3", "also once")] {
        send(emulator, &queues, id, id, body).await;
    }
    function.consume(&queues.arn, 10).await;
    eventually("the queue is empty", async || {
        let depth = emulator.queue_depth(&queues.url).await;
        if depth == EMPTY { Ok(()) } else { Err((depth, function.log().await)) }
    })
    .await;
    // The emulator logs a batch before it deletes the messages of the batch.
    let mut log = function.log().await;
    log.retain(|line| line.contains("once") || line.contains("again"));
    assert_eq!(log, ["once 1", "again 1", "also once 1", "again 2"]);
}

#[test]
fn the_emulator_and_its_functions_end_with_their_parent() {
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(["emulator::a_process_to_be_killed", "--exact", "--ignored", "--nocapture"]);
    parent.env(TO_BE_KILLED, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let group = lines.find_map(|line| Some(format!("-{}", line.split_once("emulator in group ")?.1)));
    let group = group.expect("the other process starts an emulator");
    let is_alive = || {
        let mut kill = Command::new("kill");
        kill.args(["-0", "--", &group]).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(is_alive());
    // After SIGKILL, the parent process cannot clean up.
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually_blocking("the processes are gone", || check(!is_alive(), format!("process group {group}")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "another test runs this test in a separate process"]
async fn a_process_to_be_killed() {
    if std::env::var_os(TO_BE_KILLED).is_none() {
        return;
    }
    let emulator = Emulator::start().unwrap_or_else(|error| panic!("{error}"));
    let function = Function::deploy(&emulator, &python::source("echo.py"), "api", &[]).await;
    function.invoke(&json!({})).await;
    println!("emulator in group {}", emulator.id());
    std::future::pending::<()>().await;
}
