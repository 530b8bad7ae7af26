//! The guards, which are the conditions that must hold for an event to be recorded. [`crate::event_kinds`] lists the
//! guards of each kind of event, and [`mod@crate::judge`] checks them. The API shows them in answers and in its
//! documentation.
//!
//! A guard that fails also reports whether the event is *early*: whether a later event can make the condition
//! true. Some conditions can never become true, because some values never decrease: the cancelled, shipped,
//! delivered and returned units, the captured and refunded amounts, and the set of ids in use. Once nothing
//! is left to ship, the order cannot be amended, so nothing can ever be left to ship again.

mod goods;
mod money;
mod size;
mod state;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_kinds::{Event, EventType, for_each_kind_with_guards};
use crate::ids::OrderId;
use crate::order::Order;

/// Defines [`Guard`] from the table below.
macro_rules! guards {
    ($($guard:ident $code:literal $rule:literal early $early:literal)*) => {
        /// A condition that must hold for an event to be recorded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Guard {
            $(#[doc = $rule] #[serde(rename = $code)] $guard,)*
        }

        impl Guard {
            /// Every guard.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$guard),*];

            /// The code of the guard, as answers contain it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$guard => $code,)*
                }
            }

            /// The condition of the guard, in one sentence.
            pub fn rule(self) -> &'static str {
                match self {
                    $(Self::$guard => $rule,)*
                }
            }

            /// When an event that fails the guard counts as early.
            pub fn early(self) -> &'static str {
                match self {
                    $(Self::$guard => $early,)*
                }
            }
        }
    };
}

guards! {
    New "new" "The order does not exist."
        early "never"
    Exists "exists" "The order exists."
        early "always"
    ReferenceFree "reference_free" "No other order has the reference."
        early "never"
    Open "open" "Something is left to ship."
        early "never"
    NotCancelled "not_cancelled" "Not every unit is cancelled."
        early "never"
    Unconfirmed "unconfirmed" "The order is not confirmed yet, and something is left to ship."
        early "never"
    Confirmed "confirmed" "The order is confirmed."
        early "always"
    LinesKept "lines_kept" "Every line keeps at least the units that were shipped or cancelled."
        early "never"
    AdjustedLines "adjusted_lines" "The line of each adjustment exists in the order."
        early "unless the event also replaces the lines"
    AmountsFit "amounts_fit" "No sum of amounts exceeds 9,007,199,254,740,991."
        early "for an authorization, if another authorization can be voided; for an amendment, if it keeps lines or adjustments that can become cheaper"
    MetadataFits "metadata_fits" "The metadata has at most 20 entries after the change."
        early "always"
    HoldFree "hold_free" "The order does not have this hold."
        early "always"
    HoldKnown "hold_known" "The order has this hold."
        early "while something is left to ship"
    NotHeld "not_held" "The order has no hold."
        early "always"
    PaymentNew "payment_new" "The order has no payment with this id."
        early "never"
    PaymentVoidable "payment_voidable" "The payment is authorized, and nothing of it is captured."
        early "if the payment is unknown, and not every unit is cancelled"
    PaymentCapturable "payment_capturable" "The payment is new, or the amount is at most the rest of its authorization. If the event has no amount, something is due."
        early "if nothing is due yet, but an amount can become due or the payment can still be authorized"
    Covered "covered" "The total is captured or authorized, unless the order has `ship_unpaid`."
        early "always"
    UnitsLeft "units_left" "The units are left to ship: ordered, and neither cancelled nor shipped."
        early "while something is left to ship, because an amendment may add units (up to 1,000,000 on a line)"
    ShipmentNew "shipment_new" "The order has no shipment with this id."
        early "never"
    ShipmentUndelivered "shipment_undelivered" "The shipment exists and is not delivered. If the event has no shipment id, the order has an undelivered shipment."
        early "if the shipment is unknown, and something is left to ship"
    UnitsDelivered "units_delivered" "The units are delivered and not returned."
        early "if enough units are shipped, or while something is left to ship"
    ReturnNew "return_new" "The order has no return with this id."
        early "never"
    ReturnOpen "return_open" "The goods of the return have not arrived yet."
        early "never"
    Refundable "refundable" "The amount is captured and not refunded. If the event has a payment id, this holds for that payment."
        early "if the payment can have further captures, and the sum of all refunds would not exceed what can be captured"
    RefundNew "refund_new" "The order has no refund with this id."
        early "never"
    SizeFits "size_fits" "The order has at most 100 payments, refunds, shipments and returns each, and 20 holds. Its JSON has at most 350,000 bytes. After a creation or an amendment, its JSON has at most 200,000 bytes, so that shipments and returns still fit."
        early "if the order has too many holds, or if its JSON has too many bytes and something is left to ship, because an amendment may shorten the order"
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The guard that an event failed, with the numbers that the guard compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The guard.
    pub guard: Guard,
    /// The line to which the numbers refer, if the guard is about a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    /// The other order that already has the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The numbers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, i64>,
}

/// Why an event fails a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardFailure {
    /// The guard that failed, with the numbers that it compared.
    pub violation: Violation,
    /// Describes the violation in one clause.
    pub detail: String,
    /// Whether a later event can make the condition true.
    pub is_early: bool,
}

impl GuardFailure {
    fn early(guard: Guard, detail: impl Into<String>) -> Self {
        Self::new(guard, detail, true)
    }

