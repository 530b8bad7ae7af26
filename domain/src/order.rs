//! The order that readers see: counters, and the statuses derived from them. [`crate::fold`] applies events to the
//! order, the consumer projects it, and the API returns it.

use serde::{Deserialize, Serialize};

use crate::adjustments::{Adjustment, Adjustments};
use crate::contact::Contact;
use crate::event::Notes;
use crate::ids::{CustomerId, OrderId, Reference};
use crate::metadata::Metadata;
use crate::money::{Amount, Currency};
use crate::order_line::{LineFinder, OrderLine};
use crate::parcels::{Hold, Return, Shipment};
use crate::payments::{Payment, Refund};
use crate::status::{FulfilmentStatus, OrderStatus, PaymentStatus};
use crate::value::{Timestamp, is_false};

/// An order in the state after its latest recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The id of the order.
    pub order_id: OrderId,
    /// The customer who placed the order.
    pub customer_id: CustomerId,
    /// The status, derived from the counters.
    pub status: OrderStatus,
    /// The number of recorded events; 1 after `order_created`.
    pub version: u64,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The ordered lines with their counters.
    pub items: Vec<OrderLine>,
    /// The price of the order, which is derived from the counters ([`Order::derived_total`]).
    pub total: Amount,
    /// Key-value data of the client.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Discounts, shipping, taxes and fees.
    #[serde(default, skip_serializing_if = "Adjustments::is_empty")]
    pub adjustments: Adjustments,
    /// The client's own number of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// How to reach the customer, and where to send the goods and the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<Contact>>,
    /// Notes for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// When the service proposes to cancel the order if it is still unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the order may be shipped before it is paid.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ship_unpaid: bool,
    /// Whether the merchant confirmed the order.
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirmed: bool,
    /// The payments, in the order of their creation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<Payment>,
    /// Whether the order counts as paid in full because an event of schema version 0 or 1 reported that. An amendment
    /// that changes the price resets this flag.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settled_by_payment: bool,
    /// The refunds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<Refund>,
    /// Whether the order counts as refunded in full because an event of schema version 0 or 1 reported that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settled_by_refund: bool,
    /// The shipments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<Shipment>,
    /// The returns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Return>,
    /// The holds that are not released yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// The timestamp of the first event.
    pub created_at: Timestamp,
    /// The timestamp of the latest event.
    pub updated_at: Timestamp,
    /// When the latest event was recorded. Recording times never decrease along a log. `None` in projections that older
    /// versions of this program stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
}

/// The numbers of units, summed over all lines of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Units {
    /// Ordered units.
    pub ordered: u64,
    /// Cancelled units.
    pub cancelled: u64,
    /// Shipped units.
    pub shipped: u64,
    /// Delivered units.
    pub delivered: u64,
    /// Returned units.
    pub returned: u64,
}

impl Units {
    /// Units that can still be shipped or cancelled.
    pub fn left(self) -> u64 {
        self.ordered.saturating_sub(self.cancelled).saturating_sub(self.shipped)
    }

    /// Units that are not cancelled.
    pub fn active(self) -> u64 {
        self.ordered.saturating_sub(self.cancelled)
    }
}

/// The amounts of money, summed over all payments of an order, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Money {
    /// The amount that is authorized and not voided, including what is already captured.
    pub authorized: i64,
    /// The captured amount.
    pub captured: i64,
    /// The refunded amount.
    pub refunded: i64,
    /// Total − captured + refunded. A positive balance is due from the customer, and a negative balance is owed to the
    /// customer. For an order that counts as paid in full, the balance is never positive. For an order that counts as
    /// refunded in full, the balance is 0.
    pub balance: i64,
}

impl Order {
    /// Whether the stored status or total contradicts the counters. Only a program of schema version 1, which had no
    /// counters, stored such projections. The order must then be folded again from its log.
    pub fn lacks_counters(&self) -> bool {
        self.status != self.derived_status() || i128::from(self.total.minor()) != self.derived_total()
    }

    /// The numbers of units, summed over all lines.
    pub fn units(&self) -> Units {
        self.items.iter().fold(Units::default(), |sum, line| Units {
            ordered: sum.ordered + u64::from(line.quantity.get()),
            cancelled: sum.cancelled + u64::from(line.cancelled),
            shipped: sum.shipped + u64::from(line.shipped),
            delivered: sum.delivered + u64::from(line.delivered),
            returned: sum.returned + u64::from(line.returned),
        })
    }

    /// The amounts, summed over all payments. The guards keep each sum within the range of an [`Amount`].
    pub fn money(&self) -> Money {
        let sum = |amount: fn(&Payment) -> i64| self.payments.iter().map(amount).fold(0, i64::saturating_add);
        let authorized = sum(|payment| match payment.voided {
            true => 0,
            false => payment.authorized.map_or(0, Amount::minor),
        });
        let captured = sum(|payment| payment.captured.minor());
        let refunded = sum(|payment| payment.refunded.minor());
        let balance = match self.total.minor() - captured + refunded {
            _ if self.settled_by_refund => 0,
            balance if self.settled_by_payment => balance.min(0),
            balance => balance,
        };
        Money { authorized, captured, refunded, balance }
    }

    /// The amount that is authorized and not captured.
    pub fn capturable(&self) -> i64 {
        self.payments.iter().map(Payment::capturable).fold(0, i64::saturating_add)
    }

