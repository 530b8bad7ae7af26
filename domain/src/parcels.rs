//! The shipments, returns and holds of an order. [`crate::order`] contains them.

use serde::{Deserialize, Serialize};

use crate::lines::LineQuantity;
use crate::value::Text;

/// Where a shipment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    /// On its way.
    Shipped,
    /// Delivered to the customer.
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
    /// Where the shipment is.
    pub state: ShipmentState,
}

/// How far a return is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnState {
    /// The customer asked for it.
    Requested,
    /// The goods are back.
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
    /// The units to return, or the returned units.
    pub items: Vec<LineQuantity>,
    /// How far the return is.
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
