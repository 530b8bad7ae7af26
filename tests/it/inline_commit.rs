//! Tests the inline commit: if no event of the order is queued, the commit that accepts an event also records
//! it. The result must be the same as if every event had been queued.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterFilter, DeadLetterStore, Pipeline};
use api::ports::{EventPublisher, OrderReader};
use consumer::ports::{Inbox, Message};
use consumer::{Disposition, HandledMessage};
use domain::event::{Amended, Shipped};
use domain::{Envelope, Event, Guard, OrderId, Outcome, Reference};
use infra::embedded::maintenance::RebuildOptions;
use infra::embedded::{Embedded, NewMessage, Options};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::consumers::consumer_of;
use crate::support::events::{amended, confirmed, created, envelope, eur, new_order_id, paid};

const ORDERS: [&str; 3] = ["o-1", "o-2", "o-3"];

/// A step of a test. Each step is one thing that happens to the service.
#[derive(Debug, Clone)]
enum Step {
    /// Events are published in one call. Each pair consists of the index of an order and the kind of the event.
    Publish(Vec<(usize, Kind)>),
    /// An unreadable message arrives in the group of an order.
    Poison(usize),
    /// The consumer finishes the messages that it holds, and then receives up to the given number of further
    /// messages.
    Consume(usize),
    /// The process ends and starts again.
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Created,
    Amended,
    Confirmed,
    Paid,
    /// Publishes the latest event of the order again.
    Repeated,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = [Kind::Created, Kind::Created, Kind::Amended, Kind::Confirmed, Kind::Paid, Kind::Repeated];
    let event = (0..ORDERS.len(), prop::sample::select(kinds.to_vec()));
    let step = prop_oneof![
        8 => prop::collection::vec(event, 1..4).prop_map(Step::Publish),
        1 => (0..ORDERS.len()).prop_map(Step::Poison),
        4 => (0..4usize).prop_map(Step::Consume),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

/// A service without HTTP: the engine and a consumer.
struct Service {
    engine: Arc<Embedded>,
    inline: bool,
    held: Vec<Message>,
    folder: TempDir,
}

fn open(folder: &TempDir, inline: bool) -> Arc<Embedded> {
    let options = Options { min_free_bytes: 0, inline, max_receives: 1000, ..Options::new(eur()) };
    Arc::new(Embedded::open(&folder.path().join("data"), options).unwrap())
}

impl Service {
    fn start(inline: bool) -> Self {
        let folder = TempDir::new().unwrap();
        Self { engine: open(&folder, inline), inline, held: Vec::new(), folder }
    }

    async fn publish(&self, events: &[Envelope]) {
        self.engine.publish(events).await.into_iter().for_each(|accepted| {
            accepted.unwrap();
        });
    }

    async fn send(&self, message: NewMessage) {
        self.engine.send(vec![message]).await.unwrap();
    }

    async fn finish(&mut self) {
        let consumer = consumer_of(self.engine.clone(), self.engine.clone());
        let handled = consumer.handle(std::mem::take(&mut self.held)).await;
        let unexpected =
            |it: &HandledMessage| matches!(it.disposition, Disposition::Archived | Disposition::Retry(_));
        assert!(!handled.iter().any(unexpected), "{handled:?}");
        let done = handled.iter().filter(|it| it.disposition.is_acknowledged());
        let done: Vec<_> = done.map(|it| (&it.message, &it.disposition)).collect();
        self.engine.ack(&done).await.into_iter().for_each(|acked| acked.unwrap());
    }

    async fn consume(&mut self, most: usize) {
        self.finish().await;
        if most > 0 {
            self.held = self.engine.receive(most, Duration::ZERO).await.unwrap();
        }
    }

    /// Handles everything that is queued.
    async fn drain(&mut self) {
        while self.engine.queue_depth() > 0 {
            self.consume(10).await;
        }
    }

    fn restart(self) -> Self {
        let Self { engine, inline, folder, .. } = self;
        drop(engine);
        Self { engine: open(&folder, inline), inline, held: Vec::new(), folder }
    }

    /// Checks that projections, indexes and ledger agree with the logs.
    async fn check_derived_writes(&self) {
        let check = RebuildOptions { check_only: true, ..RebuildOptions::default() };
        let checked = self.engine.rebuild(check, &|_| ()).await.unwrap();
        assert_eq!(checked.differences.count, 0, "{:?}", checked.differences);
    }

    /// The final state: logs and orders, outcomes, dead letters and the ledger. Everything that differs between runs
    /// is removed.
    async fn final_state(&self, events: &[Envelope]) -> Vec<String> {
        let mut state = Vec::new();
        for order_id in ORDERS {
            let order_id = OrderId::parse(order_id).unwrap();
            let log = self.engine.events(&order_id, 0, 100).await.unwrap();
            state.extend(log.iter().map(|it| format!("{order_id} {} {}", it.version, it.envelope.event_id)));
            let order = self.engine.order(&order_id).await.unwrap();
            state.extend(order.map(|it| format!("{:?} {} {}", it.order.status, it.order.version, it.parked)));
        }
        for event in events {
            let receipt = self.engine.receipt(&event.order_id, event.event_id).await.unwrap().unwrap();
            state.push(format!("{} {:?}", event.event_id, receipt.outcome.unwrap()));
        }
        let letters = self.engine.letters(&DeadLetterFilter::default(), None, 100).await.unwrap().letters;
        state.extend(letters.iter().map(|letter| format!("{:?} {:?}", letter.order_id, letter.reason)));
        let counters = self.engine.counters().await.unwrap();
        assert_eq!(counters.balanced(), Some(true), "{counters:?}");
        state.push(format!("{:?}", counters.ledger));
        self.check_derived_writes().await;
        state
    }
}

/// Makes the events of a step. Updates `latest`, which contains the latest event of each order.
fn events(kinds: &[(usize, Kind)], latest: &mut BTreeMap<usize, Envelope>) -> Vec<Envelope> {
    let event = |(order, kind): &(usize, Kind)| {
        let order_id = OrderId::parse(ORDERS[*order]).unwrap();
        let event = match kind {
            Kind::Created => created(&order_id),
            Kind::Amended => amended(&order_id, 1),
            Kind::Confirmed => confirmed(&order_id),
            Kind::Paid => paid(&order_id),
            Kind::Repeated => latest.get(order)?.clone(),
        };
        latest.insert(*order, event.clone());
        Some(event)
    };
    kinds.iter().filter_map(event).collect()
}

async fn run(steps: &[Step]) -> (Vec<String>, Vec<String>) {
    let (mut inline, mut queued) = (Service::start(true), Service::start(false));
    let (mut latest, mut all) = (BTreeMap::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Publish(kinds) => {
                let events = events(kinds, &mut latest);
                inline.publish(&events).await;
                queued.publish(&events).await;
                all.extend(events);
            }
            Step::Poison(order) => {
                let message = NewMessage {
                    group: ORDERS[*order].to_owned(),
                    deduplication_id: number.to_string(),
                    body: format!(r#"{{"order_id":"{}"}}"#, ORDERS[*order]).into_bytes(),
                };
                inline.send(message.clone()).await;
                queued.send(message).await;
            }
            Step::Consume(most) => inline.consume(*most).await,
            Step::Restart => inline = inline.restart(),
        }
    }
    inline.consume(0).await;
    inline.drain().await;
    queued.drain().await;
    (inline.final_state(&all).await, queued.final_state(&all).await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_inline_commit_has_the_same_result_as_the_queue(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (inline, queued) = runtime.block_on(run(&steps));
        prop_assert_eq!(inline, queued);
    }
}

/// A service that commits inline, with an order.
async fn with_order() -> (Service, OrderId) {
    let (service, order_id) = (Service::start(true), OrderId::parse(ORDERS[0]).unwrap());
    service.publish(&[created(&order_id)]).await;
    (service, order_id)
}

async fn version(service: &Service, order_id: &OrderId) -> Option<u64> {
    service.engine.order(order_id).await.unwrap().map(|it| it.order.version)
}

/// The `order_created` event of an order with the given reference.
fn referred(order_id: &OrderId, reference: &Reference) -> Envelope {
    let mut envelope = created(order_id);
    if let Event::Created(created) = &mut envelope.event {
        created.reference = Some(reference.clone());
    }
    envelope
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_orders_with_one_reference_exactly_one_is_recorded_and_the_others_are_rejected() {
    for inline in [true, false] {
        let mut service = Service::start(inline);
        let reference = Reference::parse("PO 7").unwrap();
        let events: Vec<_> = (0..32).map(|_| referred(&new_order_id(), &reference)).collect();
        let publishing = events.iter().map(|event| service.publish(std::slice::from_ref(event)));
        futures_util::future::join_all(publishing).await;
        service.drain().await;
        let winner = service.engine.order_by_reference(&reference).await.unwrap().unwrap().order;
        for event in &events {
            let receipt = service.engine.receipt(&event.order_id, event.event_id).await.unwrap().unwrap();
            match receipt.outcome.unwrap() {
                Outcome::Recorded { version } => {
                    assert_eq!((&event.order_id, version), (&winner.order_id, 1), "inline: {inline}");
                }
                Outcome::Rejected { violation, .. } => {
                    let violation = violation.unwrap();
                    assert_eq!(
                        (violation.guard, violation.order_id),
                        (Guard::ReferenceFree, Some(winner.order_id.clone()))
                    );
                }
                other => panic!("inline: {inline}: {other:?}"),
            }
        }
        let ledger = service.engine.counters().await.unwrap().ledger;
        assert_eq!((ledger.accepted, ledger.recorded, ledger.rejected), (32, 1, 31));

        // After the order has changed its reference, a new order can have the old reference.
        let amended = Amended { reference: Some(Reference::parse("PO 8").unwrap()), ..Amended::default() };
        service.publish(&[envelope(&winner.order_id, Event::Amended(amended))]).await;
        service.drain().await;
        let next = new_order_id();
        service.publish(&[referred(&next, &reference)]).await;
        service.drain().await;
        let found = service.engine.order_by_reference(&reference).await.unwrap().unwrap();
        assert_eq!(found.order.order_id, next);
        service.check_derived_writes().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_order_with_nothing_queued_needs_no_consumer() {
    let (service, order_id) = with_order().await;
    service.publish(&[confirmed(&order_id)]).await;
    service.publish(&[paid(&order_id)]).await;
    assert_eq!((version(&service, &order_id).await, service.engine.queue_depth()), (Some(3), 0));
    let ledger = domain::Ledger { accepted: 3, recorded: 3, ..domain::Ledger::default() };
    assert_eq!(service.engine.counters().await.unwrap().ledger, ledger);

    let service = service.restart();
    assert_eq!(
        version(&service, &order_id).await,
        Some(3),
        "the commits that accepted the events have recorded them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_queued_after_queued_events_of_its_order_but_not_of_others() {
    let (mut service, order_id) = with_order().await;
    let other = OrderId::parse(ORDERS[1]).unwrap();
    // The shipment is too early, so the service queues it for the consumer. The confirmation that follows is queued,
    // too.
    let shipped = envelope(&order_id, Event::Shipped(Shipped::default()));
    service.publish(&[shipped, confirmed(&order_id), created(&other)]).await;
    service.consume(1).await;
    service.publish(&[amended(&order_id, 1), amended(&other, 1)]).await;
    assert_eq!((version(&service, &order_id).await, version(&service, &other).await), (Some(1), Some(2)));
    assert_eq!(service.engine.queue_depth(), 3);
    service.consume(0).await;
    service.drain().await;
    let ledger = service.engine.counters().await.unwrap().ledger;
    assert_eq!((ledger.accepted, ledger.recorded, ledger.rejected), (6, 5, 1), "the shipment was too early");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_of_one_order_are_each_handled_once() {
    let (mut service, order_id) = with_order().await;
    let amendments: Vec<_> = (0..64).map(|_| amended(&order_id, 1)).collect();
    let publishing = amendments.iter().map(|event| service.publish(std::slice::from_ref(event)));
    futures_util::future::join_all(publishing).await;
    service.drain().await;
    let counters = service.engine.counters().await.unwrap();
    assert_eq!(
        (counters.ledger.accepted, counters.ledger.recorded, counters.balanced()),
        (65, 65, Some(true))
    );
    assert_eq!(version(&service, &order_id).await, Some(65));
}
