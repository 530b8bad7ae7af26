//! Tests invocations by an event source mapping: the answer to each event, and the dispositions of its messages.

#![cfg(feature = "lambda")]
#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use consumer::Consumer;
use consumer::lambda::{InvocationHandler, SqsBatch};
use domain::ParkReason;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::{CountingStore, Fake, FakeInbox, consumer};
use tokio::time::Instant;

const FIFO: &str = include_str!("fixtures/fifo.json");
const STANDARD: &str = include_str!("fixtures/standard.json");
const MALFORMED: &str = include_str!("fixtures/malformed.json");
const NAMELESS: &str = include_str!("fixtures/nameless.json");
const SURROGATE: &str = include_str!("fixtures/surrogate.json");

/// The event of an invocation whose deadline is in ten seconds, read in the way the Lambda runtime reads it.
fn event(json: &str) -> LambdaEvent<SqsBatch> {
    let reader = &mut serde_json::Deserializer::from_slice(json.as_bytes());
    let payload: Box<RawValue> = serde_path_to_error::deserialize(reader).unwrap();
    let mut context = Context::default();
    let deadline = SystemTime::now() + Duration::from_secs(10);
    context.deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    LambdaEvent::new(SqsBatch::read(payload.get()).unwrap(), context)
}

/// The answer to an event, as JSON.
async fn answer(fake: &Arc<Fake>, inbox: &Arc<FakeInbox>, json: &str) -> anyhow::Result<Value> {
    let answer = InvocationHandler::new(Arc::new(consumer(fake)), inbox.clone()).handle(event(json)).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

/// The answer that reports the messages at the given places of a fixture as failed.
fn failures(json: &str, places: &[usize]) -> Value {
    let event: Value = serde_json::from_str(json).unwrap();
    let named: Vec<_> = places
        .iter()
        .map(|place| json!({ "itemIdentifier": event["Records"][place]["messageId"].as_str().unwrap() }))
        .collect();
    json!({ "batchItemFailures": named })
}

fn failing(order: &'static str) -> Arc<Fake> {
    Arc::new(Fake { failing: HashSet::from([order]), ..Fake::default() })
}

fn hanging(order: &'static str) -> Arc<Fake> {
    Arc::new(Fake { hanging: HashSet::from([order]), ..Fake::default() })
}

#[tokio::test]
async fn handled_messages_are_not_listed() {
    let (fake, inbox) = (Arc::new(Fake::default()), Arc::default());
    assert_eq!(answer(&fake, &inbox, FIFO).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(fake.recorded("o-1"), ["created", "confirmed"]);
    assert_eq!(fake.recorded("o-2"), ["created", "confirmed", "paid"]);
    assert_eq!(fake.recorded("o-3"), ["created"]);
    assert_eq!(fake.settled.lock().unwrap().len(), 1, "the refund is rejected");

    // The second delivery changes nothing, because every event was already handled.
    assert_eq!(answer(&fake, &inbox, FIFO).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(fake.version("o-2"), 3);
    assert!(inbox.retried.lock().unwrap().is_empty());

    let none = answer(&fake, &inbox, r#"{"Records":[]}"#).await.unwrap();
    assert_eq!(none.to_string(), r#"{"batchItemFailures":[]}"#);
}

#[tokio::test]
async fn a_transient_failure_retries_its_message_and_the_rest_of_its_group() {
    let (fake, inbox) = (failing("o-2"), Arc::<FakeInbox>::default());
    assert_eq!(answer(&fake, &inbox, FIFO).await.unwrap(), failures(FIFO, &[1, 3, 6]));
    assert_eq!(fake.recorded("o-1"), ["created", "confirmed"]);
    assert_eq!(fake.recorded("o-3"), ["created"]);

    // The receive counts of the three messages are nine, nine and one. All messages get the delay of the first message.
    let retried = inbox.retried.lock().unwrap();
    let handles: Vec<&str> = retried.iter().map(|(handle, _)| handle.as_str()).collect();
    assert_eq!(handles, ["AQEB-handle-2", "AQEB-handle-4", "AQEB-handle-7"]);
    assert!(retried.iter().all(|(_, delay)| *delay == retried[0].1 && delay.as_secs() <= 300), "{retried:?}");
}

#[tokio::test]
async fn delays_are_spread_over_the_whole_range_of_their_receive_count() {
    let (fake, inbox) = (failing("o-2"), Arc::<FakeInbox>::default());
    let first_time = FIFO.replace("\"ApproximateReceiveCount\": \"9\"", "\"ApproximateReceiveCount\": \"1\"");
    assert_ne!(first_time, FIFO);
    let first_time = first_time.replace("AQEB-handle", "first-handle");
    for _ in 0..100 {
        answer(&fake, &inbox, FIFO).await.unwrap();
        answer(&fake, &inbox, &first_time).await.unwrap();
    }
    let retried = inbox.retried.lock().unwrap();
    let longest = |handle: &str| retried.iter().filter(|(it, _)| it == handle).map(|(_, delay)| *delay).max();
    // It is practically certain that at least one of a hundred random delays is in the upper half.
    for (handle, most) in [("AQEB-handle-2", 300), ("first-handle-2", 30)] {
        let longest = longest(handle).unwrap();
        assert!(
            longest <= Duration::from_secs(most) && longest > Duration::from_secs(most / 2),
            "{longest:?}"
        );
    }
}

#[tokio::test]
async fn a_visibility_timeout_that_cannot_be_set_does_not_change_the_answer() {
    let inbox = Arc::new(FakeInbox { fails: true, ..FakeInbox::default() });
    assert_eq!(answer(&failing("o-2"), &inbox, FIFO).await.unwrap(), failures(FIFO, &[1, 3, 6]));
}

#[tokio::test]
async fn a_standard_queue_has_no_order_even_if_its_messages_have_groups() {
    // If the queue were ordered, the confirmation and the payment would be rejected. On a standard queue, they are not.
    let (fake, inbox) = (Arc::new(Fake::default()), Arc::<FakeInbox>::default());
    assert_eq!(answer(&fake, &inbox, STANDARD).await.unwrap(), failures(STANDARD, &[1]));
    assert_eq!(fake.recorded("o-1"), ["created", "confirmed"]);
    assert_eq!(fake.recorded("o-3"), ["created"]);
    let retried = inbox.retried.lock().unwrap();
    assert!(retried.len() == 1 && retried[0].0 == "AQEB-handle-2" && retried[0].1.as_secs() <= 120);
}

#[tokio::test]
async fn an_unreadable_body_is_parked_and_its_order_after_it() {
    let (fake, inbox) = (Arc::new(Fake::default()), Arc::default());
    assert_eq!(answer(&fake, &inbox, MALFORMED).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(fake.recorded("o-1"), ["created"]);
    let mut dead = fake.dead.lock().unwrap().clone();
    // Groups are parked in an undefined order, so the test sorts the dead letters.
    dead.sort_by(|one, other| one.0.cmp(&other.0));
    let event: Value = serde_json::from_str(MALFORMED).unwrap();
    let wanted = [
        (1, ParkReason::Malformed),
        (2, ParkReason::UnknownType),
        (3, ParkReason::BehindParked),
        (4, ParkReason::Malformed),
    ];
    for ((id, reason, body), (place, why)) in dead.iter().zip(wanted) {
        let record = &event["Records"][place];
        assert_eq!((id.as_str(), *reason), (record["messageId"].as_str().unwrap(), why));
        assert_eq!(body, record["body"].as_str().unwrap_or_default().as_bytes(), "raw");
    }
    assert_eq!(dead.len(), 4);
}

#[tokio::test]
async fn a_message_that_cannot_be_parked_is_listed_with_the_rest_of_its_group() {
    let (mut fake, inbox) = (Arc::new(Fake { dead_letters_fail: true, ..Fake::default() }), Arc::default());
    assert_eq!(answer(&fake, &inbox, MALFORMED).await.unwrap(), failures(MALFORMED, &[1, 2, 3, 4]));

    assert_eq!(fake.recorded("o-1"), ["created"]);
    Arc::get_mut(&mut fake).unwrap().dead_letters_fail = false;
    assert_eq!(answer(&fake, &inbox, MALFORMED).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(fake.sequences.lock().unwrap().values().map(Vec::len).sum::<usize>(), 2, "in sequence");
}

#[tokio::test]
async fn a_body_that_is_not_text_is_parked_and_affects_no_other() {
    let whole = serde_json::from_str::<Value>(SURROGATE);
    assert!(whole.is_err(), "the bodies of these messages cannot be read as strings");

    let (fake, inbox) = (Arc::new(Fake::default()), Arc::default());
    assert_eq!(answer(&fake, &inbox, SURROGATE).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(fake.recorded("o-1"), ["created"]);
    assert_eq!(fake.recorded("o-4"), ["created"], "a pair of surrogates is one character");
    let mut dead = fake.dead.lock().unwrap().clone();
    dead.sort_by(|one, other| one.0.cmp(&other.0));
    let [(_, reason, broken), (_, escaped_reason, escaped)] = dead.as_slice() else {
        panic!("two, not {dead:?}")
    };
    assert_eq!((*reason, *escaped_reason), (ParkReason::Malformed, ParkReason::Invalid));
    assert!(
        String::from_utf8_lossy(broken).contains(r#""note":"cut off: "#),
        "the text before the half character is kept"
    );
    assert!(
        String::from_utf8_lossy(escaped).contains(r#""note":"cut off: \ud83c""#),
        "the body is unchanged"
    );
}

#[tokio::test]
async fn a_message_without_an_id_fails_the_invocation_only_if_it_has_to_be_retried() {
    let (fake, inbox) = (Arc::new(Fake::default()), Arc::default());
    assert_eq!(answer(&fake, &inbox, NAMELESS).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(*fake.loads.lock().unwrap(), 2, "without a valid receive count, every order is loaded");

    // One of the messages has no id, and the other has the id null.
    for order in ["o-1", "o-3"] {
        let error = answer(&failing(order), &inbox, NAMELESS).await.unwrap_err().to_string();
        assert!(error.contains("without an id") && error.contains("no connection"), "{error}");
    }
    // The messages to retry have ids here, so the answer can name them.
    assert_eq!(answer(&failing("o-2"), &inbox, NAMELESS).await.unwrap(), failures(NAMELESS, &[1]));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hangs_is_retried_in_time_and_the_others_are_recorded() {
    let (fake, inbox) = (hanging("o-2"), Arc::<FakeInbox>::default());
    let started = Instant::now();
    assert_eq!(answer(&fake, &inbox, FIFO).await.unwrap(), failures(FIFO, &[1, 3, 6]));
    let took = started.elapsed();
    assert!(took > Duration::from_secs(8) && took <= Duration::from_secs(9), "{took:?} of 10 s");
    assert_eq!(fake.recorded("o-1"), ["created", "confirmed"]);
    assert_eq!(fake.recorded("o-3"), ["created"]);
    assert_eq!(inbox.retried.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_hangs_uses_only_its_share_of_the_margin() {
    let (fake, inbox) = (hanging("o-2"), Arc::new(FakeInbox { hangs: true, ..FakeInbox::default() }));
    let started = Instant::now();
    assert_eq!(answer(&fake, &inbox, FIFO).await.unwrap(), failures(FIFO, &[1, 3, 6]));
    let took = started.elapsed();
    assert!(took > Duration::from_secs(9) && took <= Duration::from_millis(9500), "{took:?} of 10 s");
}

#[tokio::test]
async fn an_invocation_without_time_left_starts_nothing() {
    let (fake, inbox) = (Arc::new(Fake::default()), Arc::<FakeInbox>::default());
    let mut event = event(FIFO);
    event.context.deadline = 1;
    let answer =
        InvocationHandler::new(Arc::new(consumer(&fake)), inbox.clone()).handle(event).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), failures(FIFO, &[0, 1, 2, 3, 4, 5, 6]));
    assert!(fake.orders.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_ping_is_answered_like_an_empty_batch_and_any_other_event_is_an_error() {
    let handler = InvocationHandler::new(Arc::new(consumer(&Arc::default())), Arc::<FakeInbox>::default());
    let answer = async |event: &str| {
        let payload = RawValue::from_string(event.to_owned()).unwrap();
        let answer =
            handler.answer(LambdaEvent::new(payload, Context::default()), |event| event == "{}").await;
        answer.map(|answer| serde_json::to_value(answer).unwrap())
    };
    assert_eq!(answer("{}").await.unwrap(), json!({ "batchItemFailures": [] }));
    assert_eq!(answer(r#"{"Records":[]}"#).await.unwrap(), json!({ "batchItemFailures": [] }));
    for other in [r#"{"version":"2.0","routeKey":"$default"}"#, r#"{"Records":null}"#, "null"] {
        let error = answer(other).await.unwrap_err().to_string();
        assert!(error.contains("SQS event source mapping"), "{other}: {error}");
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_counted_is_received_again() {
    let counted = Arc::new(CountingStore { failures: Mutex::new(1), ..CountingStore::default() });
    let consumer = Consumer { ledger: Some(counted.clone()), ..consumer(&Arc::default()) };
    let handler = InvocationHandler::new(Arc::new(consumer), Arc::<FakeInbox>::default());
    let all = event(FIFO).payload.into_messages().len();
    for failed in [all, 0] {
        let answer = handler.handle(event(FIFO)).await.unwrap();
        assert_eq!(answer.batch_item_failures.len(), failed, "{answer:?}");
        assert_eq!(counted.counted.lock().unwrap().len(), all - failed);
    }
}
