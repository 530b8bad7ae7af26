//! The order that readers see: the fold of its recorded events. The consumer projects it, and the API shows it.

use serde::{Deserialize, Serialize};

use crate::event::{Created, Paid, Shipped};
use crate::event_kinds::{Event, EventType};
use crate::ids::{CustomerId, OrderId};
use crate::json::JsonWriter;
use crate::lifecycle::{self, OrderState, OrderStatus};
use crate::money::{Amount, Currency, LineItems};
use crate::recorded::RecordedEvent;
use crate::value::{Metadata, Timestamp};

/// An order after its latest recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order.
    pub order_id: OrderId,
    /// The customer who placed the order.
    pub customer_id: CustomerId,
    /// The status that readers see.
    pub status: OrderStatus,
    /// The number of recorded events; 1 after `order_created`.
    pub version: u64,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The ordered lines.
    pub items: LineItems,
    /// The price of the order.
    pub total: Amount,
    /// Notes of the client.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The payment; `None` until the order is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Paid>,
    /// The shipment; `None` until the order is shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<Shipped>,
    /// The timestamp of the first event.
    pub created_at: Timestamp,
    /// The timestamp of the latest event.
    pub updated_at: Timestamp,
    /// When the latest event was recorded; no later event has an earlier time. `None` in projections of older versions of this
    /// program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
}

/// Why a log cannot be folded. This service only writes logs that can be folded, so the cause is corruption or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event_type} at version {version} does not fit: {why}")]
pub struct FoldError {
    /// The version of the event that does not fit the order.
    pub version: u64,
    /// The type of the event.
    pub event_type: EventType,
    /// Why the event does not fit the order.
    pub why: String,
}

impl Order {
    /// The order after `event`. `previous` is the order before `event`; `None` for the first event.
    pub fn apply(previous: Option<Self>, event: &RecordedEvent) -> Result<Self, FoldError> {
        let event_type = event.envelope.event.event_type();
        let fail = |why: String| FoldError { version: event.version, event_type, why };

        let expected = previous.as_ref().map_or(1, |order| order.version.saturating_add(1));
        if event.version != expected {
            return Err(fail(format!("version {expected} was expected")));
        }
        let state = previous.as_ref().map_or(OrderState::None, Order::state);
        let status = lifecycle::next(state, event_type)
            .and_then(OrderState::status)
            .ok_or_else(|| fail(format!("the order is {state}")))?;

        match (previous, &event.envelope.event) {
            (None, Event::Created(created)) => Ok(Self::created(event, created, status)),
            (Some(order), _) if order.order_id != event.envelope.order_id => {
                Err(fail(format!("it is about order {}", event.envelope.order_id)))
            }
            (Some(order), other) => Ok(order.advanced(event, other, status)),
            (None, _) => Err(fail("the order does not exist".to_owned())),
        }
    }

    /// The order after all `events`; `None` if there are none.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Result<Option<Self>, FoldError> {
        events.into_iter().try_fold(None, |order, event| Self::apply(order, event).map(Some))
    }

    /// The order as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = JsonWriter::new();
        self.write(&mut json);
        json.into_bytes()
    }

    /// The state that the rules depend on.
    pub fn state(&self) -> OrderState {
        match self.status {
            OrderStatus::Cancelled if self.payment.is_some() => OrderState::CancelledPaid,
            status => OrderState::Is(status),
        }
    }

    fn created(event: &RecordedEvent, created: &Created, status: OrderStatus) -> Self {
        let at = event.envelope.timestamp;
        Self {
            order_id: event.envelope.order_id.clone(),
            customer_id: created.customer_id.clone(),
            status,
            version: event.version,
            currency: created.currency,
            items: created.items.clone(),
            total: created.total,
            metadata: created.metadata.clone(),
            payment: None,
            shipment: None,
            created_at: at,
            updated_at: at,
            recorded_at: Some(event.recorded_at),
        }
    }

    fn advanced(mut self, recorded: &RecordedEvent, event: &Event, status: OrderStatus) -> Self {
        match event {
            Event::Amended(amended) => {
                self.total = amended.items.total();
                self.items = amended.items.clone();
            }
            Event::Paid(paid) => self.payment = Some(paid.clone()),
            Event::Shipped(shipped) => self.shipment = Some(shipped.clone()),
            // These events change only the status. The table has no second creation.
            Event::Created(_)
            | Event::Confirmed(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::Returned(_)
            | Event::Refunded(_) => {}
        }
        self.status = status;
        self.version = recorded.version;
        self.updated_at = recorded.envelope.timestamp;
        self.recorded_at = Some(recorded.recorded_at);
        self
    }

    fn write(&self, json: &mut JsonWriter) {
        json.raw(r#"{"order_id":"#);
        json.plain(self.order_id.as_str());
        json.raw(r#","customer_id":"#);
        json.text(self.customer_id.as_str());
        json.raw(r#","status":"#);
        json.plain(self.status.as_str());
        json.raw(r#","version":"#);
        json.value(&self.version);
        json.raw(r#","currency":"#);
        json.plain(self.currency.as_str());
        json.raw(r#","items":"#);
        json.lines(self.items.lines());
        json.raw(r#","total":"#);
        json.value(&self.total);
        let metadata = Some(&self.metadata).filter(|metadata| !metadata.is_empty());
        json.optional(r#","metadata":"#, metadata);
        json.optional(r#","payment":"#, self.payment.as_ref());
        json.optional(r#","shipment":"#, self.shipment.as_ref());
        json.raw(r#","created_at":"#);
        json.time(self.created_at);
        json.raw(r#","updated_at":"#);
        json.time(self.updated_at);
        if let Some(recorded_at) = self.recorded_at {
            json.raw(r#","recorded_at":"#);
            json.time(recorded_at);
        }
        json.raw("}");
    }
}
