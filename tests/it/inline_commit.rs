//! An event that nothing waits before is recorded in the commit that accepts it. What becomes of events is the same as if
//! all of them had gone by way of the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterFilter, DeadLetterStore, Pipeline};
use api::ports::{EventPublisher, OrderReader};
use consumer::ports::{Inbox, Message};
use consumer::{Consumer, Disposition, HandledMessage};
use domain::{Envelope, OrderId};
use infra::embedded::{Embedded, NewMessage, Options};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::events::{amended, confirmed, created, eur, paid};

const ORDERS: [&str; 3] = ["o-1", "o-2", "o-3"];

/// What happens to the service.
#[derive(Debug, Clone)]
enum Step {
    /// Events arrive together: each of this order, of this kind.
    Publish(Vec<(usize, Kind)>),
    /// A message arrives that nobody can read, in an order's group.
    Poison(usize),
    /// The consumer finishes what it holds, and takes this many more without finishing them.
    Consume(usize),
    /// The process is gone, and starts again.
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Created,
    Amended,
    Confirmed,
    Paid,
    /// The latest event of the order comes once more.
    Again,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = [Kind::Created, Kind::Created, Kind::Amended, Kind::Confirmed, Kind::Paid, Kind::Again];
    let event = (0..ORDERS.len(), prop::sample::select(kinds.to_vec()));
    let step = prop_oneof![
        8 => prop::collection::vec(event, 1..4).prop_map(Step::Publish),
        1 => (0..ORDERS.len()).prop_map(Step::Poison),
        4 => (0..4usize).prop_map(Step::Consume),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

/// A service, as far as it matters here.
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
        let consumer = Consumer {
            log: self.engine.clone(),
            dead_letters: self.engine.clone(),
            clock: infra::now,
            default_currency: eur(),
            max_receives: None,
            ledger: None,
        };
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

    /// Everything that waits comes to its end.
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

    /// What it came to, as far as it is the same in every run: the log and the order, the outcomes, letters, the ledger.
    async fn end(&self, events: &[Envelope]) -> Vec<String> {
        let mut end = Vec::new();
        for order_id in ORDERS {
            let order_id = OrderId::parse(order_id).unwrap();
            let log = self.engine.events(&order_id, 0, 100).await.unwrap();
            end.extend(log.iter().map(|it| format!("{order_id} {} {}", it.version, it.envelope.event_id)));
            let order = self.engine.order(&order_id).await.unwrap();
            end.extend(order.map(|it| format!("{:?} {} {}", it.order.status, it.order.version, it.parked)));
        }
        for event in events {
            let receipt = self.engine.receipt(&event.order_id, event.event_id).await.unwrap().unwrap();
            end.push(format!("{} {:?}", event.event_id, receipt.outcome.unwrap()));
        }
        let letters = self.engine.letters(&DeadLetterFilter::default(), None, 100).await.unwrap().letters;
        end.extend(letters.iter().map(|letter| format!("{:?} {:?}", letter.order_id, letter.reason)));
        let numbers = self.engine.counters().await.unwrap();
        assert!(numbers.balanced(), "{numbers:?}");
        end.push(format!("{:?}", numbers.ledger));
        end
    }
}

/// The events of a step, of which the latest of each order is remembered.
fn events(kinds: &[(usize, Kind)], latest: &mut BTreeMap<usize, Envelope>) -> Vec<Envelope> {
    let event = |(order, kind): &(usize, Kind)| {
        let order_id = OrderId::parse(ORDERS[*order]).unwrap();
        let event = match kind {
            Kind::Created => created(&order_id),
            Kind::Amended => amended(&order_id, 1),
            Kind::Confirmed => confirmed(&order_id),
            Kind::Paid => paid(&order_id),
            Kind::Again => latest.get(order)?.clone(),
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
    (inline.end(&all).await, queued.end(&all).await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_to_what_the_queue_would_bring_them_to(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (inline, queued) = runtime.block_on(run(&steps));
        prop_assert_eq!(inline, queued);
    }
}

/// The service, and an order that is created, if anything can be.
async fn with_order() -> (Service, OrderId) {
    let (service, order_id) = (Service::start(true), OrderId::parse(ORDERS[0]).unwrap());
    service.publish(&[created(&order_id)]).await;
    (service, order_id)
}

async fn version(service: &Service, order_id: &OrderId) -> Option<u64> {
    service.engine.order(order_id).await.unwrap().map(|it| it.order.version)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_waits_before_needs_no_consumer() {
    let (service, order_id) = with_order().await;
    service.publish(&[confirmed(&order_id)]).await;
    service.publish(&[paid(&order_id)]).await;
    assert_eq!((version(&service, &order_id).await, service.engine.queue_depth()), (Some(3), 0));
    let ledger = domain::Ledger { accepted: 3, recorded: 3, ..domain::Ledger::default() };
    assert_eq!(service.engine.counters().await.unwrap().ledger, ledger);

    let service = service.restart();
    assert_eq!(version(&service, &order_id).await, Some(3), "it was in the commit that accepted it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_behind_those_of_its_order_but_not_behind_others() {
    let (mut service, order_id) = with_order().await;
    let other = OrderId::parse(ORDERS[1]).unwrap();
    // Too early, so it is for the consumer to say so; and what comes behind it would make it legal.
    service.publish(&[paid(&order_id), confirmed(&order_id), created(&other)]).await;
    service.consume(1).await;
    service.publish(&[amended(&order_id, 1), amended(&other, 1)]).await;
    assert_eq!((version(&service, &order_id).await, version(&service, &other).await), (Some(1), Some(2)));
    assert_eq!(service.engine.queue_depth(), 3);
    service.consume(0).await;
    service.drain().await;
    let ledger = service.engine.counters().await.unwrap().ledger;
    assert_eq!(
        (ledger.accepted, ledger.recorded, ledger.rejected),
        (6, 4, 2),
        "paid and amended came too early and too late"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_order_that_arrive_at_the_same_time_are_each_handled_once() {
    let (mut service, order_id) = with_order().await;
    let amendments: Vec<_> = (0..64).map(|_| amended(&order_id, 1)).collect();
    let publishing = amendments.iter().map(|event| service.publish(std::slice::from_ref(event)));
    futures_util::future::join_all(publishing).await;
    service.drain().await;
    let numbers = service.engine.counters().await.unwrap();
    assert_eq!((numbers.ledger.accepted, numbers.ledger.recorded, numbers.balanced()), (65, 65, true));
    assert_eq!(version(&service, &order_id).await, Some(65));
}
