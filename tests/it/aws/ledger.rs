//! Tests the ledger with optimistic counting, which Lambda functions use: the counts of a batch are sent in a call
//! that is made anyway, such as the append of an event.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use api::operations::Pipeline;
use consumer::ports::{Append, LedgerCounts, LedgerStore, OrderLog};
use domain::Envelope;
use infra::aws::{self, SqsPipeline};
use infra::dynamodb::Table;

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{append_of, confirmed, created, eur, new_order_id, recorded};

const BATCHES: u64 = 40;
const ONE: LedgerCounts = LedgerCounts { received: 1, recorded: 1, rejected: 0, duplicate: 0, parked: 0 };

struct Setting {
    backend: AwsBackend,
    proxy: CountingProxy,
    table: Table,
}

impl Setting {
    async fn new() -> Self {
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
        let sdk = aws::config_at(&proxy.endpoint).await;
        let table = aws::table(&sdk, &backend.table_name, eur()).counting_optimistically();
        Self { backend, proxy, table }
    }

    /// Appends the creation of an order with these counts.
    async fn append(&self, counts: LedgerCounts) {
        self.append_all(&[created(&new_order_id())], counts).await;
    }

    async fn append_all(&self, events: &[Envelope], counts: LedgerCounts) {
        let events = recorded(1, events);
        let append = Append { counts, ..append_of(&events, events.len()) };
        self.table.append(&[append]).await.remove(0).unwrap();
    }

    /// Handles enough batches to create all counters of the ledger. The optimistic count of each batch is correct.
    async fn batches(&self) {
        for _ in 0..BATCHES {
            self.append(ONE).await;
            self.table.add(ONE).await.unwrap();
        }
    }

    async fn recorded(&self) -> u64 {
        let (queue, table) = (self.backend.queue.as_ref().clone(), self.table.clone());
        let counters = SqsPipeline { queue, dead_letters: None, table }.counters().await.unwrap();
        assert_eq!(counters.ledger.accepted, counters.ledger.recorded, "received and recorded");
        counters.ledger.recorded
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_once_with_its_events_or_in_a_call_of_its_own() {
    let setting = Setting::new().await;
    setting.batches().await;
    let calls = setting.proxy.take();
    // Some of the calls create the counters of the ledger.
    let own = calls.calls_of("UpdateItem") as u64;
    assert!((1..BATCHES).contains(&own), "{calls:?}");
    assert_eq!(
        (calls.calls_of("BatchExecuteStatement") as u64, setting.recorded().await),
        (BATCHES, BATCHES)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projected_order_counts_with_its_projection() {
    let setting = Setting::new().await;
    setting.batches().await;
    setting.proxy.take();
    let (id, two) = (new_order_id(), LedgerCounts { received: 2, recorded: 2, ..ONE });
    setting.append_all(&[created(&id), confirmed(&id)], two).await;
    setting.table.add(two).await.unwrap();
    let calls = setting.proxy.take();
    // Each event is written by a separate put. The projection and the ledger are written in one batch.
    let found = (calls.calls_of("PutItem"), calls.calls_of("BatchExecuteStatement"), calls.statements);
    assert_eq!(found, (2, 1, 2), "{calls:?}");
    assert_eq!(setting.recorded().await, BATCHES + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optimistic_count_that_was_wrong_is_corrected() {
    let setting = Setting::new().await;
    setting.batches().await;
    setting.append(ONE).await;
    // The append counted the event optimistically. But the event's group was not finished at the deadline of the batch,
    // so the batch does not count the event.
    setting.table.add(LedgerCounts { recorded: 0, ..ONE }).await.unwrap();
    // The event is delivered again.
    setting.append(LedgerCounts { received: 0, ..ONE }).await;
    setting.table.add(LedgerCounts { received: 0, ..ONE }).await.unwrap();
    assert_eq!(setting.recorded().await, BATCHES + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stay_exact_when_the_caller_is_dropped() {
    let setting = Setting::new().await;
    let mut finished = 0;
    for batch in 0..BATCHES {
        // Polls each append at most 1, 2, 3 or 4 times, and then drops it. So some appends finish, and others do not.
        let counts = match polled(1 + batch % 4, setting.append(ONE)).await {
            Some(()) => ONE,
            None => LedgerCounts { recorded: 0, ..ONE },
        };
        setting.table.add(counts).await.unwrap();
        if counts == ONE {
            finished += 1;
        } else {
            // The next delivery finds that the event is recorded.
            setting.table.add(LedgerCounts { received: 0, ..ONE }).await.unwrap();
        }
    }
    assert!((1..BATCHES).contains(&finished), "{finished}");
    assert_eq!(setting.recorded().await, BATCHES);
}

/// Polls a future at most this number of times, and then drops it.
async fn polled<F: Future>(times: u64, future: F) -> Option<F::Output> {
    let (mut left, mut future) = (times, pin!(future));
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if left > 0 => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
            Poll::Ready(output) => Poll::Ready(Some(output)),
        }
    })
    .await
}
