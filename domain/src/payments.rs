//! The payments and refunds of an order, with their counters. [`crate::order`] contains them.

use serde::{Deserialize, Serialize};

use crate::money::Amount;
use crate::value::{Text, is_false};

/// A payment, with its captured and refunded amounts. Always `refunded ≤ captured`. For an authorized payment, always
/// `captured ≤ authorized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The id of the payment at the payment provider. Absent if a v0 producer sent no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The means of payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<64>>,
    /// The authorized amount. Absent if the payment was captured without an authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized: Option<Amount>,
    /// Whether the authorization ended before anything was captured.
    #[serde(default, skip_serializing_if = "is_false")]
    pub voided: bool,
    /// The amount captured.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub captured: Amount,
    /// The amount refunded.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub refunded: Amount,
}

fn is_nothing(amount: &Amount) -> bool {
    *amount == Amount::ZERO
}

impl Payment {
    /// The authorized amount that can still be captured.
    pub fn capturable(&self) -> i64 {
        let authorized = self.authorized.filter(|_| !self.voided).map_or(0, Amount::minor);
        (authorized - self.captured.minor()).max(0)
    }

    /// The captured amount that can still be refunded.
    pub fn refundable(&self) -> i64 {
        self.captured.minor() - self.refunded.minor()
    }
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The id of the refund at the payment provider. Absent if a v0 producer sent no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Text<128>>,
    /// The amount.
    pub amount: Amount,
    /// The payment that was refunded, if the event names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// Whether the refund also lowered the total.
    #[serde(default, skip_serializing_if = "is_false")]
    pub goodwill: bool,
}