    /// Whether the total is captured or authorized. Refunded amounts do not count.
    pub fn is_covered(&self) -> bool {
        let Money { captured, refunded, .. } = self.money();
        self.settled_by_payment || captured - refunded + self.capturable() >= self.total.minor()
    }

    /// The payment status that follows from the counters.
    pub fn payment_status(&self) -> PaymentStatus {
        let Money { captured, refunded, .. } = self.money();
        let total = self.total.minor();
        if self.settled_by_refund || (refunded > 0 && refunded == captured) {
            PaymentStatus::Refunded
        } else if refunded > 0 {
            PaymentStatus::PartiallyRefunded
        } else if captured > total {
            PaymentStatus::Overpaid
        } else if self.settled_by_payment || (captured > 0 && captured == total) {
            PaymentStatus::Paid
        } else if captured > 0 {
            PaymentStatus::PartiallyPaid
        } else if self.capturable() > 0 {
            PaymentStatus::Authorized
        } else if total == 0 && self.units().active() > 0 {
            PaymentStatus::Paid
        } else {
            PaymentStatus::Unpaid
        }
    }

    /// The fulfilment status that follows from the counters.
    pub fn fulfilment_status(&self) -> FulfilmentStatus {
        let units = self.units();
        match units {
            Units { returned: 1.., .. } if units.returned == units.active() => FulfilmentStatus::Returned,
            Units { returned: 1.., .. } => FulfilmentStatus::PartiallyReturned,
            Units { delivered: 1.., .. } if units.delivered == units.active() => FulfilmentStatus::Delivered,
            Units { delivered: 1.., .. } => FulfilmentStatus::PartiallyDelivered,
            Units { shipped: 1.., .. } if units.left() == 0 => FulfilmentStatus::Shipped,
            Units { shipped: 1.., .. } => FulfilmentStatus::PartiallyShipped,
            _ => FulfilmentStatus::Unfulfilled,
        }
    }

    /// The status that follows from the counters, which [`Order::status`] stores.
    pub(crate) fn derived_status(&self) -> OrderStatus {
        let (units, Money { captured, refunded, .. }) = (self.units(), self.money());
        let is_refunded = self.settled_by_refund || (refunded > 0 && refunded == captured);
        let kept = captured - refunded;
        let is_paid = self.settled_by_payment || (kept > 0 && kept >= self.total.minor());
        if units.left() == 0 && is_refunded {
            OrderStatus::Refunded
        } else if units.active() == 0 {
            OrderStatus::Cancelled
        } else if units.returned == units.active() {
            OrderStatus::Returned
        } else if units.delivered == units.active() {
            OrderStatus::Delivered
        } else if units.left() == 0 {
            OrderStatus::Shipped
        } else if units.shipped > 0 {
            OrderStatus::PartiallyShipped
        } else if !self.confirmed {
            OrderStatus::Pending
        } else if is_paid {
            OrderStatus::Paid
        } else {
            OrderStatus::Confirmed
        }
    }

    /// The price of the order: the remaining units of its lines, plus the adjustments, minus the refunds that were a
    /// concession. The price is never below 0. If every unit is cancelled, the price is 0.
    pub(crate) fn derived_total(&self) -> i128 {
        if self.units().active() == 0 {
            return 0;
        }
        let lines: i128 = self.items.iter().map(OrderLine::price).sum();
        let adjustments: i128 = self.adjustments.list().iter().map(|it| self.adjustment(it)).sum();
        let conceded: i128 = self
            .refunds
            .iter()
            .filter(|refund| refund.goodwill)
            .map(|refund| i128::from(refund.amount.minor()))
            .sum();
        (lines + adjustments - conceded).max(0)
    }

    /// The contribution of an adjustment to the total. An adjustment of the whole order contributes its amount. An
    /// adjustment of a line contributes in proportion to the remaining units of the line, rounded half away from zero.
    fn adjustment(&self, adjustment: &Adjustment) -> i128 {
        let amount = i128::from(adjustment.amount.minor());
        let Some(id) = &adjustment.line_id else { return amount };
        let found = LineFinder::new(&self.items).find(id.as_str());
        let Some(line) = found.map(|index| &self.items[index]) else { return 0 };
        let (remaining, quantity) = (i128::from(line.remaining()), i128::from(line.quantity.get()));
        let share = amount.abs() * remaining;
        amount.signum() * ((2 * share + quantity) / (2 * quantity))
    }

    /// When the service proposes to cancel the order: at `expires_at`, or `unpaid_age_micros` after its creation,
    /// whichever is earlier. `None` if something is captured, authorized or shipped, if nothing is due, or if nothing
    /// is left to ship. An order that may be shipped unpaid expires only at its own `expires_at`.
    pub fn deadline(&self, unpaid_age_micros: Option<i64>) -> Option<Timestamp> {
        let age = unpaid_age_micros.filter(|_| !self.ship_unpaid);
        let aged = age.and_then(|age| Timestamp::from_micros(self.created_at.micros().checked_add(age)?));
        // Every append calls this function, and most orders have no deadline. So the cheap check for a
        // deadline comes first.
        let deadline = self.expires_at.into_iter().chain(aged).min()?;
        let units = self.units();
        let is_open =
            self.payment_status() == PaymentStatus::Unpaid && units.left() > 0 && units.shipped == 0;
        is_open.then_some(deadline)
    }
}
