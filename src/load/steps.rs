//! The steps of an order's life, each with its kind of event. [`super::lives`] combines steps, and [`super::requests`] writes
//! the data of their events.

use domain::EventType;

/// Defines [`LifeStep`] from the table of steps below.
macro_rules! steps {
    ($($step:ident $event:ident $meaning:literal)*) => {
        /// One event in the life of an order. The event's data follows from the step, the number of the creation and
        /// the number of the write.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum LifeStep {
            $(#[doc = $meaning] $step,)*
        }

        impl LifeStep {
            /// Every step.
            pub(super) const ALL: [Self; [$($meaning),*].len()] = [$(Self::$step),*];

            /// The type of the step's event.
            pub(super) fn event_type(self) -> EventType {
                match self {
                    $(Self::$step => EventType::$event,)*
                }
            }
        }
    };
}

steps! {
    Create Created "The customer places the order."
    AmendItems Amended "The lines are replaced."
    AmendAdjustments Amended "Shipping becomes free."
    AmendContact Amended "The customer moves."
    AmendReference Amended "The shop renumbers the order."
    Annotate Annotated "A clerk adds notes."
    Confirm Confirmed "The merchant confirms the order."
    Hold Held "A fraud check holds the order back."
    Release Released "The fraud check ends."
    Authorize PaymentAuthorized "The whole price is authorized."
    Void PaymentVoided "The authorization ends."
    CapturePart Paid "Half of the authorized amount is captured."
    CaptureRest Paid "The rest of the authorized amount is captured."
    PayTotal Paid "The price is paid."
    PayTooMuch Paid "More than the price is paid."
    PayGiftCard Paid "A third of the price is paid by gift card."
    PayRest Paid "The rest of the price is paid by card."
    ShipOne Shipped "A unit of the first line is shipped."
    ShipRest Shipped "All units that are left are shipped."
    DeliverOne Delivered "The parcel of `ShipOne` is delivered."
    DeliverRest Delivered "All parcels are delivered."
    CancelOne Cancelled "A unit of the first line is cancelled."
    CancelRest Cancelled "All units that are left are cancelled."
    RequestReturn ReturnRequested "The customer asks to return a unit of the first line."
    ReceiveReturn Returned "The goods of `RequestReturn` arrive."
    ReturnRest Returned "All delivered goods are returned."
    RefundPart Refunded "A part of the payment is refunded."
    RefundGoodwill Refunded "A part of the payment is refunded as a concession."
    RefundTotal Refunded "The price is refunded."
}

/// How much more than the price [`LifeStep::PayTooMuch`] pays. [`LifeStep::RefundPart`] refunds this amount.
pub(super) const SURPLUS: u64 = 100;
/// How much [`LifeStep::RefundGoodwill`] refunds.
pub(super) const CONCESSION: u64 = 50;
