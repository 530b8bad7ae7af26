//! In-memory implementations of the API's ports, and a client of the router. Every test of this crate uses them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use api::AppState;
use api::ports::{
    Acceptance, EventPublisher, FindError, Health, OrderFilter, OrderList, OrderPosition, OrderReader,
    OrderSnapshot, OrderSort, PublishError, RejectionList,
};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use domain::{
    Currency, CustomerId, Envelope, EventId, Order, OrderId, Receipt, RecordedEvent, Reference, Timestamp,
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// How a call of `publish` ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum QueueBehaviour {
    Accepts,
    Full,
    Unavailable,
    /// The call fails after the event may have reached the queue.
    LosesAnswer,
    /// The call reports that an event with the same id was accepted before.
    Repeats,
    TooSmall,
    Hangs,
    Panics,
}

/// The event that created an order, as the first entry of the order's log.
pub(crate) fn created(order_id: &str, customer_id: &str) -> RecordedEvent {
    let entry = json!({
        "version": 1, "recorded_at": "2026-11-23T10:59:00Z", "event_id": "0199d3a0-0000-7000-8000-000000000001",
        "type": "order_created", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r",
        "data": {
            "order_id": order_id, "customer_id": customer_id, "currency": "EUR", "total": 1,
            "items": [{ "sku": "A", "quantity": 1, "unit_price": 1 }],
        },
    });
    RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

/// A fake of all ports of the API. `publish` stores the event in a vector, and reads return what the fields
/// contain.
pub(crate) struct FakePorts {
    pub(crate) published: Mutex<Vec<Envelope>>,
    /// The trace context of the last call to `publish`.
    pub(crate) trace: Mutex<Option<TraceContext>>,
    pub(crate) queue: QueueBehaviour,
    pub(crate) log: Vec<RecordedEvent>,
    pub(crate) receipt: Option<Receipt>,
    /// The number of the first lookup that finds the receipt, counted from 1.
    pub(crate) finds_receipts_from: usize,
    /// How often a receipt was looked up.
    pub(crate) lookups: AtomicUsize,
    pub(crate) sees_queued: bool,
    pub(crate) broken: bool,
    /// Whether the store can list only the orders of one customer, as a store without other indexes does.
    pub(crate) lists_customers_only: bool,
    pub(crate) searchable_metadata: &'static [&'static str],
}

impl Default for FakePorts {
    fn default() -> Self {
        Self {
            published: Mutex::default(),
            trace: Mutex::default(),
            queue: QueueBehaviour::Accepts,
            log: vec![],
            receipt: None,
            finds_receipts_from: 1,
            lookups: AtomicUsize::new(0),
            sees_queued: true,
            broken: false,
            lists_customers_only: false,
            searchable_metadata: &[],
        }
    }
}

impl FakePorts {
    pub(crate) fn published(&self) -> Vec<Envelope> {
        self.published.lock().unwrap().clone()
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.broken, "secret: the disk at /dev/sda is gone");
        Ok(())
    }

    /// One snapshot for each order in the log, newest first.
    fn orders(&self) -> Vec<OrderSnapshot> {
        let mut ids: Vec<_> = self.log.iter().map(|event| event.envelope.order_id.clone()).collect();
        ids.dedup();
        let fold = |id: &OrderId| Order::fold(self.log.iter().filter(|event| event.envelope.order_id == *id));
        let mut orders: Vec<_> = ids.iter().filter_map(|id| fold(id).unwrap()).collect();
        orders.sort_by_key(|order| std::cmp::Reverse((order.created_at.micros(), order.order_id.clone())));
        orders.into_iter().map(|order| OrderSnapshot { order: order.into(), parked: 2 }).collect()
    }
}

#[async_trait]
impl EventPublisher for FakePorts {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
        *self.trace.lock().unwrap() = trace::current();
        if self.queue == QueueBehaviour::Hangs {
            std::future::pending::<()>().await;
        }
        let result = |event: &Envelope| match self.queue {
            QueueBehaviour::Accepts | QueueBehaviour::Hangs => {
                self.published.lock().unwrap().push(event.clone());
                Ok(Acceptance::New)
            }
            QueueBehaviour::Repeats => Ok(Acceptance::Repeated),
            QueueBehaviour::LosesAnswer => {
                Err(PublishError::Unknown(anyhow::anyhow!("secret: the answer was lost")))
            }
            QueueBehaviour::Full => Err(PublishError::Full("secret: 0 bytes left".to_owned())),
            QueueBehaviour::Unavailable => {
                Err(PublishError::NotAccepted(anyhow::anyhow!("secret: no route to host")))
            }
            QueueBehaviour::TooSmall => Err(PublishError::TooLarge { bytes: 1_048_577, limit: 1_048_576 }),
            QueueBehaviour::Panics => panic!("secret: a bug"),
        };
        events.iter().map(result).collect()
    }
}

