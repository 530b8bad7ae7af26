//! The real binary as Lambda functions: HTTP API, function, queue, event source mapping, function, table.

use std::path::Path;
use std::time::{Duration, Instant};

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
use crate::support::service::{Api, PATIENCE};

/// How long a test waits for what comes too early time and again: it is put off for up to 30, 60, 120 and then 240 s, by
/// chance ([`consumer::poll::retry_delay`]).
const RETRIES: Duration = Duration::from_secs(450);

pub async fn deploy(backend: &AwsBackend, role: &str) -> Function<'static> {
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    // Nobody but these tests can reach the function.
    let insecure = ("ORDERS_INSECURE_NO_AUTH", "true");
    let environment = [&backend.variables()[..], &[insecure]].concat();
    Function::deploy(Emulator::shared(), program, role, &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_created_to_delivered_and_poison_goes_alone() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let (api, consumer) = (deploy(&backend, "api").await, deploy(&backend, "consumer").await);
    let http = api.http_api().await;
    // Poison comes first, beside orders and in the group of one.
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
    assert_eq!(backend.history(&poisoned).await.len(), 2, "the rest of its group goes on");
    let letters = dead_letters(&backend.queues.dead_letters_url).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["Body"], "{ not an event");
    assert_eq!(letters[0]["MessageAttributes"]["reason"]["StringValue"], "malformed");

    // The emulator leaves the stage's name out of the path; AWS does not. So this event is as AWS sends it.
    let event = include_str!("../../../api/tests/fixtures/apigw/http-v2-prod-post-base64.json");
    let answer = api.invoke(&serde_json::from_str(event).unwrap()).await;
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(202), &json!(false)), "{answer}");
    let receipt: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let link = receipt["links"]["self"].as_str().unwrap();
    assert!(link.starts_with("/prod/v1/orders/"), "{link}");
    let behind = json!({ "links": { "self": link.strip_prefix("/prod") } });
    assert_eq!(Api::at(&http.default_stage).outcome(&behind).await["state"], "recorded");
    let answer = Api::at(&http.prod_stage).send(Method::GET, "/v1/orders/nobodys", None).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (404, &HeaderValue::from_static("application/problem+json"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_load_balancers_are_answered_and_other_events_are_refused_in_words() {
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
async fn a_queue_without_order_brings_every_order_to_its_final_state() {
    let backend = AwsBackend::open(false, QueueOptions { max_receives: 20, ..QueueOptions::default() }).await;
    let consumer = deploy(&backend, "consumer").await;
    consumer.consume(&backend.queues.arn, 10).await;
    let id = new_order_id();
    let publish = async |event| backend.queue.publish(&[event]).await.remove(0).unwrap();

    publish(paid(&id)).await;
    publish(confirmed(&id)).await;
    let start = Instant::now();
    while !consumer.log().await.iter().any(|line| line.contains("to be retried")) {
        assert!(start.elapsed() < PATIENCE, "{:?}", consumer.log().await);
        tokio::task::yield_now().await;
    }
    publish(created(&id)).await;
    backend.drained(RETRIES).await;

    let kinds: Vec<_> =
        backend.history(&id).await.iter().map(|event| event.envelope.event.event_type().as_str()).collect();
    assert_eq!(kinds, ["order_created", "order_confirmed", "order_paid"]);
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_predecessor_never_comes_reaches_the_dead_letters_alone() {
    // Twice, so that an invocation that fails as a whole, on a busy machine, costs those that are sound nothing.
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
async fn a_function_without_configuration_says_what_is_missing() {
    let mut command = super::at("http://127.0.0.1:9", &[]);
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("_HANDLER", "consumer");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("DLQ_URL is not set"), "{error}");

    let mut command = super::at("http://127.0.0.1:9", &[]);
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("_HANDLER", "handler.process_order");
    let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(error.contains("\"handler.process_order\" is no role"), "{error}");
}
