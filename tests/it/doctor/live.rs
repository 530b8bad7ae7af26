//! Tests `orders doctor live` on queues and a table of the emulator.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Report;
use crate::aws::at;
use crate::support::emulator::Emulator;

fn attributes(all: &[(&str, &str)]) -> Map<String, Value> {
    all.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

fn live(variables: &[(&str, &str)]) -> Report {
    let mut command = at(&Emulator::shared().endpoint, &["doctor", "--json", "live"]);
    command.envs(variables.iter().copied());
    Report::by(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_has_no_finding_and_one_with_faults_has_each() {
    let aws = Emulator::shared();
    let id = Uuid::now_v7().simple().to_string();
    let table = format!("orders-{id}");
    let mut create = at(&aws.endpoint, &["table", "create", "--table-name", &table]);
    assert!(create.status().unwrap().success());
    let right = [
        ("FifoQueue", "true"),
        ("DeduplicationScope", "messageGroup"),
        ("FifoThroughputLimit", "perMessageGroupId"),
        ("MessageRetentionPeriod", "1209600"),
        ("MaximumMessageSize", "1048576"),
        ("ReceiveMessageWaitTimeSeconds", "20"),
        ("SqsManagedSseEnabled", "true"),
    ];
    let dlq = aws.create_queue(&format!("dlq-{id}.fifo"), &attributes(&right)).await;
    let dlq_arn = aws.queue_arn(&dlq).await;
    let redrive =
        |count: u32| json!(json!({ "deadLetterTargetArn": dlq_arn, "maxReceiveCount": count }).to_string());
    let mut main = attributes(&right);
    main.insert("RedrivePolicy".to_owned(), redrive(5));
    let queue = aws.create_queue(&format!("main-{id}.fifo"), &main).await;
    let allow = json!({ "redrivePermission": "byQueue", "sourceQueueArns": [aws.queue_arn(&queue).await] });
    let input = json!({ "QueueUrl": dlq, "Attributes": { "RedriveAllowPolicy": allow.to_string() } });
    aws.sqs("SetQueueAttributes", &input).await;
    let protect = json!({ "TableName": table, "DeletionProtectionEnabled": true });
    aws.dynamodb("UpdateTable", &protect).await;
    let recovery = json!({ "TableName": table, "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } });
    aws.dynamodb("UpdateContinuousBackups", &recovery).await;

    let variables = [("QUEUE_URL", queue.as_str()), ("DLQ_URL", &dlq), ("TABLE_NAME", &table)];
    let report = live(&variables);
    assert_eq!((report.findings(), report.code), (Vec::new(), Some(0)), "{}", report.json);
    for needs_functions in ["visibility-too-short", "permission-missing", "alarm-age-missing"] {
        assert!(report.left_open(needs_functions), "{needs_functions}: {}", report.json["unchecked"]);
    }

    // Changes the queue and the table, so that their settings have faults.
    let faults = json!({ "RedrivePolicy": redrive(1), "MessageRetentionPeriod": "3600", "ReceiveMessageWaitTimeSeconds": "0" });
    aws.sqs("SetQueueAttributes", &json!({ "QueueUrl": queue, "Attributes": faults })).await;
    let protect = json!({ "TableName": table, "DeletionProtectionEnabled": false });
    aws.dynamodb("UpdateTable", &protect).await;
    let report = live(&variables);
    let expected = [
        format!("max-receives-low {queue} redrive_policy.maxReceiveCount"),
        format!("retention-short {queue} message_retention_seconds"),
        format!("short-polling {queue} receive_wait_time_seconds"),
        format!("table-not-protected {table} deletion_protection_enabled"),
    ];
    assert_eq!((report.findings(), report.code), (expected.into(), Some(1)), "{}", report.json);

    // The queue of webhook deliveries has rules of its own.
    let mut webhooks = attributes(&right);
    webhooks.insert("MaximumMessageSize".to_owned(), json!("262144"));
    webhooks.insert("RedrivePolicy".to_owned(), redrive(100));
    let webhooks = aws.create_queue(&format!("webhooks-{id}.fifo"), &webhooks).await;
    let report = live(&[&variables[..], &[("WEBHOOK_QUEUE_URL", webhooks.as_str())]].concat());
    let of_webhooks: Vec<_> = report.findings().into_iter().filter(|it| it.contains(&webhooks)).collect();
    let not_allowed = format!("webhook-receives-low {webhooks} redrive_policy.maxReceiveCount");
    assert_eq!(of_webhooks, [not_allowed], "{}", report.json);

    // `DLQ_URL` differs from the target of the queue's redrive policy.
    let other = aws.create_queue(&format!("other-{id}.fifo"), &attributes(&right)).await;
    let report = live(&[("QUEUE_URL", queue.as_str()), ("DLQ_URL", &other), ("TABLE_NAME", &table)]);
    assert_eq!(report.found("environment-wrong").len(), 1, "{}", report.json);
}

#[test]
fn missing_queues_and_unset_variables_are_errors() {
    let endpoint = &Emulator::shared().endpoint;
    let mut nothing = at(endpoint, &["doctor", "live"]);
    let error_output = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error_output(nothing.output().unwrap()).contains("QUEUE_URL, DLQ_URL and TABLE_NAME are not set")
    );
    let mut missing = at(endpoint, &["doctor", "live"]);
    missing.env("QUEUE_URL", format!("{endpoint}/000000000000/nowhere.fifo"));
    let output = missing.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = error_output(output);
    assert!(error.contains("nowhere.fifo") && error.contains("cannot read the queue"), "{error}");
}
