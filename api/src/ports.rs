//! What the API needs from the outside: somewhere to publish accepted events, and the orders to read.
//!
//! `infra` implements these; a handler sees nothing else of it.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AsOf, CustomerId, Envelope, EventId, Order, OrderId, Past, Receipt, RecordedEvent, Status, Timestamp,
};
use tokio::time::{Instant, sleep_until};

/// How many events are read together to fold an order as it was.
pub const EVENTS_AT_ONCE: usize = 50;

/// Takes events for good: puts them on the durable queue, or records them right away where it can.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes `events`, each with its own result, in the same order. `Ok` means that the event is durable: it
    /// survives a crash from here on. An event whose id was published before is `Ok` too, and changes nothing.
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Published, PublishError>>;
}

/// How an event became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// By this call. A queue that cannot be looked into ([`OrderReader::sees_waiting`]) reports this for a repeated id too.
    New,
    /// An event with its id was published before, perhaps a moment ago by another request, and perhaps with other content.
    Repeated,
}

/// Why an event is not known to be accepted. All but [`PublishError::Unknown`] mean that nothing was stored of it.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The queue takes nothing more for now: it is full, or its disk is nearly so. Clients may try again later.
    #[error("the queue is full: {0}")]
    Full(String),
    /// The event is larger than the queue takes, now and ever. Clients must not try again.
    #[error("the event has {bytes} bytes, and the queue takes {limit}")]
    TooLarge {
        /// How large the event is, as it would be put on the queue.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The queue could not be reached or refused the event: it is proven that the event was not accepted. Clients may try
    /// again.
    #[error("the queue is not available")]
    NotAccepted(#[source] anyhow::Error),
    /// The event was on its way, or already written, when something failed: it may have been accepted or not.
    #[error("it is not known whether the event was accepted")]
    Unknown(#[source] anyhow::Error),
}

/// Reads orders, their logs and receipts. All reads see what was recorded before they began, but for
/// [`OrderReader::orders_of`], which may lag on some backends.
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// The order, or `None` if no event of it is recorded.
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>>;

    /// Up to `limit` events of the order's log with a version above `after`, oldest first.
    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>>;

    /// The order as it was; `None` if it did not exist then, or has not come that far.
    ///
    /// This reads the log page by page: it may be long. A backend whose reading takes the processor, and not the network,
    /// should let few of these run at the same time, and none on the threads that serve connections.
    async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        let mut past = Past::new(as_of);
        while !past.is_complete() {
            let events = self.events(order_id, past.version(), EVENTS_AT_ONCE).await?;
            events.iter().try_for_each(|event| past.apply(event))?;
            if events.len() < EVENTS_AT_ONCE {
                break;
            }
        }
        Ok(past.order())
    }

    /// Where the event stands, or `None` if no such event of this order was accepted. Where
    /// [`sees_waiting`](Self::sees_waiting) says no, `None` may also mean that it is still on the queue.
    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>>;

    /// Whether [`receipt`](Self::receipt) finds events that are still on the queue.
    ///
    /// Not every queue can be looked into. Where it cannot, remembering each accepted event elsewhere would cost a write
    /// per event; instead the link that a client gets with its `202` tells the event's type (`?type=order_paid`), and
    /// whoever holds that link is answered `accepted` until more is known.
    fn sees_waiting(&self) -> bool {
        true
    }

    /// The customer whose order the event would create, if it is on the queue and that can be looked into.
    async fn creates_for(
        &self,
        _order_id: &OrderId,
        _event_id: EventId,
    ) -> anyhow::Result<Option<CustomerId>> {
        Ok(None)
    }

    /// Where the event stands once it has an outcome, or at `until` if it has none by then.
    ///
    /// This looks again and again, ever more rarely; a backend that learns of outcomes by itself need not.
    async fn settled(
        &self,
        order_id: &OrderId,
        event_id: EventId,
        until: Instant,
    ) -> anyhow::Result<Option<Receipt>> {
        let mut pause = Duration::from_millis(20);
        loop {
            let receipt = self.receipt(order_id, event_id).await?;
            let has_outcome = receipt.as_ref().is_some_and(|receipt| receipt.outcome.is_some());
            if has_outcome || Instant::now() >= until {
                return Ok(receipt);
            }
            sleep_until(until.min(Instant::now() + pause)).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(1));
        }
    }

    /// Up to `limit` of the customer's orders that pass the filter, newest first, from behind `after` on.
    async fn orders_of(
        &self,
        customer_id: &CustomerId,
        filter: &ListFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList>;
}

/// Which of a customer's orders are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListFilter {
    /// Those that stand here.
    pub status: Option<Status>,
    /// Those created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Those created before this time.
    pub created_before: Option<Timestamp>,
}

impl ListFilter {
    /// Whether the filter lets the order through. The times are left to whoever reads the list in their order.
    pub fn passes(&self, order: &Order) -> bool {
        self.status.is_none_or(|status| status == order.status)
    }
}

/// How many orders are looked at for one page, whether they pass the filter or not.
pub const LOOKED_AT: usize = 1000;

/// A part of a customer's list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderList {
    /// The orders; fewer than asked for, or none, where many had to be looked at that do not pass.
    pub orders: Vec<OrderSnapshot>,
    /// Where the list goes on, if it does.
    pub next: Option<ListPosition>,
}

/// An order as readers see it, with what is known beside its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSnapshot {
    /// The order.
    pub order: Order,
    /// How many of its events are in the dead letters, up to [`MAX_PARKED`].
    pub parked: u64,
}

/// Up to how many events of an order in the dead letters are counted: there may be any number of them.
pub const MAX_PARKED: usize = 100;

/// A place in a customer's list of orders: right behind this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPosition {
    /// When that order was created, in microseconds since 1970 UTC.
    pub created_at_micros: i64,
    /// That order.
    pub order_id: OrderId,
}

/// Reports whether the service can do its work now. `Err` says what is wrong, in a sentence for operators.
#[async_trait]
pub trait Health: Send + Sync {
    /// Whether orders can be read: whether requests make sense here at all.
    async fn ready(&self) -> Result<(), String>;

    /// Whether new events can be accepted. While they cannot, what was accepted is still processed, and read.
    /// Unless a backend says otherwise, whenever orders can be read.
    async fn accepts(&self) -> Result<(), String> {
        self.ready().await
    }
}