    fn never(guard: Guard, detail: impl Into<String>) -> Self {
        Self::new(guard, detail, false)
    }

    pub(crate) fn new(guard: Guard, detail: impl Into<String>, is_early: bool) -> Self {
        let violation = Violation { guard, line_id: None, order_id: None, numbers: BTreeMap::new() };
        Self { violation, detail: detail.into(), is_early }
    }

    fn with_numbers(mut self, numbers: &[(&str, impl Into<i64> + Copy)]) -> Self {
        let numbers = numbers.iter().map(|(name, number)| ((*name).to_owned(), (*number).into()));
        self.violation.numbers = numbers.collect();
        self
    }

    fn of_line(mut self, line_id: impl Into<String>) -> Self {
        self.violation.line_id = Some(line_id.into());
        self
    }
}

pub(crate) type Check = Result<(), GuardFailure>;

/// Combines several checks of one event. If several checks fail, returns the first failure that is not early, or the
/// first failure if all of them are early.
pub(crate) fn all(checks: impl IntoIterator<Item = Check>) -> Check {
    let mut first = Ok(());
    for check in checks {
        match check {
            Err(failure) if !failure.is_early => return Err(failure),
            Err(failure) if first.is_ok() => first = Err(failure),
            _ => {}
        }
    }
    first
}

macro_rules! guards_of_kinds {
    ($($kind:ident $guards:tt)*) => {
        impl EventType {
            /// The conditions that must hold for an event of this type to be recorded, in the order in which
            /// they are checked.
            pub fn guards(self) -> &'static [Guard] {
                use Guard::*;
                match self {
                    $(Self::$kind => &$guards,)*
                }
            }
        }
    };
}
for_each_kind_with_guards!(guards_of_kinds);

impl Guard {
    /// Checks the condition for `event`. Does not check [`Guard::ReferenceFree`], which depends on other orders;
    /// [`crate::judge`] checks that guard.
    pub(crate) fn check(self, order: Option<&Order>, event: &Event) -> Check {
        let Some(order) = order else {
            return match self {
                Self::Exists => Err(GuardFailure::early(self, "the order does not exist yet")),
                Self::SizeFits => size::creation_fits(event),
                _ => Ok(()),
            };
        };
        match self {
            Self::Exists | Self::ReferenceFree => Ok(()),
            Self::New => Err(GuardFailure::never(self, "the order exists")),
            Self::Open => state::open(order),
            Self::NotCancelled => state::not_cancelled(order),
            Self::Unconfirmed => state::unconfirmed(order),
            Self::Confirmed => state::confirmed(order),
            Self::HoldFree => state::hold_free(order, event),
            Self::HoldKnown => state::hold_known(order, event),
            Self::NotHeld => state::not_held(order),
            Self::MetadataFits => state::metadata_fits(order, event),
            Self::SizeFits => size::size_fits(order, event),
            Self::LinesKept => goods::lines_kept(order, event),
            Self::AdjustedLines => goods::adjusted_lines(order, event),
            Self::UnitsLeft => goods::units_left(order, event),
            Self::ShipmentNew => goods::shipment_new(order, event),
            Self::ShipmentUndelivered => goods::shipment_undelivered(order, event),
            Self::UnitsDelivered => goods::units_delivered(order, event),
            Self::ReturnNew => goods::return_new(order, event),
            Self::ReturnOpen => goods::return_open(order, event),
            Self::AmountsFit => money::amounts_fit(order, event),
            Self::PaymentNew => money::payment_new(order, event),
            Self::PaymentVoidable => money::payment_voidable(order, event),
            Self::PaymentCapturable => money::payment_capturable(order, event),
            Self::Covered => money::covered(order),
            Self::Refundable => money::refundable(order, event),
            Self::RefundNew => money::refund_new(order, event),
        }
    }

    /// Whether an event of the given type can pass the guard now, with suitable data. The list of the events
    /// that are legal now depends on these results.
    pub(crate) fn can_pass(self, order: Option<&Order>, event: EventType) -> bool {
        let Some(order) = order else {
            return matches!(self, Self::New | Self::ReferenceFree | Self::SizeFits);
        };
        match self {
            Self::New => false,
            Self::Open | Self::UnitsLeft => order.units().left() > 0,
            Self::NotCancelled => order.units().active() > 0,
            Self::Unconfirmed => state::unconfirmed(order).is_ok(),
            Self::Confirmed => order.confirmed,
            Self::HoldKnown => !order.holds.is_empty(),
            Self::NotHeld => order.holds.is_empty(),
            Self::Covered => money::covered(order).is_ok(),
            Self::PaymentVoidable => order.payments.iter().any(money::is_voidable),
            Self::ShipmentUndelivered => goods::undelivered(order).next().is_some(),
            Self::UnitsDelivered => order.items.iter().any(|line| line.returnable() > 0),
            Self::Refundable => order.payments.iter().any(|payment| payment.refundable() > 0),
            Self::Exists
            | Self::ReferenceFree
            | Self::LinesKept
            | Self::AdjustedLines
            | Self::AmountsFit
            | Self::MetadataFits
            | Self::HoldFree
            | Self::PaymentNew
            | Self::PaymentCapturable
            | Self::ShipmentNew
            | Self::ReturnNew
            | Self::ReturnOpen
            | Self::RefundNew => true,
            Self::SizeFits => size::has_room(order, event),
        }
    }
}
