//! Batches, given what the log holds and how it fails: what becomes of each message.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use consumer::ports::{
    Append, AppendError, Appended, DeadLetters, Loaded, Message, OrderLog, Parking, Wanted,
};
use consumer::{Consumer, Outcome};
use domain::{Currency, Order, OrderId, ParkReason, Receipt, RejectReason, Timestamp};

type Outcomes = Vec<(domain::EventId, domain::Outcome)>;

/// A log in memory that fails for the orders it is told to.
#[derive(Default)]
struct Fake {
    orders: Mutex<BTreeMap<OrderId, (Order, Outcomes)>>,
    parked_before: u64,
    failing: HashSet<&'static str>,
    loads: Mutex<usize>,
    settled: Mutex<Vec<Receipt>>,
    dead: Mutex<Vec<(String, ParkReason)>>,
    dead_letters_fail: bool,
}

impl Fake {
    fn fails(&self, order_id: &OrderId) -> bool {
        self.failing.contains(order_id.as_str())
    }

    fn version(&self, order_id: &str) -> u64 {
        let orders = self.orders.lock().unwrap();
        orders.get(&OrderId::parse(order_id).unwrap()).map_or(0, |(order, _)| order.version)
    }
}

#[async_trait]
impl OrderLog for Fake {
    async fn load(&self, wanted: &[Wanted]) -> Vec<anyhow::Result<Loaded>> {
        *self.loads.lock().unwrap() += wanted.len();
        let orders = self.orders.lock().unwrap();
        let load = |wanted: &Wanted| {
            anyhow::ensure!(!self.fails(&wanted.order_id), "no connection");
            let known = orders.get(&wanted.order_id);
            let outcomes = known.map(|(_, outcomes)| outcomes.clone()).unwrap_or_default();
            let order = known.map(|(order, _)| order.clone());
            Ok(Loaded { order, parked: self.parked_before, outcomes })
        };
        wanted.iter().map(load).collect()
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let mut orders = self.orders.lock().unwrap();
        let append = |append: &Append| {
            let order_id = append.order.order_id.clone();
            if self.fails(&order_id) {
                return Err(AppendError::Unavailable(anyhow::anyhow!("no connection")));
            }
            let version = append.events[0].version;
            let entry = orders.get(&order_id);
            if entry.map_or(0, |(order, _)| order.version) + 1 != version {
                return Err(AppendError::Conflict { order_id, version });
            }
            let mut outcomes = entry.map(|(_, outcomes)| outcomes.clone()).unwrap_or_default();
            let recorded = |event: &domain::RecordedEvent| {
                (event.envelope.event_id, domain::Outcome::Recorded { version: event.version })
            };
            outcomes.extend(append.events.iter().map(recorded));
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

#[async_trait]
impl DeadLetters for Fake {
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>> {
        let park = |parking: &Parking<'_>| {
            anyhow::ensure!(!self.dead_letters_fail, "no connection");
            self.dead.lock().unwrap().push((parking.message.id.clone(), parking.reason));
            Ok(())
        };
        messages.iter().map(park).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T10:00:00Z").unwrap()
}

/// A message of an ordered queue, grouped by order; `kind@order`, as `created@a`.
fn message(id: usize, what: &str) -> Message {
    let (kind, order) = what.split_once('@').unwrap();
    let data = match kind {
        "created" => format!(
            r#"{{"order_id":"{order}","customer_id":"c","currency":"EUR","total":5,"items":[{{"sku":"x","quantity":1,"unit_price":5}}]}}"#
        ),
        _ => format!(r#"{{"order_id":"{order}"}}"#),
    };
    let body = format!(
        r#"{{"event_id":"00000000-0000-7000-8000-{id:012}","type":"order_{kind}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"x","data":{data}}}"#
    );
    Message {
        id: what.to_owned(),
        handle: String::new(),
        group: Some(order.to_owned()),
        receive_count: 1,
        body: body.into_bytes(),
    }
}

fn messages(what: &[&str]) -> Vec<Message> {
    what.iter().enumerate().map(|(id, what)| message(id, what)).collect()
}

/// Handles the messages, and tells in a word what became of each.
async fn outcomes(fake: &Arc<Fake>, messages: Vec<Message>) -> BTreeMap<String, &'static str> {
    let consumer = Consumer {
        log: fake.clone(),
        dead_letters: fake.clone(),
        clock: now,
        default_currency: Currency::parse("EUR").unwrap(),
    };
    let word = |outcome: &Outcome| match outcome {
        Outcome::Recorded(_) => "recorded",
        Outcome::Rejected(RejectReason::IllegalTransition, _) => "illegal",
        Outcome::Rejected(RejectReason::VersionMismatch, _) => "version",
        Outcome::Duplicate => "duplicate",
        Outcome::Parked(..) => "parked",
        Outcome::Retry(_) => "retry",
    };
    let handled = consumer.handle(messages).await;
    handled.into_iter().map(|handled| (handled.message.id, word(&handled.outcome))).collect()
}

fn expected(pairs: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    pairs.iter().map(|(id, outcome)| ((*id).to_owned(), *outcome)).collect()
}

#[tokio::test]
async fn a_batch_takes_orders_through_several_events_at_once_without_loading_new_ones() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "created@b", "confirmed@a", "delivered@a", "paid@a"];
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "recorded"),
        ("created@b", "recorded"),
        ("confirmed@a", "recorded"),
        ("delivered@a", "illegal"),
        ("paid@a", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert_eq!((fake.version("a"), fake.version("b")), (3, 1));
    assert_eq!(*fake.loads.lock().unwrap(), 0, "an order that is created here needs no loading");
    assert_eq!(fake.settled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failing_order_holds_back_its_group_and_no_other() {
    let fake = Arc::new(Fake { failing: HashSet::from(["a"]), ..Fake::default() });
    let sent = ["created@a", "created@b", "confirmed@a", "refunded@a", "confirmed@b"];
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [
        ("created@a", "retry"),
        ("confirmed@a", "retry"),
        ("refunded@a", "retry"),
        ("created@b", "recorded"),
        ("confirmed@b", "recorded"),
    ];
    assert_eq!(found, expected(&wanted));
    assert!(fake.settled.lock().unwrap().is_empty(), "what comes behind a failure is not decided");
}

#[tokio::test]
async fn an_order_that_exists_already_is_loaded_after_the_conflict() {
    let fake = Arc::new(Fake::default());
    outcomes(&fake, messages(&["created@a", "confirmed@a"])).await;
    // The creation again, under its own id and under another one.
    let mut again = messages(&["created@a", "x@a"]);
    again[1] = Message { id: "other".to_owned(), ..message(7, "created@a") };
    assert_eq!(outcomes(&fake, again).await, expected(&[("created@a", "duplicate"), ("other", "illegal")]));
    assert_eq!(fake.version("a"), 2);
}

#[tokio::test]
async fn an_unreadable_message_is_parked_and_holds_nobody_up() {
    let fake = Arc::new(Fake::default());
    let sent = ["created@a", "teleported@a", "confirmed@a"];
    let found = outcomes(&fake, messages(&sent)).await;
    let wanted = [("created@a", "recorded"), ("teleported@a", "parked"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted));
    assert_eq!(*fake.dead.lock().unwrap(), [("teleported@a".to_owned(), ParkReason::UnknownType)]);
}

#[tokio::test]
async fn what_cannot_be_parked_stays_and_holds_back_its_group() {
    let fake = Arc::new(Fake { dead_letters_fail: true, ..Fake::default() });
    let sent = ["created@a", "teleported@a", "confirmed@a", "created@b"];
    let found = outcomes(&fake, messages(&sent)).await;
    assert_eq!((found["teleported@a"], found["confirmed@a"]), ("retry", "retry"));
    assert_eq!((found["created@a"], found["created@b"]), ("recorded", "recorded"));
}

#[tokio::test]
async fn an_early_event_is_rejected_in_order_retried_without_and_parked_behind_parked_ones() {
    let ordered = Arc::new(Fake::default());
    assert_eq!(outcomes(&ordered, messages(&["paid@a"])).await["paid@a"], "illegal");

    let unordered = Arc::new(Fake::default());
    let without_group = |message: Message| Message { group: None, ..message };
    let sent = messages(&["paid@a", "created@a", "confirmed@a"]).into_iter().map(without_group).collect();
    let found = outcomes(&unordered, sent).await;
    let wanted = [("paid@a", "retry"), ("created@a", "recorded"), ("confirmed@a", "recorded")];
    assert_eq!(found, expected(&wanted), "a queue without order fails message by message");

    let parked = Arc::new(Fake { parked_before: 1, ..Fake::default() });
    assert_eq!(outcomes(&parked, messages(&["paid@a"])).await["paid@a"], "parked");
    assert_eq!(parked.dead.lock().unwrap()[0].1, ParkReason::BehindParked);
}

#[test]
fn retries_wait_longer_each_time_up_to_a_cap() {
    for receives in [1, 2, 3, 4, 5, 50, u32::MAX] {
        let most = 30u64.saturating_mul(1 << receives.saturating_sub(1).min(8)).min(300);
        for _ in 0..100 {
            assert!(consumer::poll::retry_delay(receives).as_secs() <= most, "{receives}");
        }
    }
}
