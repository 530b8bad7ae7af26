//! Tests separate endpoints for AWS services, which `AWS_ENDPOINT_URL_S3` and similar variables set.

use std::process::Command;

use serde_json::json;

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::eventually::{check, eventually};
use crate::support::service::Service;

/// A command for the role, with a separate endpoint for each service, and without a common endpoint. The S3
/// endpoint has a host name, as in a network of containers. With an IP address, the SDK itself would put the
/// bucket's name into the path.
fn role(backend: &AwsBackend, role: &str, topic: &str, s3: &str) -> Command {
    let endpoint = &Emulator::shared().endpoint;
    let mut command = backend.role(role, endpoint);
    command.env_remove("AWS_ENDPOINT_URL").env("ORDERS_LISTEN", "127.0.0.1:0");
    for service in ["SQS", "DYNAMODB", "SNS"] {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), endpoint);
    }
    command.env("AWS_ENDPOINT_URL_S3", s3);
    command.env("DLQ_BUCKET", &backend.table_name).env("ALERTS_TOPIC", topic);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_archived_at_an_endpoint_for_s3_alone() {
    let (emulator, backend) = (Emulator::shared(), AwsBackend::open(true, QueueOptions::default()).await);
    let (topic, _) = emulator.create_topic(&backend.table_name).await;
    let s3 = emulator.endpoint.replace("127.0.0.1", "localhost");
    assert_ne!(s3, emulator.endpoint);
    let _archiving = Service::spawn_until(role(&backend, "dead-letters", &topic, &s3), "\"archiving\"").0;
    let letter = json!({ "QueueUrl": backend.queues.dead_letters_url, "MessageBody": "no event",
                         "MessageGroupId": "g", "MessageDeduplicationId": "1" });
    emulator.sqs("SendMessage", &letter).await;
    eventually("the dead letter is archived", async || {
        check(!emulator.object_keys(&backend.table_name).await.is_empty(), "the bucket is empty")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_reached_is_reported_at_the_start() {
    let (emulator, backend) = (Emulator::shared(), AwsBackend::open(true, QueueOptions::default()).await);
    let (topic, _) = emulator.create_topic(&backend.table_name).await;
    let expected = format!("the bucket {} cannot be reached", backend.table_name);
    let output = role(&backend, "dead-letters", &topic, "http://127.0.0.1:9").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains(&expected), "{error}");

    // The API starts even if the bucket cannot be reached.
    let api = Service::spawn(role(&backend, "api", &topic, "http://127.0.0.1:9"));
    api.wait_for_log(&expected);
    assert_eq!(api.get("/readyz").await.0, 200);
}
