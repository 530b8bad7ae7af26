//! A feed in memory. The tests of the feed append events to it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedEvent, FeedFilter, FeedPage, FeedStart};
use async_trait::async_trait;
use domain::{Currency, RecordedEvent};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How many events one read of the feed examines.
const EXAMINED: usize = 10;

/// A feed with one partition. Positions count from 1.
pub(super) struct FakeFeed {
    log: Mutex<Vec<RecordedEvent>>,
    length: watch::Sender<usize>,
    /// How many events at the beginning of the feed are no longer kept.
    pub(super) expired: AtomicU64,
    /// How often the feed was read.
    pub(super) reads: AtomicUsize,
    broken: bool,
}

impl Default for FakeFeed {
    fn default() -> Self {
        let (length, _) = watch::channel(0);
        let (expired, reads) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { log: Mutex::default(), length, expired, reads, broken: false }
    }
}

/// An event with the given type and version that was recorded at the given minute. The customer's id is `c-`
/// followed by the last character of the order's id.
pub(super) fn event(order_id: &str, version: u64, event_type: &str, minute: u32) -> RecordedEvent {
    let customer = customer(order_id);
    let data = match event_type {
        "order_created" => json!({
            "order_id": order_id, "customer_id": customer, "currency": "EUR", "total": 1,
            "items": [{ "line_id": "1", "sku": "A", "quantity": 1, "unit_price": 1 }],
        }),
        "order_annotated" => json!({ "order_id": order_id, "notes": "x".repeat(2000) }),
        _ => json!({ "order_id": order_id }),
    };
    let entry = json!({
        "version": version, "recorded_at": format!("2026-11-23T10:{minute:02}:00Z"),
        "event_id": format!("0199d3a0-0000-7000-8000-{:012}", version), "type": event_type, "schema_version": 2,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r", "request_hash": "5e8c24a0b1d39f70", "data": data,
    });
    RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

fn customer(order_id: &str) -> String {
    format!("c-{}", &order_id[order_id.len() - 1..])
}

impl FakeFeed {
    /// A feed whose store fails.
    pub(super) fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }

    /// A feed of three events: `o-1` is created, `o-2` is created, and then `o-1` is confirmed.
    pub(super) fn of_two_orders() -> Self {
        let feed = Self::default();
        feed.append(event("o-1", 1, "order_created", 1));
        feed.append(event("o-2", 1, "order_created", 2));
        feed.append(event("o-1", 2, "order_confirmed", 3));
        feed
    }

    pub(super) fn append(&self, event: RecordedEvent) {
        let mut log = self.log.lock().unwrap();
        log.push(event);
        self.length.send_replace(log.len());
    }

    /// How many readers are waiting for new events.
    pub(super) fn waiters(&self) -> usize {
        self.length.receiver_count()
    }

    fn len(&self) -> u64 {
        self.log.lock().unwrap().len() as u64
    }

    /// Up to `count` events after a position, each with its own position.
    fn after(&self, position: u64, count: usize) -> Vec<(u64, RecordedEvent)> {
        let log = self.log.lock().unwrap();
        let later = log.iter().skip(position as usize).take(count).cloned();
        (position + 1..).zip(later).collect()
    }
}

fn passes(filter: &FeedFilter, event: &RecordedEvent) -> bool {
    let of_customer =
        |wanted: &domain::CustomerId| wanted.as_str() == customer(event.envelope.order_id.as_str());
    let of_type = filter.types.is_empty() || filter.types.contains(&event.envelope.event.event_type());
    of_type && filter.customer_id.as_ref().is_none_or(of_customer)
}

fn at(position: u64) -> FeedCursor {
    FeedCursor(vec![position])
}

#[async_trait]
impl EventFeed for FakeFeed {
    async fn start(&self, from: FeedStart) -> anyhow::Result<FeedCursor> {
        Ok(at(match from {
            FeedStart::Oldest => 0,
            FeedStart::Latest => self.len(),
            FeedStart::At(time) => {
                let log = self.log.lock().unwrap();
                log.iter().take_while(|event| event.recorded_at < time).count() as u64
            }
        }))
    }

    async fn read(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        limit: usize,
    ) -> Result<FeedPage, FeedError> {
        self.reads.fetch_add(1, SeqCst);
        if self.broken {
            return Err(anyhow::anyhow!("secret: the disk at /dev/sda is gone").into());
        }
        let after = after.0[0];
        if after > self.len() {
            return Err(FeedError::UnknownCursor);
        }
        if after < self.expired.load(SeqCst) {
            return Err(FeedError::Expired);
        }
        let (mut events, mut next) = (Vec::new(), after);
        for (position, event) in self.after(after, EXAMINED) {
            if events.len() == limit {
                break;
            }
            next = position;
            if passes(filter, &event) {
                events.push(FeedEvent { position: position.to_string(), cursor: at(next), event });
            }
        }
        let is_last = next == self.len();
        Ok(FeedPage { events, next: at(next), is_last })
    }

    async fn wait(&self, filter: &FeedFilter, after: &FeedCursor, until: Instant) -> FeedCursor {
        let mut length = self.length.subscribe();
        let mut place = after.0[0];
        loop {
            length.borrow_and_update();
            for (position, event) in self.after(place, usize::MAX) {
                if passes(filter, &event) {
                    return at(place);
                }
                place = position;
            }
            if timeout_at(until, length.changed()).await.is_err() {
                return at(place);
            }
        }
    }
}
