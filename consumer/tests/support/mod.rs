//! Helpers for the tests of batches: a log, dead letters and an inbox in memory, and messages.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses only a part of these helpers")]
#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

use std::collections::{BTreeMap, HashSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consumer::ports::{
    Append, AppendError, Appended, DeadLetters, EventOutcome, Inbox, LedgerStore, LoadRequest, LoadedOrder,
    Message, OrderLog, ParkRequest,
};
use consumer::{Consumer, Disposition};
use domain::{Currency, Order, OrderId, ParkReason, Receipt, RecordedEvent, RejectReason, Timestamp};

/// A log and dead letters in memory. For chosen orders, the log returns an error or never returns.
#[derive(Default)]
pub struct Fake {
    pub orders: Mutex<BTreeMap<OrderId, (Order, Vec<EventOutcome>)>>,
    /// The appended events: order ids, versions and kinds.
    pub log: Mutex<Vec<(OrderId, u64, String)>>,
    /// The parked sequence of each order, as ids of dead letters.
    pub sequences: Mutex<BTreeMap<OrderId, Vec<String>>>,
    /// The released dead letters, each with the disposition of its replay.
    pub released: Mutex<Vec<(String, Disposition)>>,
    pub failing: HashSet<&'static str>,
    pub hanging: HashSet<&'static str>,
    pub loads: Mutex<usize>,
    pub settled: Mutex<Vec<Receipt>>,
    /// The dead letters: ids, reasons and bodies.
    pub dead: Mutex<Vec<(String, ParkReason, Vec<u8>)>>,
    pub dead_letters_fail: bool,
}

impl Fake {
    fn fails(&self, order_id: &OrderId) -> bool {
        self.failing.contains(order_id.as_str())
    }

    /// Never returns if one of the orders is set to hang.
    async fn hang_if_chosen(&self, mut orders: impl Iterator<Item = &OrderId> + Send) {
        if orders.any(|order_id| self.hanging.contains(order_id.as_str())) {
            pending::<()>().await;
        }
    }

    /// The kinds of an order's events. Asserts that their versions are consecutive.
    pub fn recorded(&self, order_id: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let of_order: Vec<_> = log.iter().filter(|(id, ..)| id.as_str() == order_id).collect();
        assert!(
            of_order.iter().map(|(_, version, _)| *version).eq(1..=of_order.len() as u64),
            "{of_order:?}"
        );
        of_order.into_iter().map(|(.., kind)| kind.clone()).collect()
    }

    pub fn version(&self, order_id: &str) -> u64 {
        let orders = self.orders.lock().unwrap();
        orders.get(&OrderId::parse(order_id).unwrap()).map_or(0, |(order, _)| order.version)
    }
}

fn entry_of(event: &RecordedEvent) -> (OrderId, u64, String) {
    let kind = event.envelope.event.event_type().to_string().replace("order_", "");
    (event.envelope.order_id.clone(), event.version, kind)
}

#[async_trait]
impl OrderLog for Fake {
    async fn load(&self, wanted: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>> {
        self.hang_if_chosen(wanted.iter().map(|wanted| &wanted.order_id)).await;
        *self.loads.lock().unwrap() += wanted.len();
        let orders = self.orders.lock().unwrap();
        let load = |wanted: &LoadRequest| {
            anyhow::ensure!(!self.fails(&wanted.order_id), "no connection");
            let known = orders.get(&wanted.order_id);
            let mut outcomes = known.map(|(_, outcomes)| outcomes.clone()).unwrap_or_default();
            outcomes.extend(Self::settled_of(&self.settled.lock().unwrap(), &wanted.order_id));
            let order = known.map(|(order, _)| order.clone());
            let parked = self.sequences.lock().unwrap().get(&wanted.order_id).cloned().unwrap_or_default();
            Ok(LoadedOrder { order, parked, outcomes, reference_holders: Vec::new() })
        };
        wanted.iter().map(load).collect()
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        self.hang_if_chosen(appends.iter().map(|append| &append.order.order_id)).await;
        let mut orders = self.orders.lock().unwrap();
        let append = |append: &Append| {
            let order_id = append.order.order_id.clone();
            assert!(
                append.events.iter().all(|event| event.envelope.order_id == order_id),
                "an append contains events of one order"
            );
            if self.fails(&order_id) {
                return Err(AppendError::Unavailable(anyhow::anyhow!("no connection")));
            }
            let version = append.events[0].version;
            let entry = orders.get(&order_id);
            if entry.map_or(0, |(order, _)| order.version) + 1 != version {
                return Err(AppendError::Conflict { order_id, version });
            }
            let mut outcomes = entry.map(|(_, outcomes)| outcomes.clone()).unwrap_or_default();
            let recorded = |(event, message): (&RecordedEvent, &String)| EventOutcome {
                event_id: event.envelope.event_id,
                outcome: domain::Outcome::Recorded { version: event.version },
                message: Some(message.clone()),
            };
            self.log.lock().unwrap().extend(append.events.iter().map(entry_of));
            outcomes.extend(append.events.iter().zip(&append.messages).map(recorded));
            orders.insert(order_id, (append.order.clone(), outcomes));
            Ok(Appended::New)
        };
        appends.iter().map(append).collect()
    }

    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        self.settled.lock().unwrap().extend_from_slice(receipts);
        receipts.iter().map(|_| Ok(())).collect()
    }
}

impl Fake {
    /// The outcomes in the given receipts that belong to events of the order.
    fn settled_of<'a>(
        receipts: &'a [Receipt],
        order_id: &'a OrderId,
    ) -> impl Iterator<Item = EventOutcome> + 'a {
        let of_order = receipts.iter().filter(move |receipt| receipt.order_id == *order_id);
        of_order.filter_map(|receipt| {
            let (event_id, message) = (receipt.event_id, receipt.message.clone());
            Some(EventOutcome { event_id, outcome: receipt.outcome.clone()?, message })
        })
    }
}

