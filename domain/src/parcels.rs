//! The shipments, returns and holds of an order. [`crate::order`] contains them.

use serde::{Deserialize, Serialize};

use crate::lines::LineQuantity;
use crate::value::Text;

/// The progress of a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// The shipment is on its way.
    Shipped,
    /// The shipment is delivered to the customer.
    Delivered,
}

/// Goods that were shipped together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// Identifies the shipment within its order.
    pub shipment_id: Text<64>,
    /// The carrier's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text<128>>,
    /// The carrier's tracking number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text<128>>,
    /// The units in the shipment.
    pub items: Vec<LineQuantity>,
    /// The progress of the shipment.
    pub state: ShipmentState,
}

/// The progress of a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The customer requested the return.
    Requested,
    /// The goods have arrived.
    Received,
}

/// Goods that the customer returns together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// Identifies the return within its order.
    pub return_id: Text<64>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The units that the customer asked to return. Once the goods have arrived, the units that were returned.
    pub items: Vec<LineQuantity>,
    /// The progress of the return.
    pub state: ReturnState,
}

/// A reason not to ship the order for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Identifies the hold within its order.
    pub hold: Text<64>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Chooses the id of a shipment or return to which the client gave none: its number, or the next number that is not
/// taken. `earlier` is the number of earlier shipments or returns.
pub(crate) fn free_number<const MAX: usize>(
    earlier: usize,
    is_taken: impl Fn(&Text<MAX>) -> bool,
) -> Text<MAX> {
    let number = |number: usize| Text::parse(&number.to_string()).expect("a number is a short, visible text");
    // The range contains `earlier + 1` numbers, and at most `earlier` of them are taken. So at least one number is free.
    (earlier + 1..=2 * earlier + 1)
        .map(number)
        .find(|id| !is_taken(id))
        .unwrap_or_else(|| number(earlier + 1))
}
