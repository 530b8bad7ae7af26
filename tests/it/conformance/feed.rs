//! The conformance cases for the feed. A backend may show an event some time after it was recorded, and may show an event
//! more than once. So every case waits for the expected events, and counts only the first appearance of each event.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedEvent, FeedFilter, FeedStart};
use domain::{CustomerId, Envelope, EventId, EventType, OrderId, RecordedEvent};
use tokio::time::{Instant, timeout};

use super::{Backend, QueueOptions};
use crate::support::events::{amended, append_of, at, confirmed, created_for, new_order_id, paid, recorded};

/// How long a backend may take to show an event.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn options(_case: &str) -> QueueOptions {
    QueueOptions::default()
}

/// Records events of one order. Their time of recording is `at(second)`.
async fn record_at(backend: &dyn Backend, second: u32, envelopes: &[Envelope]) -> Vec<RecordedEvent> {
    let events: Vec<_> = recorded(1, envelopes)
        .into_iter()
        .map(|event| RecordedEvent { recorded_at: at(second), ..event })
        .collect();
    backend.log().append(&[append_of(&events, events.len())]).await.remove(0).unwrap();
    events
}

async fn record(backend: &dyn Backend, envelopes: &[Envelope]) -> Vec<RecordedEvent> {
    record_at(backend, 30, envelopes).await
}

/// An order with three events.
async fn record_order(backend: &dyn Backend, customer: &str) -> Vec<RecordedEvent> {
    let id = new_order_id();
    record(backend, &[created_for(&id, customer), confirmed(&id), paid(&id)]).await
}

fn of_customer(name: &str) -> FeedFilter {
    FeedFilter { customer_id: Some(CustomerId::parse(name).unwrap()), ..FeedFilter::default() }
}

/// A reader of the feed that stores the events that it has seen.
struct FeedReader {
    feed: Arc<dyn EventFeed>,
    filter: FeedFilter,
    next: FeedCursor,
    limit: usize,
    /// The first appearance of each event.
    seen: Vec<FeedEvent>,
    ids: HashSet<EventId>,
}

impl FeedReader {
    fn new(backend: &dyn Backend, filter: FeedFilter, next: FeedCursor) -> Self {
        let (limit, seen, ids) = (2, Vec::new(), HashSet::new());
        Self { feed: backend.feed(), filter, next, limit, seen, ids }
    }

    async fn from_start(backend: &dyn Backend, filter: FeedFilter, start: FeedStart) -> Self {
        let next = backend.feed().start(start).await.unwrap();
        Self::new(backend, filter, next)
    }

    /// Reads one page. Returns whether the page was the last one.
    async fn page(&mut self) -> bool {
        let page = self.feed.read(&self.filter, &self.next, self.limit).await.unwrap();
        assert!(page.events.len() <= self.limit, "{page:?}");
        for event in page.events {
            if self.ids.insert(event.event.envelope.event_id) {
                self.seen.push(event);
            }
        }
        self.next = page.next;
        page.is_last
    }

    /// Reads until `count` events were seen. At the end of the feed, waits for further events.
    async fn read_until(&mut self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.seen.len() < count {
            assert!(Instant::now() < until, "only {} of {count} events appeared", self.seen.len());
            if self.page().await && self.seen.len() < count {
                self.next = self.feed.wait(&self.filter, &self.next, until).await;
            }
        }
    }

    /// Asserts that the reader has seen exactly the given events, and the events of each order in the order
    /// of their versions.
    fn assert_saw(&self, expected: &[&[RecordedEvent]]) {
        let mut by_order: BTreeMap<&OrderId, Vec<&RecordedEvent>> = BTreeMap::new();
        for seen in &self.seen {
            by_order.entry(&seen.event.envelope.order_id).or_default().push(&seen.event);
        }
        let expected = expected.iter().filter(|events| !events.is_empty());
        let expected: BTreeMap<_, Vec<_>> =
            expected.map(|events| (&events[0].envelope.order_id, events.iter().collect())).collect();
        assert_eq!(by_order, expected);
    }
}

pub async fn every_recorded_event_is_in_the_feed_in_the_order_of_its_order(backend: &dyn Backend) {
    let mut orders = Vec::new();
    for number in 0..5 {
        orders.push(record_order(backend, &format!("c-{number}")).await);
    }
    // Appends an event separately to an order that already has events.
    let id = orders[0][0].envelope.order_id.clone();
    let all: Vec<_> = orders[0].iter().cloned().chain(recorded(4, &[amended(&id, 1)])).collect();
    backend.log().append(&[append_of(&all, 1)]).await.remove(0).unwrap();
    orders[0] = all;

    let mut reader = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    reader.read_until(16).await;
    while !reader.page().await {}
    let expected: Vec<_> = orders.iter().map(Vec::as_slice).collect();
    reader.assert_saw(&expected);
    let positions: BTreeSet<_> = reader.seen.iter().map(|event| &event.position).collect();
    assert_eq!(positions.len(), 16, "no two events have the same position");
    let cursors: HashSet<_> = reader.seen.iter().map(|event| &event.cursor).collect();
    assert_eq!(cursors.len(), 16, "no two events have the same cursor");
}

