//! The table of event kinds. The decoder, the API's descriptions and samples, and the load generator use this table.
//! To add a kind of event, start here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decode::{DecodeError, typed};
use crate::event::{
    Amended, Annotated, Cancelled, Created, Delivered, Empty, Held, Paid, PaymentAuthorized, PaymentVoided,
    Refunded, Released, ReturnRequested, Returned, Shipped,
};

/// Defines [`Event`], [`EventType`] and `for_each_event_kind!` from the table below. The caller passes a dollar sign as
/// `$d`. Without `$d`, this macro could not write a dollar sign into the macro that it defines.
macro_rules! event_kinds {
    ($d:tt $(
        $kind:ident($data:ty) $name:literal
        $summary:literal
        requires $required:tt
        guards $guards:tt
        example $example:literal
    )*) => {
        /// One fact about one order, with its data.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $(#[doc = $summary] $kind($data),)*
        }

        /// The type of an event, as in the member `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventType {
            $(#[doc = $summary] #[serde(rename = $name)] $kind,)*
        }

        impl Event {
            /// The type of the event.
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$kind(_) => EventType::$kind,)*
                }
            }

            /// Decodes the data of an event of the current schema version.
            pub(crate) fn decode(event_type: &str, data: &RawValue) -> Result<Self, DecodeError> {
                match EventType::from_name(event_type) {
                    $(Some(EventType::$kind) => typed(data).map(Self::$kind),)*
                    None => Err(DecodeError::UnknownType(event_type.to_owned())),
                }
            }
        }

        /// Calls a macro with `Kind(Data)` for each kind of event, so that another crate can extend the table. The
        /// caller imports the data types of [`crate::event`].
        #[macro_export]
        macro_rules! for_each_event_kind {
            ($d callback:ident) => { $d callback! { $($kind($data))* } };
        }

        /// Calls a macro with `Kind [Guards]` for each kind of event. The guards module uses this macro.
        macro_rules! for_each_kind_with_guards {
            ($d callback:ident) => { $d callback! { $($kind $guards)* } };
        }
        pub(crate) use for_each_kind_with_guards;

        impl EventType {
            /// Every type, in the order in which the events of an order usually happen.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The type, as in the member `type`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What happened, in one sentence.
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$kind => $summary,)*
                }
            }

            /// The members that the data must have besides `order_id`.
            pub fn required_data(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &$required,)*
                }
            }

            /// An example of the data, as JSON without `order_id`. Together, the examples of all types describe the
            /// life of one order.
            pub fn example_data(self) -> &'static str {
                match self {
                    $(Self::$kind => $example,)*
                }
            }
        }
    };
}

event_kinds! { $
    Created(Created) "order_created"
        "The customer placed the order."
        requires ["customer_id", "currency", "items", "total"]
        guards [New, ReferenceFree, SizeFits]
        example r#"{"customer_id":"customer-7","currency":"EUR","total":3790,"metadata":{"channel":"web"},"items":[{"line_id":"mug","sku":"MUG-BLUE","name":"Blue mug","quantity":2,"unit_price":1250},{"sku":"TEA-ASSAM-250G","quantity":1,"unit_price":800}],"adjustments":[{"adjustment_id":"shipping","kind":"shipping","label":"Standard shipping","amount":490}],"reference":"WEB-2026-1007","contact":{"name":"Ada Lovelace","email":"ada@example.com","shipping_address":{"line1":"Hauptstraße 5","city":"Köln","postal_code":"50667","country":"DE"}},"notes":"Please ring twice.","expires_at":"2026-12-24T18:00:00Z"}"#

    Amended(Amended) "order_amended"
        "The lines, adjustments, contact or reference were replaced."
        requires []
        guards [Exists, Open, LinesKept, AdjustedLines, AmountsFit, SizeFits, ReferenceFree]
        example r#"{"items":[{"line_id":"mug","sku":"MUG-BLUE","name":"Blue mug","quantity":3,"unit_price":1250}],"adjustments":[{"adjustment_id":"shipping","kind":"shipping","amount":490}]}"#

    Annotated(Annotated) "order_annotated"
        "The client's metadata or notes were changed."
        requires []
        guards [Exists, MetadataFits, SizeFits]
        example r#"{"metadata":{"channel":null,"clerk":"Grace"},"notes":"Gift wrapping."}"#

    Confirmed(Empty) "order_confirmed"
        "The merchant confirmed the order."
        requires []
        guards [Exists, Unconfirmed]
        example "{}"

    Held(Held) "order_held"
        "The order may not be shipped until the hold is released."
        requires ["hold"]
        guards [Exists, Open, HoldFree, SizeFits]
        example r#"{"hold":"fraud-check","reason":"The addresses differ."}"#

    Released(Released) "order_released"
        "A hold ended."
        requires ["hold"]
        guards [Exists, HoldKnown]
        example r#"{"hold":"fraud-check"}"#

    PaymentAuthorized(PaymentAuthorized) "order_payment_authorized"
        "The payment provider authorized a payment."
        requires ["payment_id", "amount"]
        guards [Exists, NotCancelled, PaymentNew, AmountsFit, SizeFits]
        example r#"{"payment_id":"pay-81","amount":4240,"method":"card"}"#

    PaymentVoided(PaymentVoided) "order_payment_voided"
        "The authorization of a payment ended before anything was captured."
        requires ["payment_id"]
        guards [Exists, PaymentVoidable]
        example r#"{"payment_id":"pay-80"}"#

    Paid(Paid) "order_paid"
        "Money was captured."
        requires []
        guards [Exists, PaymentCapturable, AmountsFit, SizeFits]
        example r#"{"payment_id":"pay-81","amount":4240}"#

    Shipped(Shipped) "order_shipped"
        "Goods were shipped."
        requires []
        guards [Exists, Confirmed, NotHeld, UnitsLeft, Covered, ShipmentNew, SizeFits]
        example r#"{"carrier":"DHL","tracking_number":"00340434161094015902","shipment_id":"parcel-1","items":[{"line_id":"mug","quantity":2}]}"#

    Delivered(Delivered) "order_delivered"
        "Shipped goods were delivered."
        requires []
        guards [Exists, ShipmentUndelivered]
        example r#"{"shipment_id":"parcel-1"}"#

    Cancelled(Cancelled) "order_cancelled"
        "Units that had not been shipped were cancelled."
        requires []
        guards [Exists, UnitsLeft]
        example r#"{"reason":"Out of stock.","items":[{"line_id":"mug","quantity":1}]}"#

    ReturnRequested(ReturnRequested) "order_return_requested"
        "The customer wants to return delivered goods."
        requires []
        guards [Exists, UnitsDelivered, ReturnNew, SizeFits]
        example r#"{"reason":"One mug arrived broken.","return_id":"return-1","items":[{"line_id":"mug","quantity":1}]}"#

    Returned(Returned) "order_returned"
        "The customer returned goods."
        requires []
        guards [Exists, UnitsDelivered, ReturnOpen, SizeFits]
        example r#"{"reason":"One mug arrived broken.","return_id":"return-1"}"#

    Refunded(Refunded) "order_refunded"
        "Money was refunded."
        requires []
        guards [Exists, Refundable, RefundNew, SizeFits]
        example r#"{"refund_id":"refund-12","amount":1250,"payment_id":"pay-81","reason":"One mug arrived broken."}"#
}

impl EventType {
    /// The type whose name is `name`. The inverse of [`EventType::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
