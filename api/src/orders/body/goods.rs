//! The data of events about goods: shipments, deliveries, cancellations and returns.

use domain::event::{Cancelled, Delivered, ReturnRequested, Returned, Shipped};
use domain::{LineQuantities, Text};
use utoipa::ToSchema;
use validator::Validate;

use super::{ClientData, LineQuantityBody, data};
use crate::input::{BodyField, members};

/// Data of `order_shipped`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShippedData {
    /// The carrier.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    carrier: BodyField<Text<128>>,
    /// The carrier's tracking number.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    tracking_number: BodyField<Text<128>>,
    /// Your id of the shipment, unique within its order. If absent, the number of the shipment is its id: `1` for the
    /// first shipment.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    shipment_id: BodyField<Text<64>>,
    /// The units in the shipment. If absent, all units that are left to ship.
    #[schema(value_type = Option<Vec<LineQuantityBody>>, min_items = 1, max_items = 1000)]
    items: BodyField<LineQuantities>,
}

/// Data of `order_delivered`, which may be omitted.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveredData {
    /// The delivered shipment. If absent, all shipments that are not delivered yet.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    shipment_id: BodyField<Text<64>>,
}

/// Data of `order_cancelled`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelledData {
    /// The reason.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
    /// The cancelled units. If absent, all units that are left to ship.
    #[schema(value_type = Option<Vec<LineQuantityBody>>, min_items = 1, max_items = 1000)]
    items: BodyField<LineQuantities>,
}

/// Data of `order_return_requested`, which may be omitted.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnRequestedData {
    /// The reason.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
    /// Your id of the return, unique within its order. If absent, the number of the return is its id: `1` for the first
    /// return.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    return_id: BodyField<Text<64>>,
    /// The units to return. If absent, all units that are delivered and not returned.
    #[schema(value_type = Option<Vec<LineQuantityBody>>, min_items = 1, max_items = 1000)]
    items: BodyField<LineQuantities>,
}

/// Data of `order_returned`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnedData {
    /// The reason.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
    /// The return that arrived. It may be a return that was not requested. If absent, the number of the return is its
    /// id.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    return_id: BodyField<Text<64>>,
    /// The returned units. If absent, the units of the requested return; if none was requested, all units that are
    /// delivered and not returned.
    #[schema(value_type = Option<Vec<LineQuantityBody>>, min_items = 1, max_items = 1000)]
    items: BodyField<LineQuantities>,
}

members!(ShippedData {
    "carrier" => carrier,
    "tracking_number" => tracking_number,
    "shipment_id" => shipment_id,
    "items" => items,
});
members!(DeliveredData { "shipment_id" => shipment_id });
members!(CancelledData { "reason" => reason, "items" => items });
members!(ReturnRequestedData { "reason" => reason, "return_id" => return_id, "items" => items });
members!(ReturnedData { "reason" => reason, "return_id" => return_id, "items" => items });

data! {
    Shipped, ShippedData => |data| Some(Self {
        carrier: Some(data.carrier.into_valid()?),
        tracking_number: Some(data.tracking_number.into_valid()?),
        shipment_id: data.shipment_id.into_valid(),
        items: data.items.into_valid(),
    });
    Delivered, DeliveredData => |data| Some(Self { shipment_id: data.shipment_id.into_valid() });
    Cancelled, CancelledData => |data| Some(Self {
        reason: Some(data.reason.into_valid()?),
        items: data.items.into_valid(),
    });
    ReturnRequested, ReturnRequestedData => |data| Some(Self {
        reason: data.reason.into_valid(),
        return_id: data.return_id.into_valid(),
        items: data.items.into_valid(),
    });
    Returned, ReturnedData => |data| Some(Self {
        reason: Some(data.reason.into_valid()?),
        return_id: data.return_id.into_valid(),
        items: data.items.into_valid(),
    });
}

impl ClientData for Shipped {
    type Body = ShippedData;
}

impl ClientData for Delivered {
    type Body = DeliveredData;

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl ClientData for Cancelled {
    type Body = CancelledData;
}

impl ClientData for ReturnRequested {
    type Body = ReturnRequestedData;

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl ClientData for Returned {
    type Body = ReturnedData;
}
