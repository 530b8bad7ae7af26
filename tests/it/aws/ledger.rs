//! Tests that the ledger counts each outcome once, at whatever call a process ends and whatever the writers
//! of the ledger do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::response::IntoResponse;
use consumer::dead_letters::dead_letter_of;
use consumer::ports::{Archive, Message, ParkRequest};
use consumer::{BatchHandler, Consumer};
use domain::dead_letter::Discard;
use domain::{Envelope, Ledger, OrderId, ParkReason, RecordedEvent};
use infra::aws::{self, SqsDeadLetters};
use serde_json::{Value, json};

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, eur, new_order_id};
use crate::support::forward::{self, ForwardedCall};

pub async fn open() -> AwsBackend {
    AwsBackend::open(true, QueueOptions::default()).await
}

/// A simulated process: a consumer with a separate writer of the ledger.
pub struct Process {
    pub consumer: Consumer,
}

impl Process {
    async fn start(backend: &AwsBackend, endpoint: &str) -> Self {
        let sdk = aws::config_at(endpoint).await;
        let table = Arc::new(aws::table(&sdk, &backend.table_name, eur()));
        let dead_letters = SqsDeadLetters {
            queue: aws::queue(&sdk, &backend.queues.dead_letters_url),
            table: (*table).clone(),
            origin: backend.queues.url.clone(),
            inbox: None,
        };
        let consumer = Consumer { ledger: Some(table.clone()), ..consumer_of(table, Arc::new(dead_letters)) };
        Self { consumer }
    }

    pub async fn of(backend: &AwsBackend) -> Self {
        Self::start(backend, &Emulator::shared().endpoint).await
    }

    /// Handles and counts a batch. Returns whether all of it may be acknowledged.
    pub async fn handle(&self, messages: &[Message]) -> bool {
        let mut handled = self.consumer.handle(messages.to_vec()).await;
        self.consumer.count(&mut handled).await;
        handled.iter().all(|handled| handled.disposition.is_acknowledged())
    }
}

fn message(id: &str, event: &Envelope, receive_count: u32) -> Message {
    Message {
        id: id.to_owned(),
        group: Some(event.order_id.to_string()),
        receive_count,
        body: event.encode(),
        ..Message::default()
    }
}

/// A batch with every outcome: three recorded events, a rejected one and a duplicate.
pub fn batch(orders: &[OrderId; 2], receive_count: u32) -> Vec<Message> {
    let event = |name: &str, envelope: Envelope| {
        let id = derived(&format!("{name} {}", envelope.order_id));
        Envelope { event_id: id.parse().unwrap(), ..envelope }
    };
    let [first, second] = orders;
    let events = [
        ("created", event("created", created(first))),
        ("confirmed", event("confirmed", confirmed(first))),
        ("again", event("created", created(first))),
        ("second", event("second", created(first))),
        ("created", event("created", created(second))),
    ];
    let message = |(name, event): &(&str, Envelope)| {
        message(&format!("{name} {}", event.order_id), event, receive_count)
    };
    events.iter().map(message).collect()
}

