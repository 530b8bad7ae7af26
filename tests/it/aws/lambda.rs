//! Tests the real binary as Lambda functions, from the HTTP API through the queue to the table.

use std::path::Path;
use std::time::Duration;

use api::ports::EventPublisher;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::conformance::QueueOptions;
use crate::conformance::aws::{AwsBackend, dead_letters};
use crate::pipeline::from_created_to_delivered;
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::{PATIENCE, check, eventually};
use crate::support::service::Api;

/// How long a test waits for early events. They are retried after random delays of up to 30, 60, 120 and then 240 s
/// ([`consumer::poll::retry_delay`]).
const RETRIES: Duration = Duration::from_secs(450);

pub async fn deploy(backend: &AwsBackend, role: &str) -> Function<'static> {
    deploy_with(backend, role, &[]).await
}

/// Like `deploy`, with these variables.
pub async fn deploy_with(backend: &AwsBackend, role: &str, variables: &[(&str, &str)]) -> Function<'static> {
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    // The function accepts unauthenticated requests, because only these tests can reach it.
    let insecure = ("ORDERS_INSECURE_NO_AUTH", "true");
    let environment = [&backend.variables()[..], &[insecure], variables].concat();
    Function::deploy(Emulator::shared(), program, role, &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_created_to_delivered_and_only_poison_is_parked() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let (api, consumer) = (deploy(&backend, "api").await, deploy(&backend, "consumer").await);
    let http = api.http_api().await;
    // The first message in the group of one order cannot be processed.
    let emulator = Emulator::shared();
    let poisoned = new_order_id();
    let poison = json!({ "QueueUrl": backend.queues.url, "MessageBody": "{ not an event",
                         "MessageGroupId": poisoned.as_str(), "MessageDeduplicationId": "poison" });
    emulator.sqs("SendMessage", &poison).await;
    for result in backend.queue.publish(&[created(&poisoned), confirmed(&poisoned)]).await {
        result.unwrap();
    }
    consumer.consume(&backend.queues.arn, 10).await;

    let order_id = from_created_to_delivered(&Api::at(&http.default_stage), "functions").await;
    backend.drained(PATIENCE).await;
    assert_eq!(backend.history(&order_id.parse().unwrap()).await.len(), 5);
    assert_eq!(backend.history(&poisoned).await.len(), 2, "the other events of the group are recorded");
    let letters = dead_letters(&backend.queues.dead_letters_url).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["Body"], "{ not an event");
    assert_eq!(letters[0]["MessageAttributes"]["reason"]["StringValue"], "malformed");

    // AWS puts the stage's name into the path, but the emulator does not. So this invocation contains the path that
    // AWS sends.
    let event = include_str!("../../../api/tests/fixtures/apigw/http-v2-prod-post-base64.json");
    let answer = api.invoke(&serde_json::from_str(event).unwrap()).await;
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(202), &json!(false)), "{answer}");
    let receipt: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let link = receipt["links"]["self"].as_str().unwrap();
    assert!(link.starts_with("/prod/v1/orders/"), "{link}");
    let without_stage = json!({ "links": { "self": link.strip_prefix("/prod") } });
    assert_eq!(Api::at(&http.default_stage).outcome(&without_stage).await["state"], "recorded");
    let answer = Api::at(&http.prod_stage).send(Method::GET, "/v1/orders/nobodys", None).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (404, &HeaderValue::from_static("application/problem+json"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_load_balancers_are_answered_and_other_events_are_refused_with_a_reason() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let (api, consumer) = (deploy(&backend, "api").await, deploy(&backend, "consumer").await);
    let warmer = json!({ "source": "serverless-plugin-warmup" });
    for ping in [json!({}), warmer] {
        assert_eq!(api.invoke(&ping).await, json!({ "statusCode": 200 }), "{ping}");
        assert_eq!(consumer.invoke(&ping).await, json!({ "batchItemFailures": [] }), "{ping}");
    }
    let event = include_str!("../../../api/tests/fixtures/alb/multi-value-post-base64.json");
    let answer = api.invoke(&serde_json::from_str(event).unwrap()).await;
    assert_eq!((&answer["statusCode"], &answer["statusDescription"]), (&json!(202), &json!("202 Accepted")));

    let batch = json!({ "Records": [{ "eventSource": "aws:sqs", "messageId": "m", "body": "{}" }] });
    let refused = api.invoke(&batch).await;
    assert!(refused["errorMessage"].as_str().unwrap().contains("`consumer`"), "{refused}");
    let refused = consumer.invoke(&serde_json::from_str(event).unwrap()).await;
    assert!(refused["errorMessage"].as_str().unwrap().contains("SQS event source mapping"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_queue_brings_every_order_to_its_final_state() {
    let backend = AwsBackend::open(false, QueueOptions { max_receives: 20, ..QueueOptions::default() }).await;
    let consumer = deploy(&backend, "consumer").await;
    consumer.consume(&backend.queues.arn, 10).await;
    let id = new_order_id();
    let publish = async |event| backend.queue.publish(&[event]).await.remove(0).unwrap();

    publish(paid(&id)).await;
    publish(confirmed(&id)).await;
    eventually("an event is retried", async || {
        let log = consumer.log().await;
        check(log.iter().any(|line| line.contains("to be retried")), log)
    })
    .await;
    publish(created(&id)).await;
    backend.drained(RETRIES).await;

    let mut kinds: Vec<_> =
        backend.history(&id).await.iter().map(|event| event.envelope.event.event_type().as_str()).collect();
    // A payment may come before the confirmation.
    kinds[1..].sort_unstable();
    assert_eq!(kinds, ["order_created", "order_confirmed", "order_paid"]);
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_predecessor_never_arrives_is_the_only_dead_letter() {
    // The queue delivers each message up to two times. So a healthy event is not parked if one invocation fails on a
    // busy machine.
    let backend = AwsBackend::open(false, QueueOptions { max_receives: 2, ..QueueOptions::default() }).await;
    let (orphan, healthy) = (new_order_id(), new_order_id());
    let events = [confirmed(&orphan), created(&healthy), confirmed(&healthy)];
    for result in backend.queue.publish(&events).await {
        result.unwrap();
    }
    let consumer = deploy(&backend, "consumer").await;
    consumer.consume(&backend.queues.arn, 10).await;
    backend.drained(RETRIES).await;

    let letters = dead_letters(&backend.queues.dead_letters_url).await;
    assert_eq!(letters.len(), 1, "{letters:?}, {:?}", consumer.log().await);
    assert_eq!(letters[0]["Body"].as_str().unwrap().as_bytes(), events[0].encode());
    assert_eq!((backend.history(&orphan).await.len(), backend.history(&healthy).await.len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_configuration_reports_missing_settings() {
    let mut command = super::at("http://127.0.0.1:9", &[]);
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("_HANDLER", "consumer");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("DLQ_URL is not set"), "{error}");

    let mut command = super::at("http://127.0.0.1:9", &[]);
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("_HANDLER", "handler.process_order");
    let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(error.contains("\"handler.process_order\" is not a role"), "{error}");
}