pub async fn a_filter_selects_customers_and_types(backend: &dyn Backend) {
    let (mia, tom) = (record_order(backend, "mia").await, record_order(backend, "tom").await);
    let more_of_mia = record_order(backend, "mia").await;
    let mut reader = FeedReader::from_start(backend, of_customer("mia"), FeedStart::Oldest).await;
    reader.read_until(6).await;
    while !reader.page().await {}
    reader.assert_saw(&[&mia, &more_of_mia]);

    let types = BTreeSet::from([EventType::Created, EventType::Paid]);
    let paid_orders = FeedFilter { types, ..FeedFilter::default() };
    let of_types = |events: &[RecordedEvent]| vec![events[0].clone(), events[2].clone()];
    let mut reader = FeedReader::from_start(backend, paid_orders.clone(), FeedStart::Oldest).await;
    reader.read_until(6).await;
    while !reader.page().await {}
    reader.assert_saw(&[&of_types(&mia), &of_types(&tom), &of_types(&more_of_mia)]);

    let both = FeedFilter { customer_id: of_customer("tom").customer_id, ..paid_orders };
    let mut reader = FeedReader::from_start(backend, both, FeedStart::Oldest).await;
    reader.read_until(2).await;
    while !reader.page().await {}
    reader.assert_saw(&[&of_types(&tom)]);
}

pub async fn the_cursor_of_each_event_resumes_after_it(backend: &dyn Backend) {
    for _ in 0..3 {
        record_order(backend, "c-1").await;
    }
    let mut first = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    first.read_until(9).await;
    for (place, event) in first.seen.iter().enumerate() {
        let (before, after) = first.seen.split_at(place + 1);
        let mut resumed = FeedReader::new(backend, FeedFilter::default(), event.cursor.clone());
        resumed.ids = before.iter().map(|event| event.event.envelope.event_id).collect();
        resumed.read_until(after.len()).await;
        while !resumed.page().await {}
        let ids = |events: &[FeedEvent]| -> BTreeSet<EventId> {
            events.iter().map(|event| event.event.envelope.event_id).collect()
        };
        assert_eq!(ids(&resumed.seen), ids(after), "after {place} events");
    }
}

pub async fn a_reader_that_starts_at_the_latest_event_sees_only_later_ones(backend: &dyn Backend) {
    let earlier = record_order(backend, "c-1").await;
    // The earlier events are visible before the reader starts.
    let mut all = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    all.read_until(3).await;
    all.assert_saw(&[&earlier]);
    let mut reader = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Latest).await;
    assert!(reader.page().await && reader.seen.is_empty(), "{:?}", reader.seen);
    let later = record_order(backend, "c-1").await;
    reader.read_until(3).await;
    reader.assert_saw(&[&later]);
}

pub async fn a_reader_that_starts_at_a_time_misses_no_later_event(backend: &dyn Backend) {
    let mut orders = Vec::new();
    for second in [10, 20, 30, 40] {
        let id = new_order_id();
        orders.push(record_at(backend, second, &[created_for(&id, "c-1"), confirmed(&id)]).await);
    }
    let mut all = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    all.read_until(8).await;
    for (second, later) in [(0, 4), (10, 4), (11, 3), (30, 2), (40, 1), (41, 0)] {
        let start = FeedStart::At(at(second));
        let mut reader = FeedReader::from_start(backend, FeedFilter::default(), start).await;
        // A backend may start the reader too early, so the reader may also see events that are older than the given time.
        while !reader.page().await {}
        let expected: Vec<_> = orders[4 - later..].iter().flatten().collect();
        let seen: Vec<_> = reader.seen.iter().map(|event| &event.event).collect();
        assert!(expected.iter().all(|event| seen.contains(event)), "from second {second}: {seen:?}");
    }
}

pub async fn a_waiting_reader_is_woken_by_an_event_that_passes_its_filter(backend: &dyn Backend) {
    let earlier = record_order(backend, "tom").await;
    let mut all = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    all.read_until(earlier.len()).await;
    let (feed, next) = (backend.feed(), all.next.clone());
    let wait = tokio::spawn(async move {
        let until = Instant::now() + 10 * PATIENCE;
        feed.wait(&of_customer("mia"), &next, until).await
    });
    record_order(backend, "tom").await;
    let expected = record_order(backend, "mia").await;
    let place = timeout(PATIENCE, wait).await.expect("the reader is woken").unwrap();
    let mut reader = FeedReader::new(backend, of_customer("mia"), place);
    reader.read_until(3).await;
    reader.assert_saw(&[&expected]);
}

pub async fn a_wait_ends_at_its_time(backend: &dyn Backend) {
    let start = backend.feed().start(FeedStart::Latest).await.unwrap();
    let place = backend.feed().wait(&FeedFilter::default(), &start, Instant::now()).await;
    record_order(backend, "c-1").await;
    let mut reader = FeedReader::new(backend, FeedFilter::default(), place);
    reader.read_until(3).await;
}

pub async fn a_cursor_after_the_end_of_the_feed_is_refused(backend: &dyn Backend) {
    record_order(backend, "c-1").await;
    let mut reader = FeedReader::from_start(backend, FeedFilter::default(), FeedStart::Oldest).await;
    reader.read_until(3).await;
    let later = FeedCursor(reader.next.0.iter().map(|position| position + 1_000_000).collect());
    let too_short = FeedCursor(Vec::new());
    let too_long = FeedCursor(reader.next.0.iter().copied().chain([0]).collect());
    for unknown in [later, too_short, too_long] {
        let read = backend.feed().read(&FeedFilter::default(), &unknown, 10).await;
        assert!(matches!(read, Err(FeedError::UnknownCursor)), "{unknown:?}: {read:?}");
    }
}
