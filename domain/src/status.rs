//! The statuses of an order. Each is a pure function of the order's counters ([`crate::order`] derives them). Readers
//! see the statuses and filter by them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines an enum with one variant for each word of a status, and functions that convert between variants and words.
macro_rules! words {
    ($summary:literal $name:ident { $($variant:ident $word:literal $meaning:literal)* }) => {
        #[doc = $summary]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $meaning] #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The variant whose word is `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.as_str() == name)
            }

            /// The word that readers see.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The meaning of the word, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    "The status of an order, in one word."
    OrderStatus {
        Pending "pending" "The order is not confirmed yet."
        Confirmed "confirmed" "The order is confirmed and nothing was shipped. Its total is not captured, or is 0."
        Paid "paid" "The order is confirmed and nothing was shipped. Its total is captured."
        PartiallyShipped "partially_shipped" "Some units were shipped, and others are left to ship."
        Shipped "shipped" "All units were shipped, and not all of them are delivered."
        Delivered "delivered" "All units are delivered, and not all of them are returned."
        Returned "returned" "All units are returned."
        Cancelled "cancelled" "All units are cancelled."
        Refunded "refunded" "Nothing is left to ship, and all that was captured is refunded."
    }
}

words! {
    "What the customer has paid."
    PaymentStatus {
        Unpaid "unpaid" "Nothing is captured or authorized."
        Authorized "authorized" "An amount is authorized, and nothing is captured."
        PartiallyPaid "partially_paid" "Less than the total is captured."
        Paid "paid" "The total is captured, or an order that is not cancelled costs nothing."
        Overpaid "overpaid" "More than the total is captured: the rest is owed to the customer."
        PartiallyRefunded "partially_refunded" "A part of what was captured is refunded."
        Refunded "refunded" "All that was captured is refunded."
    }
}

words! {
    "Where the goods are."
    FulfilmentStatus {
        Unfulfilled "unfulfilled" "Nothing was shipped."
        PartiallyShipped "partially_shipped" "Some units were shipped, none is delivered, and others are left to ship."
        Shipped "shipped" "All units were shipped, and none is delivered."
        PartiallyDelivered "partially_delivered" "Some units are delivered."
        Delivered "delivered" "All units are delivered."
        PartiallyReturned "partially_returned" "Some units are returned."
        Returned "returned" "All units are returned."
    }
}
