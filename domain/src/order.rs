//! The order that readers see, folded from its recorded events.

use serde::{Deserialize, Serialize};

use crate::envelope::RecordedEvent;
use crate::event::{Created, Event, EventType, Paid, Shipped};
use crate::ids::{CustomerId, OrderId};
use crate::json;
use crate::lifecycle::{self, State, Status};
use crate::money::{Amount, Currency, LineItems};
use crate::value::{Metadata, Timestamp};

/// An order as of its latest recorded event: what is projected for readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Where it stands.
    pub status: Status,
    /// How many events are recorded; 1 after `order_created`.
    pub version: u64,
    /// The currency of every amount.
    pub currency: Currency,
    /// What is ordered.
    pub items: LineItems,
    /// What it costs.
    pub total: Amount,
    /// The client's own notes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The payment, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Paid>,
    /// The shipment, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<Shipped>,
    /// The time of the first event.
    pub created_at: Timestamp,
    /// The time of the latest event.
    pub updated_at: Timestamp,
    /// When the latest event was recorded; `None` in what earlier builds projected. The next one is not recorded before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
}

/// Why a log cannot be folded. A log that this service wrote always can: this is corruption, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event_type} at version {version} does not fit: {why}")]
pub struct FoldError {
    /// The version of the event that does not fit.
    pub version: u64,
    /// Its type.
    pub event_type: EventType,
    /// What is wrong with it.
    pub why: String,
}

impl Order {
    /// The order after `event`, given the order before it: `None` before the first.
    pub fn apply(before: Option<Self>, event: &RecordedEvent) -> Result<Self, FoldError> {
        let event_type = event.envelope.event.event_type();
        let fail = |why: String| FoldError { version: event.version, event_type, why };

        let expected = before.as_ref().map_or(1, |order| order.version.saturating_add(1));
        if event.version != expected {
            return Err(fail(format!("version {expected} was expected")));
        }
        let state = before.as_ref().map_or(State::None, Order::state);
        let status = lifecycle::next(state, event_type)
            .and_then(State::status)
            .ok_or_else(|| fail(format!("the order is {state}")))?;

        match (before, &event.envelope.event) {
            (None, Event::Created(created)) => Ok(Self::created(event, created, status)),
            (Some(order), _) if order.order_id != event.envelope.order_id => {
                Err(fail(format!("it is about order {}", event.envelope.order_id)))
            }
            (Some(order), other) => Ok(order.advanced(event, other, status)),
            (None, _) => Err(fail("the order does not exist".to_owned())),
        }
    }

    /// The order after all of `events`, or `None` if there are none.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Result<Option<Self>, FoldError> {
        events.into_iter().try_fold(None, |before, event| Self::apply(before, event).map(Some))
    }

    /// The order as JSON.
    pub fn encode(&self) -> Vec<u8> {
        json::of_order(self)
    }

    /// Where the order stands, as the rules see it.
    pub fn state(&self) -> State {
        match self.status {
            Status::Cancelled if self.payment.is_some() => State::CancelledPaid,
            status => State::Is(status),
        }
    }

    fn created(event: &RecordedEvent, created: &Created, status: Status) -> Self {
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

    fn advanced(mut self, recorded: &RecordedEvent, event: &Event, status: Status) -> Self {
        match event {
            Event::Amended(amended) => {
                self.total = amended.items.total();
                self.items = amended.items.clone();
            }
            Event::Paid(paid) => self.payment = Some(paid.clone()),
            Event::Shipped(shipped) => self.shipment = Some(shipped.clone()),
            // These change the status and nothing else; a second creation is not in the table.
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
}
