//! The table of event kinds. The decoder, the API's descriptions and samples, and the load generator read it. To add a
//! kind of event, start here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decode::{DecodeError, typed};
use crate::event::{Amended, Cancelled, Created, Empty, Paid, Refunded, Returned, Shipped};

/// Defines [`Event`] and [`EventType`] from the table below.
macro_rules! event_kinds {
    ($(
        $kind:ident($data:ty) $name:literal
        $summary:literal
        requires $required:tt
        example $example:literal
    )*) => {
        /// One fact about one order, with its data.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $(#[doc = $summary] $kind($data),)*
        }

        /// The type of an event, as written in `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

        impl EventType {
            /// Every type, in the order in which an order usually gets them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The type as written in `type`.
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

            /// An example of the data, as JSON without `order_id`. The examples together describe one order's life.
            pub fn example_data(self) -> &'static str {
                match self {
                    $(Self::$kind => $example,)*
                }
            }
        }
    };
}

event_kinds! {
    Created(Created) "order_created"
        "The customer placed the order."
        requires ["customer_id", "currency", "items", "total"]
        example r#"{"customer_id":"customer-7","currency":"EUR","total":3300,"metadata":{"channel":"web"},"items":[{"sku":"MUG-BLUE","quantity":2,"unit_price":1250},{"sku":"TEA-ASSAM-250G","quantity":1,"unit_price":800}]}"#

    Amended(Amended) "order_amended"
        "The lines were replaced, before the order was confirmed."
        requires ["items"]
        example r#"{"items":[{"sku":"MUG-BLUE","quantity":3,"unit_price":1250}]}"#

    Confirmed(Empty) "order_confirmed"
        "The merchant confirmed the order."
        requires []
        example "{}"

    Paid(Paid) "order_paid"
        "The customer paid."
        requires []
        example r#"{"payment_id":"pay-81","amount":3300}"#

    Shipped(Shipped) "order_shipped"
        "The goods were shipped."
        requires []
        example r#"{"carrier":"DHL","tracking_number":"00340434161094015902"}"#

    Delivered(Empty) "order_delivered"
        "The goods were delivered."
        requires []
        example "{}"

    Cancelled(Cancelled) "order_cancelled"
        "The order was cancelled."
        requires []
        example r#"{"reason":"The customer changed their mind."}"#

    Returned(Returned) "order_returned"
        "The customer returned the goods."
        requires []
        example r#"{"reason":"One mug arrived broken."}"#

    Refunded(Refunded) "order_refunded"
        "The customer was refunded."
        requires []
        example r#"{"refund_id":"refund-12","amount":3300}"#
}

impl EventType {
    /// The inverse of [`EventType::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
