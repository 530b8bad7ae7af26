//! Applies recorded events to an order. The consumer and everything that reads a log use this module.

use crate::event::{Amended, Cancelled, Created, Delivered, Shipped};
use crate::event_kinds::{Event, EventType};
use crate::fold_money::{authorize, capture, refund, void};
use crate::fold_returns::{request_return, take_back};
use crate::judge::judge_event;
use crate::lines::LineQuantities;
use crate::money::Amount;
use crate::order::Order;
use crate::order_line::{LineFinder, OrderLine, line_ids, line_quantities, units};
use crate::parcels::{Hold, Shipment, ShipmentState, free_number};
use crate::recorded::RecordedEvent;
use crate::status::OrderStatus;

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

impl FoldError {
    fn of(recorded: &RecordedEvent, why: String) -> Self {
        Self { version: recorded.version, event_type: recorded.envelope.event.event_type(), why }
    }
}

/// Checks that the event follows `previous` in the log of the same order.
fn check_place(previous: Option<&Order>, recorded: &RecordedEvent) -> Result<(), FoldError> {
    let expected = previous.map_or(1, |order| order.version.saturating_add(1));
    if recorded.version != expected {
        return Err(FoldError::of(recorded, format!("version {expected} was expected")));
    }
    let order_id = &recorded.envelope.order_id;
    match previous.filter(|order| order.order_id != *order_id) {
        Some(_) => Err(FoldError::of(recorded, format!("it belongs to order {order_id}"))),
        None => Ok(()),
    }
}

impl Order {
    /// Returns the order after `event`. `previous` is the order before `event`, or `None` for the first event.
    pub fn apply(previous: Option<Self>, recorded: &RecordedEvent) -> Result<Self, FoldError> {
        check_place(previous.as_ref(), recorded)?;
        let judged = judge_event(previous.as_ref(), &recorded.envelope.event);
        judged.map_err(|failure| FoldError::of(recorded, failure.detail))?;
        Self::advance(previous, recorded)
    }

    /// Like [`Order::apply`], for an event that was just judged to be legal for `previous`. The guards of the event are
    /// not checked again.
    pub fn apply_judged(previous: Option<Self>, recorded: &RecordedEvent) -> Result<Self, FoldError> {
        check_place(previous.as_ref(), recorded)?;
        Self::advance(previous, recorded)
    }

    fn advance(previous: Option<Self>, recorded: &RecordedEvent) -> Result<Self, FoldError> {
        let event = &recorded.envelope.event;
        let mut order = match (previous, event) {
            (None, Event::Created(created)) => return Ok(Self::created(recorded, created)),
            (Some(order), _) => order,
            (None, _) => return Err(FoldError::of(recorded, "the order does not exist".to_owned())),
        };
        order.change(event);
        order.version = recorded.version;
        order.updated_at = recorded.envelope.timestamp;
        order.recorded_at = Some(recorded.recorded_at);
        order.derive();
        Ok(order)
    }

