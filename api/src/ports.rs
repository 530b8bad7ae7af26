//! The ports of the API: traits for publishing accepted events, reading orders and checking health. `infra` implements
//! them, and handlers reach `infra` only through them.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AsOf, CustomerId, Envelope, EventId, Order, OrderId, Outcome, Past, Receipt, RecordedEvent, Reference,
};
use tokio::time::{Instant, sleep_until};

pub use crate::shared_order::SharedOrder;
pub use find::{FindError, MAX_ORDERS_SCANNED, OrderFilter, OrderList, OrderPosition, OrderSort};

pub mod backup;
pub mod export;
pub mod feed;
pub mod fence;
mod find;
pub mod webhooks;

/// How many events are read at a time to fold a past state of an order.
pub const EVENTS_PER_READ: usize = 50;

/// Stores accepted events durably, either on the queue or with an inline commit in the order log.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes `events` and returns one result for each, in the same order. `Ok` means that the event is durable, so
    /// that it survives a crash. An event whose id was published before is also `Ok` and changes nothing.
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>>;
}

/// How an event was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// This call accepted the event. If the queue cannot be searched ([`OrderReader::sees_queued`]), a repeated id is
    /// reported as new, too.
    New,
    /// An event with this id was published before, perhaps by a concurrent request and perhaps with other content.
    Repeated,
}

/// The reason why an event was not accepted. For all reasons except [`PublishError::Unknown`], nothing of the event was
/// stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The queue accepts nothing at the moment, because it is full or its disk is nearly full. Clients may try again
    /// later.
    #[error("the queue is full: {0}")]
    Full(String),
    /// The event is too large for the queue. Clients must not try again.
    #[error("the event has {bytes} bytes, and the queue accepts at most {limit}")]
    TooLarge {
        /// The size of the encoded event, in bytes.
        bytes: usize,
        /// The maximum size that the queue accepts, in bytes.
        limit: usize,
    },
    /// The queue refused the event, or could not be reached. The event was certainly not accepted, so clients may try
    /// again.
    #[error("the queue is not available")]
    NotAccepted(#[source] anyhow::Error),
    /// The outcome is unknown: a failure occurred while the event was being sent or written, so it may have been
    /// accepted.
    #[error("it is unknown whether the event was accepted")]
    Unknown(#[source] anyhow::Error),
}

/// Reads orders, their logs and receipts. All reads return everything that was recorded before they began, except
/// [`OrderReader::find_orders`], which may lag on some backends.
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// The order, or `None` if none of its events is recorded.
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>>;

    /// Up to `limit` events of the order's log whose version is greater than `after`, oldest first.
    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>>;

    /// A past state of the order. `None` if the order did not exist at that time or does not have that version.
    ///
    /// The default implementation reads the log page by page, which may take long. If reading a log takes mainly
    /// processor time, as with the embedded engine, the backend should limit how many of these reads run concurrently.
    /// None of them should run on the threads that serve connections.
    async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        let mut past = Past::new(as_of);
        while !past.is_complete() {
            let events = self.events(order_id, past.version(), EVENTS_PER_READ).await?;
            events.iter().try_for_each(|event| past.apply(event))?;
            if events.len() < EVENTS_PER_READ {
                break;
            }
        }
        Ok(past.order())
    }

    /// The receipt of an event, or `None` if no event `event_id` was accepted for the order. If
    /// [`sees_queued`](Self::sees_queued) is false, `None` may also mean that the event is still on the queue.
    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>>;

    /// The receipt of an event that an earlier request may have proposed under the same idempotency key. Like
    /// [`receipt`](Self::receipt), but a backend may miss what was recorded within the last seconds, where that is cheaper
    /// and the consumer recognizes repetitions anyway.
    async fn earlier_receipt(
        &self,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<Receipt>> {
        self.receipt(order_id, event_id).await
    }

    /// The receipts of the order's events that were rejected, in the order of the events' ids. The list begins after the event
    /// `after`, and a page examines up to `limit` receipts.
    async fn rejections(
        &self,
        order_id: &OrderId,
        after: Option<EventId>,
        limit: usize,
    ) -> anyhow::Result<RejectionList>;

    /// Whether [`receipt`](Self::receipt) finds events that are still on the queue.
    ///
    /// Some queues cannot be searched, and storing each accepted event elsewhere would cost one more write. With such a
    /// queue, the link in a `202` contains the event's type (`?type=order_paid`). Until the event has an outcome, a
    /// request with this link returns the state `accepted`.
    fn sees_queued(&self) -> bool {
        true
    }

    /// The customer of the order that a queued event creates. Returns `None` if the event is not on the queue, or if
    /// the queue cannot be searched.
    async fn creates_for(
        &self,
        _order_id: &OrderId,
        _event_id: EventId,
    ) -> anyhow::Result<Option<CustomerId>> {
        Ok(None)
    }

    /// Waits until the event has an outcome, but no longer than until `until`, and returns its receipt.
    ///
    /// The default implementation polls with growing pauses. A backend that is notified of outcomes should override it.
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

    /// Up to `limit` orders that pass the filter, in the order of [`OrderFilter::sort`], starting after `after`.
    async fn find_orders(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> Result<OrderList, FindError>;

    /// The order whose reference is `reference`.
    async fn order_by_reference(&self, reference: &Reference) -> Result<Option<OrderSnapshot>, FindError>;
}

/// A page of the receipts of rejected events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RejectionList {
    /// The receipts. There may be fewer than requested, or none, because receipts with another outcome are left out.
    pub receipts: Vec<Receipt>,
    /// The event after which the next page begins. `None` on the last page.
    pub next: Option<EventId>,
}

impl RejectionList {
    /// The page of these receipts, of which each was examined. `is_full` means that more may follow.
    pub fn of(examined: Vec<Receipt>, is_full: bool) -> Self {
        let next = examined.last().filter(|_| is_full).map(|receipt| receipt.event_id);
        let is_rejected = |receipt: &Receipt| matches!(receipt.outcome, Some(Outcome::Rejected { .. }));
        Self { receipts: examined.into_iter().filter(is_rejected).collect(), next }
    }
}

/// An order, together with the number of its parked events. The order log does not contain this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSnapshot {
    /// The order.
    pub order: SharedOrder,
    /// The number of events of the order in the dead letters, up to [`MAX_PARKED`].
    pub parked: u64,
}

/// The maximum number of parked events that are counted for an order.
pub const MAX_PARKED: usize = 100;

/// Reports whether the service is ready. An `Err` is the reason, in a sentence for operators.
#[async_trait]
pub trait Health: Send + Sync {
    /// Whether orders can be read. If they cannot, the service should get no requests.
    async fn ready(&self) -> Result<(), String>;

    /// Whether new events can be accepted. If they cannot, accepted events are still processed, and orders can be read.
    /// By default, this equals [`ready`](Self::ready).
    async fn accepts(&self) -> Result<(), String> {
        self.ready().await
    }
}
