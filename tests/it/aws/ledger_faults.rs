//! Tests the ledger under faults of AWS and kills: three consumers lose answers, get answers late, cannot
//! delete messages, and are killed twenty times. At the end, the ledger must agree with the table, and count
//! each message once.
//!
//! `ORDERS_LEDGER_RUNS` is the number of runs with different seeds, one by default; `ORDERS_LEDGER_SEED` is the first seed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::ports::EventPublisher;
use domain::{Envelope, Ledger, OrderId};
use serde_json::{Value, json};

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::{check, eventually_within};
use crate::support::faults::{FaultProxy, FaultShares};
use crate::support::service::Service;

const CONSUMERS: usize = 3;
const KILLS: usize = 20;
/// The maximum number of calls, of all consumers together, before the next consumer is killed.
const CALLS_BETWEEN_KILLS: usize = 40;
/// Messages of killed consumers come back after two seconds.
const PATIENCE: Duration = Duration::from_secs(400);
const SHARES: FaultShares = FaultShares { lost: 0.03, failed: 0.02, late: 0.002, undeleted: 0.1 };

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

async fn runs(fifo: bool) {
    let (runs, first) = (number("ORDERS_LEDGER_RUNS", 1), number("ORDERS_LEDGER_SEED", 1));
    for seed in first..first + runs {
        let run = Run::start(fifo, seed).await;
        let killing = run.send_and_kill().await;
        run.check(killing).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_kills_do_not_change_the_counts_of_a_fifo_queue() {
    runs(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_kills_do_not_change_the_counts_of_a_standard_queue() {
    runs(false).await;
}

struct Run {
    fifo: bool,
    seed: u64,
    backend: AwsBackend,
    proxy: FaultProxy,
    /// Orders that exist before the faults begin, so that events that confirm them are never early.
    orders: Vec<OrderId>,
}

impl Run {
    async fn start(fifo: bool, seed: u64) -> Self {
        let options = QueueOptions {
            visibility_timeout: Duration::from_secs(2),
            max_receives: 1000,
            ..QueueOptions::default()
        };
        let backend = AwsBackend::open(fifo, options).await;
        let endpoint = &Emulator::shared().endpoint;
        let orders: Vec<_> = (0..KILLS).map(|_| new_order_id()).collect();
        let events: Vec<_> = orders.iter().map(created).collect();
        backend.queue.publish(&events).await.into_iter().for_each(|result| {
            result.unwrap();
        });
        let consumer = backend.start_consumer(endpoint);
        backend.drained(PATIENCE).await;
        drop(consumer);
        let proxy = FaultProxy::start(endpoint, seed, SHARES).await;
        Self { fifo, seed, backend, proxy, orders }
    }

    /// Sends a part of the messages before each kill. Returns how long the kills took.
    async fn send_and_kill(&self) -> Duration {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let start = || self.backend.start_consumer(&self.proxy.endpoint);
        let began = Instant::now();
        let mut consumers: Vec<Service> = (0..CONSUMERS).map(|_| start()).collect();
        for order in &self.orders {
            self.send(order).await;
            let until = self.proxy.calls() + random.usize(1..=CALLS_BETWEEN_KILLS);
            eventually_within(PATIENCE, "the consumers make calls", async || {
                check(self.proxy.calls() >= until, self.proxy.calls())
            })
            .await;
            let killed = random.usize(..CONSUMERS);
            consumers[killed].signal("KILL");
            consumers[killed] = start();
        }
        let killing = began.elapsed();
        self.backend.drained(PATIENCE).await;
        assert!(self.proxy.faults() > KILLS, "{} faults", self.proxy.faults());
        killing
    }

    /// Sends seven messages: four events to record, one event to reject, and two duplicates.
    async fn send(&self, existing: &OrderId) {
        let new = new_order_id();
        let (confirmation, creation) = (confirmed(existing), created(&new));
        let events = [&creation, &confirmation, &paid(existing), &created(existing), &paid(&new)];
        for (place, event) in events.into_iter().chain([&confirmation, &creation]).enumerate() {
            // A standard queue could deliver the payment before the order's `order_created` event, which
            // would delay the payment.
            if self.fifo || place != 4 {
                self.send_message(event).await;
            } else {
                self.send_message(&created(&new_order_id())).await;
            }
        }
    }

    async fn send_message(&self, event: &Envelope) {
        let mut message = json!({ "QueueUrl": self.backend.queues.url, "MessageBody": String::from_utf8(event.encode()).unwrap() });
        if self.fifo {
            message["MessageGroupId"] = json!(event.order_id);
            message["MessageDeduplicationId"] = json!(uuid::Uuid::now_v7());
        }
        Emulator::shared().sqs("SendMessage", &message).await;
    }

    /// Compares the ledger with the items of the table, and with the number of messages that were sent.
    #[expect(clippy::print_stdout, reason = "shows what many runs have done")]
    async fn check(&self, killing: Duration) {
        let counters = self.backend.pipeline().counters().await.unwrap();
        let stored = self.stored().await;
        let kills = KILLS as u64;
        let sent = Ledger {
            accepted: kills + 7 * kills,
            recorded: kills + 4 * kills,
            rejected: kills,
            duplicate: 2 * kills,
            ..Ledger::default()
        };
        println!(
            "seed {}: {} calls, {} faults, {} s of kills, {:?}",
            self.seed,
            self.proxy.calls(),
            self.proxy.faults(),
            killing.as_secs(),
            counters.ledger
        );
        assert_eq!((counters.ledger, counters.exact), (sent, true), "seed {}", self.seed);
        assert_eq!((counters.ledger.recorded, counters.ledger.rejected), stored, "seed {}", self.seed);
    }

    /// The numbers of log entries and of stored rejections. Asserts that no event is stored twice.
    async fn stored(&self) -> (u64, u64) {
        let (mut events, mut rejected, mut start) = (BTreeSet::new(), 0, Value::Null);
        loop {
            let mut scan = json!({ "TableName": self.backend.table_name, "ConsistentRead": true });
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let mut page = Emulator::shared().dynamodb("Scan", &scan).await;
            for item in page["Items"].as_array().unwrap() {
                let sk = item["sk"]["S"].as_str().unwrap();
                if sk.starts_with("EVENT#") {
                    assert!(
                        events.insert(item["i"]["B"].as_str().unwrap().to_owned()),
                        "{item} is in the log twice"
                    );
                } else if sk.starts_with("RECEIPT#") {
                    rejected += u64::from(item["state"]["S"] == "rejected");
                }
            }
            start = page["LastEvaluatedKey"].take();
            if start.is_null() {
                return (events.len() as u64, rejected);
            }
        }
    }
}