#[async_trait]
impl DeadLetters for Fake {
    async fn park(&self, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>> {
        let park = |parking: &ParkRequest<'_>| {
            anyhow::ensure!(!self.dead_letters_fail, "no connection");
            let Message { id, body, .. } = parking.message;
            self.dead.lock().unwrap().push((id.clone(), parking.reason, body.clone()));
            if let Some(order_id) = &parking.order_id {
                let mut sequences = self.sequences.lock().unwrap();
                let sequence = sequences.entry(order_id.clone()).or_default();
                let letter = parking.message.dead_letter_id().to_owned();
                if !sequence.contains(&letter) {
                    sequence.push(letter);
                }
            }
            Ok(())
        };
        messages.iter().map(park).collect()
    }

    async fn release(&self, letters: &[(&str, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let release = |(id, disposition): &(&str, &Disposition)| {
            anyhow::ensure!(!self.dead_letters_fail, "no connection");
            self.sequences
                .lock()
                .unwrap()
                .values_mut()
                .for_each(|sequence| sequence.retain(|letter| letter != id));
            self.released.lock().unwrap().push(((*id).to_owned(), (*disposition).clone()));
            Ok(())
        };
        letters.iter().map(release).collect()
    }
}

/// An inbox that only supports retries, and records them.
#[derive(Default)]
pub struct FakeInbox {
    pub fails: bool,
    pub hangs: bool,
    /// The retried messages, by handle, with their delays.
    pub retried: Mutex<Vec<(String, Duration)>>,
}

#[async_trait]
impl Inbox for FakeInbox {
    async fn receive(&self, _: usize, _: Duration) -> anyhow::Result<Vec<Message>> {
        anyhow::bail!("this inbox cannot receive")
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        messages.iter().map(|_| Err(anyhow::anyhow!("this inbox cannot delete"))).collect()
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        if self.hangs {
            pending::<()>().await;
        }
        let mut retried = self.retried.lock().unwrap();
        let retry = |(message, delay): &(&Message, Duration)| {
            anyhow::ensure!(!self.fails, "no connection");
            retried.push((message.handle.clone(), *delay));
            Ok(())
        };
        messages.iter().map(retry).collect()
    }
}

/// A ledger in memory, which remembers the disposition of each message that was counted.
#[derive(Default)]
pub struct CountingStore {
    pub counted: Mutex<BTreeMap<String, String>>,
    /// How often counting fails.
    pub failures: Mutex<usize>,
}

#[async_trait]
impl LedgerStore for CountingStore {
    async fn count(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return messages.iter().map(|_| Err(anyhow::anyhow!("no connection"))).collect();
        }
        let mut counted = self.counted.lock().unwrap();
        let count = |(message, disposition): &(&Message, &Disposition)| {
            let name = format!("{disposition:?}").split('(').next().unwrap().to_owned();
            let before = counted.insert(message.id.clone(), name.clone());
            assert!(before.as_ref().is_none_or(|before| *before == name), "{before:?}, {disposition:?}");
            Ok(())
        };
        messages.iter().map(count).collect()
    }
}

pub fn consumer(fake: &Arc<Fake>) -> Consumer {
    Consumer {
        log: fake.clone(),
        dead_letters: fake.clone(),
        clock: now,
        default_currency: Currency::parse("EUR").unwrap(),
        max_receives: None,
        ledger: None,
    }
}

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T10:00:00Z").unwrap()
}

/// A message of an ordered queue, grouped by order. All orders have a total of 0, so they can be shipped without a
/// payment. `created`, `confirmed`, `shipped` and `delivered` are legal only in this sequence.
///
/// `what` contains the kind and the order, as in `created@a`.
pub fn message(id: usize, what: &str) -> Message {
    let (kind, order) = what.split_once('@').unwrap();
    let data = match kind {
        "created" => format!(
            r#"{{"order_id":"{order}","customer_id":"c","currency":"EUR","total":0,"items":[{{"sku":"x","quantity":1,"unit_price":0}}]}}"#
        ),
        _ => format!(r#"{{"order_id":"{order}"}}"#),
    };
    let body = format!(
        r#"{{"event_id":"00000000-0000-7000-8000-{id:012}","type":"order_{kind}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"x","data":{data}}}"#
    );
    Message {
        id: what.to_owned(),
        group: Some(order.to_owned()),
        receive_count: 1,
        body: body.into_bytes(),
        ..Message::default()
    }
}

pub fn messages(what: &[&str]) -> Vec<Message> {
    what.iter().enumerate().map(|(id, what)| message(id, what)).collect()
}

/// A disposition in one word.
pub fn word(disposition: &Disposition) -> &'static str {
    match disposition {
        Disposition::Recorded(_) => "recorded",
        Disposition::Rejected(RejectReason::IllegalTransition, _) => "illegal",
        Disposition::Rejected(RejectReason::VersionMismatch, _) => "version",
        Disposition::Rejected(RejectReason::Discarded, _) => "discarded",
        Disposition::Archived => "archived",
        Disposition::Completed => "completed",
        Disposition::Duplicate => "duplicate",
        Disposition::Parked(..) => "parked",
        Disposition::Retry(_) => "retry",
    }
}