/// An event id that depends only on the name.
fn derived(name: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

pub const OUTCOMES: Ledger =
    Ledger { accepted: 5, recorded: 3, rejected: 1, discarded: 0, duplicate: 1, parked: 0 };

pub async fn ledger(backend: &AwsBackend) -> Ledger {
    let counters = backend.pipeline().counters().await.unwrap();
    assert_eq!((counters.balanced(), counters.exact), (None, true));
    counters.ledger
}

pub fn times(ledger: Ledger, count: u64) -> Ledger {
    let Ledger { accepted, recorded, rejected, discarded, duplicate, parked } = ledger;
    let [accepted, recorded, rejected, discarded, duplicate, parked] =
        [accepted, recorded, rejected, discarded, duplicate, parked].map(|number| number * count);
    Ledger { accepted, recorded, rejected, discarded, duplicate, parked }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_again_counts_once() {
    let backend = open().await;
    let (one, other) = (Process::of(&backend).await, Process::of(&backend).await);
    let orders = [new_order_id(), new_order_id()];
    for (receive_count, process) in (1..).zip([&one, &one, &other, &one, &other]) {
        assert!(process.handle(&batch(&orders, receive_count)).await);
        assert_eq!(ledger(&backend).await, OUTCOMES, "delivery {receive_count}");
    }
}

/// What happens to the last call of a process that ends.
#[derive(Debug, Clone, Copy)]
enum LastCall {
    Arrives,
    IsLost,
}

/// The calls of a process that ends.
#[derive(Default)]
struct EndingCalls {
    begun: AtomicUsize,
    /// Whether the last call has arrived or is lost.
    ended: AtomicBool,
}

/// A proxy that passes on `passed` calls to DynamoDB. After that, the proxy never answers.
async fn ending(passed: usize, last: LastCall, calls: &Arc<EndingCalls>) -> String {
    let calls = Arc::clone(calls);
    let work = move |call: ForwardedCall| {
        let calls = Arc::clone(&calls);
        async move {
            let number = calls.begun.fetch_add(1, Ordering::SeqCst);
            if number < passed {
                return call.send().await.into_response();
            }
            if number == passed {
                if matches!(last, LastCall::Arrives) {
                    call.send().await;
                }
                calls.ended.store(true, Ordering::SeqCst);
            }
            std::future::pending().await
        }
    };
    forward::serve(&Emulator::shared().endpoint, work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_at_any_call_leaves_nothing_uncounted_and_nothing_counted_twice() {
    let backend = open().await;
    let successor = Process::of(&backend).await;
    let mut batches = 0;
    for last in [LastCall::Arrives, LastCall::IsLost] {
        for passed in 0.. {
            assert!(passed < 100, "the process never ends");
            let calls = Arc::<EndingCalls>::default();
            let process = Process::start(&backend, &ending(passed, last, &calls).await).await;
            let orders = [new_order_id(), new_order_id()];
            let first_delivery = batch(&orders, 1);
            let ended = {
                let handling = process.handle(&first_delivery);
                let ends = async {
                    while !calls.ended.load(Ordering::SeqCst) {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    acknowledged = handling => { assert!(acknowledged); false }
                    () = ends => true,
                }
            };
            drop(process);
            // If the process ended before it acknowledged the messages, they are delivered again.
            if ended {
                assert!(successor.handle(&batch(&orders, 2)).await, "{last:?} {passed}");
            }
            batches += 1;
            assert_eq!(ledger(&backend).await, times(OUTCOMES, batches), "{last:?} {passed}");
            if !ended {
                break;
            }
        }
    }
    assert!(batches > 8, "{batches} batches are too few for their calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_processes_that_receive_the_same_messages_count_them_once() {
    let backend = open().await;
    let processes = [Process::of(&backend).await, Process::of(&backend).await, Process::of(&backend).await];
    let orders = [new_order_id(), new_order_id()];
    // A message may have to be received again if another process has just recorded or rejected its event.
    let mut receive_count = 0;
    loop {
        receive_count += 1;
        let handling =
            processes.iter().map(|process| async { process.handle(&batch(&orders, receive_count)).await });
        if futures_util::future::join_all(handling).await.into_iter().all(|acknowledged| acknowledged) {
            break;
        }
        assert!(receive_count < 10, "the messages are received again and again");
    }
    assert_eq!(ledger(&backend).await, OUTCOMES);
}

/// The items of a golden file.
fn golden(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The counters in `dynamodb-ledger-unmarked.jsonl`.
const UNMARKED: Ledger =
    Ledger { accepted: 13, recorded: 8, rejected: 2, discarded: 1, duplicate: 1, parked: 2 };

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_earlier_programs_are_added_and_are_not_called_exact() {
    let backend = open().await;
    // An earlier program recorded this event. The program was stopped before it deleted the message, so it
    // has not counted the event.
    let items = golden("dynamodb-v1.jsonl").into_iter().filter(|item| item["pk"]["S"] == "ORDER#created");
    let earlier: Vec<_> = items.collect();
    for item in golden("dynamodb-ledger-unmarked.jsonl").iter().chain(&earlier) {
        let put = json!({ "TableName": backend.table_name, "Item": item });
        Emulator::shared().dynamodb("PutItem", &put).await;
    }
    let counters = backend.pipeline().counters().await.unwrap();
    assert_eq!((counters.ledger, counters.balanced(), counters.exact), (UNMARKED, None, false));

    let [earlier] = earlier.as_slice() else { panic!("one event is in the log: {earlier:?}") };
    let event = RecordedEvent::decode(earlier["entry"]["S"].as_str().unwrap().as_bytes(), eur()).unwrap();
    let again = message(earlier["message"]["S"].as_str().unwrap(), &event.envelope, 2);
    for process in [Process::of(&backend).await, Process::of(&backend).await] {
        assert!(process.handle(std::slice::from_ref(&again)).await);
        let expected = Ledger { accepted: 14, recorded: 9, ..UNMARKED };
        assert_eq!(backend.pipeline().counters().await.unwrap().ledger, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_s_discard_is_not_counted_again_by_a_late_copy_of_its_message() {
    let backend = open().await;
    let order = new_order_id();
    let poison = message("m-1", &confirmed(&order), 1);
    let process = Process::of(&backend).await;
    let parking = ParkRequest {
        message: &poison,
        reason: ParkReason::TriesExhausted,
        detail: String::new(),
        event: None,
        order_id: Some(order.clone()),
    };
    backend.dead_letters().park(&[parking]).await;
    backend.archive().await;
    let discard = Discard { reason: "for a test".to_owned(), at: infra::now(), by: None };
    backend.letters().discard("m-1", discard).await.unwrap();
    let discarded = Ledger { accepted: 1, rejected: 1, discarded: 1, ..Ledger::default() };
    assert_eq!(ledger(&backend).await, discarded);
    assert!(process.handle(&[Message { receive_count: 2, ..poison }]).await);
    assert_eq!(ledger(&backend).await, discarded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_queue_moved_after_its_event_was_recorded_counts_once() {
    let backend = open().await;
    for is_counted in [true, false] {
        let (order, process) = (new_order_id(), Process::of(&backend).await);
        let before = ledger(&backend).await;
        let event = created(&order);
        let recorded = message(&format!("moved-{order}"), &event, 5);
        if is_counted {
            assert!(process.handle(std::slice::from_ref(&recorded)).await);
        } else {
            process.consumer.handle(vec![recorded.clone()]).await;
        }
        let letter = dead_letter_of(&recorded, &backend.queues.url, infra::now());
        for _ in 0..2 {
            backend.archiving().keep(&letter).await.unwrap();
            let after = Ledger { accepted: before.accepted + 1, recorded: before.recorded + 1, ..before };
            assert_eq!(ledger(&backend).await, after, "{is_counted}");
        }
    }
}