    /// The order after all `events`, or `None` if there are none.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Result<Option<Self>, FoldError> {
        events.into_iter().try_fold(None, |order, event| Self::apply(order, event).map(Some))
    }

    fn created(event: &RecordedEvent, created: &Created) -> Self {
        let at = event.envelope.timestamp;
        Self {
            order_id: event.envelope.order_id.clone(),
            customer_id: created.customer_id.clone(),
            status: OrderStatus::Pending,
            version: event.version,
            currency: created.currency,
            items: created.items.lines().iter().map(OrderLine::from).collect(),
            total: created.total,
            metadata: created.metadata.clone(),
            adjustments: created.adjustments.clone(),
            reference: created.reference.clone(),
            contact: created.contact.clone(),
            notes: created.notes.clone(),
            expires_at: created.expires_at,
            ship_unpaid: created.ship_unpaid,
            confirmed: false,
            payments: Vec::new(),
            settled_by_payment: false,
            refunds: Vec::new(),
            settled_by_refund: false,
            shipments: Vec::new(),
            returns: Vec::new(),
            holds: Vec::new(),
            created_at: at,
            updated_at: at,
            recorded_at: Some(event.recorded_at),
        }
    }

    /// The size of the order's JSON after `event`, in bytes.
    pub(crate) fn size_after(&self, event: &Event) -> usize {
        let mut after = self.clone();
        after.change(event);
        after.encode().len()
    }

    /// Changes the counters. The guards have already checked that the order has the units and amounts that the event
    /// needs.
    fn change(&mut self, event: &Event) {
        match event {
            // The guards refuse a second `order_created` event.
            Event::Created(_) => {}
            Event::Amended(amended) => self.amend(amended),
            Event::Annotated(annotated) => {
                if let Ok(metadata) = annotated.metadata.apply(&self.metadata) {
                    self.metadata = metadata;
                }
                if annotated.notes.is_some() {
                    self.notes.clone_from(&annotated.notes);
                }
            }
            Event::Confirmed(_) => self.confirmed = true,
            Event::Held(held) => {
                self.holds.push(Hold { hold: held.hold.clone(), reason: held.reason.clone() });
            }
            Event::Released(released) => self.holds.retain(|hold| hold.hold != released.hold),
            Event::PaymentAuthorized(authorized) => authorize(self, authorized),
            Event::PaymentVoided(voided) => void(self, voided),
            Event::Paid(paid) => capture(self, paid),
            Event::Shipped(shipped) => self.ship(shipped),
            Event::Delivered(delivered) => self.deliver(delivered),
            Event::Cancelled(cancelled) => self.cancel(cancelled),
            Event::ReturnRequested(requested) => request_return(self, requested),
            Event::Returned(returned) => take_back(self, returned),
            Event::Refunded(refunded) => refund(self, refunded),
        }
    }

    /// Derives the total and the status. The guards keep the total within the range of an [`Amount`].
    pub(crate) fn derive(&mut self) {
        let total = i64::try_from(self.derived_total()).unwrap_or(Amount::MAX).min(Amount::MAX);
        self.total = Amount::parse(total).unwrap_or(Amount::ZERO);
        self.status = self.derived_status();
    }

    /// Replaces the parts that the amendment contains. A new line keeps the counters of the previous line with the same
    /// id.
    pub(crate) fn amend(&mut self, amended: &Amended) {
        let before = self.derived_total();
        if let Some(items) = &amended.items {
            let mut lines: Vec<OrderLine> = items.lines().iter().map(OrderLine::from).collect();
            if self.items.iter().any(|line| line.cancelled + line.shipped > 0) {
                let mut finder = LineFinder::new(&lines);
                let same: Vec<_> = line_ids(&self.items).map(|id| finder.find(&id)).collect();
                for (same, earlier) in same.into_iter().zip(&self.items) {
                    if let Some(line) = same.and_then(|index| lines.get_mut(index)) {
                        let OrderLine { cancelled, shipped, delivered, returned, .. } = *earlier;
                        *line = OrderLine { cancelled, shipped, delivered, returned, ..line.clone() };
                    }
                }
            }
            self.items = lines;
        }
        if let Some(adjustments) = &amended.adjustments {
            self.adjustments.clone_from(adjustments);
        }
        if amended.contact.is_some() {
            self.contact.clone_from(&amended.contact);
        }
        if amended.reference.is_some() {
            self.reference.clone_from(&amended.reference);
        }
        self.settled_by_payment &= self.derived_total() == before;
    }

    fn ship(&mut self, shipped: &Shipped) {
        let units = units(&self.items, shipped.items.as_ref().map(LineQuantities::lines), OrderLine::left)
            .unwrap_or_default();
        let items = line_quantities(&self.items, &units);
        units.iter().for_each(|(index, count)| self.items[*index].shipped += count);
        self.shipments.push(Shipment {
            shipment_id: shipped.shipment_id.clone().unwrap_or_else(|| {
                free_number(self.shipments.len(), |id| self.shipments.iter().any(|it| it.shipment_id == *id))
            }),
            carrier: shipped.carrier.clone(),
            tracking_number: shipped.tracking_number.clone(),
            items,
            state: ShipmentState::Shipped,
        });
    }

    fn deliver(&mut self, delivered: &Delivered) {
        for shipment in &mut self.shipments {
            let is_meant = delivered.shipment_id.as_ref().is_none_or(|id| *id == shipment.shipment_id);
            if shipment.state == ShipmentState::Delivered || !is_meant {
                continue;
            }
            shipment.state = ShipmentState::Delivered;
            let units = units(&self.items, Some(&shipment.items), OrderLine::in_transit).unwrap_or_default();
            units.into_iter().for_each(|(index, count)| self.items[index].delivered += count);
        }
    }

    fn cancel(&mut self, cancelled: &Cancelled) {
        let units = units(&self.items, cancelled.items.as_ref().map(LineQuantities::lines), OrderLine::left)
            .unwrap_or_default();
        units.into_iter().for_each(|(index, count)| self.items[index].cancelled += count);
    }
}