#[async_trait]
impl OrderReader for FakePorts {
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        self.check()?;
        Ok(self.orders().into_iter().find(|snapshot| snapshot.order.order_id == *order_id))
    }

    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        self.check()?;
        let of_order = |e: &&RecordedEvent| e.envelope.order_id == *order_id && e.version > after;
        Ok(self.log.iter().filter(of_order).take(limit).cloned().collect())
    }

    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        self.check()?;
        let lookup = self.lookups.fetch_add(1, SeqCst) + 1;
        let receipt = self.receipt.clone().filter(|_| lookup >= self.finds_receipts_from);
        Ok(receipt.filter(|receipt| receipt.order_id == *order_id && receipt.event_id == event_id))
    }

    async fn rejections(
        &self,
        order_id: &OrderId,
        after: Option<EventId>,
        limit: usize,
    ) -> anyhow::Result<RejectionList> {
        self.check()?;
        let of_order = self.receipt.iter().filter(|receipt| receipt.order_id == *order_id);
        let later = of_order.filter(|receipt| after.is_none_or(|after| receipt.event_id > after));
        let examined: Vec<_> = later.take(limit).cloned().collect();
        let is_full = examined.len() == limit;
        Ok(RejectionList::of(examined, is_full))
    }

    async fn creates_for(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<CustomerId>> {
        let published = self.published.lock().unwrap();
        let queued = published.iter().find(|event| event.order_id == *order_id && event.event_id == event_id);
        Ok(queued.and_then(|event| api::created_for(&event.encode())))
    }

    fn sees_queued(&self) -> bool {
        self.sees_queued
    }

    async fn find_orders(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> Result<OrderList, FindError> {
        self.check()?;
        if self.lists_customers_only && filter.customer_id.is_none() {
            return Err(FindError::NotConfigured("There is no index."));
        }
        let by_update = filter.sort() == OrderSort::LeastRecentlyUpdatedFirst;
        let position = |OrderSnapshot { order, .. }: &OrderSnapshot| {
            let at = if by_update { order.updated_at } else { order.created_at };
            OrderPosition { at_micros: at.micros(), order_id: order.order_id.clone() }
        };
        let key = |at: &OrderPosition| (at.at_micros, at.order_id.clone());
        let mut orders = self.orders();
        orders.sort_by_key(|snapshot| key(&position(snapshot)));
        if !by_update {
            orders.reverse();
        }
        let is_after = |snapshot: &OrderSnapshot| {
            after.is_none_or(|after| {
                (key(&position(snapshot)) > key(after)) == by_update && position(snapshot) != *after
            })
        };
        orders.retain(|snapshot| is_after(snapshot) && filter.passes(&snapshot.order));
        let more = orders.len() > limit;
        orders.truncate(limit);
        Ok(OrderList { next: orders.last().filter(|_| more).map(position), orders })
    }

    async fn order_by_reference(&self, reference: &Reference) -> Result<Option<OrderSnapshot>, FindError> {
        self.check()?;
        Ok(self.orders().into_iter().find(|snapshot| snapshot.order.reference.as_ref() == Some(reference)))
    }
}

#[async_trait]
impl Health for FakePorts {
    async fn ready(&self) -> Result<(), String> {
        if self.broken { Err("The store does not answer.".to_owned()) } else { Ok(()) }
    }

    async fn accepts(&self) -> Result<(), String> {
        if self.queue == QueueBehaviour::Full {
            Err("The disk has 0 MiB left.".to_owned())
        } else {
            self.ready().await
        }
    }
}

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Each listed error as its pointer or parameter and its code, such as `/items/0/sku required`.
    pub(crate) fn validation_errors(&self) -> Vec<String> {
        let body = self.json();
        let summary = |error: &Value| {
            let at = error.get("pointer").or(error.get("parameter")).unwrap();
            format!("{} {}", at.as_str().unwrap(), error["code"].as_str().unwrap())
        };
        body["errors"].as_array().into_iter().flatten().map(summary).collect()
    }

    /// Asserts that the answer is a complete problem of the given type and that it reveals no internals.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, problem: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["type"].as_str().unwrap()), (status, problem), "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["correlation_id"], self.header("x-correlation-id"));
        for member in ["title", "detail", "instance"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {body}");
        }
        assert!(!String::from_utf8_lossy(&self.body).contains("secret"), "{body}");
    }
}

pub(crate) fn state(fake: &Arc<FakePorts>) -> AppState {
    let clock = || Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
    let searchable = fake.searchable_metadata.iter().map(|key| (*key).to_owned()).collect();
    let searchable_metadata = Arc::new(searchable);
    AppState { clock, searchable_metadata, ..AppState::new(fake.clone(), fake.clone(), fake.clone()) }
}

pub(crate) fn router(fake: &Arc<FakePorts>) -> Router {
    api::router(state(fake))
}

pub(crate) async fn send(fake: &Arc<FakePorts>, request: Request<Body>) -> Answer {
    send_to(router(fake), request).await
}

pub(crate) async fn send_to(router: Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn get(fake: &Arc<FakePorts>, path: &str) -> Answer {
    send(fake, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(fake: &Arc<FakePorts>, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("content-type", "application/json").body(body.into()).unwrap();
    send(fake, request).await
}
