//! The data of events about money: authorizations, captures and refunds.

use domain::event::{Paid, PaymentAuthorized, PaymentVoided, Refunded};
use domain::{Amount, Text};
use utoipa::ToSchema;
use validator::Validate;

use super::{ClientData, data};
use crate::input::{BodyField, members};

/// Data of `order_payment_authorized`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentAuthorizedData {
    /// The payment's id at the payment provider.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    payment_id: BodyField<Text<128>>,
    /// The amount that may be captured, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: BodyField<Amount>,
    /// The means of payment, such as `card`.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    method: BodyField<Text<64>>,
}

/// Data of `order_payment_voided`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentVoidedData {
    /// The payment whose authorization ends.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    payment_id: BodyField<Text<128>>,
}

/// Data of `order_paid`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaidData {
    /// The payment's id at the payment provider.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    payment_id: BodyField<Text<128>>,
    /// The captured amount, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: BodyField<Amount>,
    /// The means of payment, such as `card`.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    method: BodyField<Text<64>>,
}

/// Data of `order_refunded`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundedData {
    /// The refund's id at the payment provider.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    refund_id: BodyField<Text<128>>,
    /// The refunded amount, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: BodyField<Amount>,
    /// The payment that is refunded. If absent, the refund is taken from the payments in the order in which they came,
    /// from each up to its captured amount.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    payment_id: BodyField<Text<128>>,
    /// The reason.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
    /// Whether the refund is a concession that also lowers the total, as a credit note does. Otherwise, if you refund more than
    /// you owe the customer, the excess becomes due from the customer again.
    #[schema(value_type = Option<bool>)]
    goodwill: BodyField<bool>,
}

members!(PaymentAuthorizedData { "payment_id" => payment_id, "amount" => amount, "method" => method });
members!(PaymentVoidedData { "payment_id" => payment_id });
members!(PaidData { "payment_id" => payment_id, "amount" => amount, "method" => method });
members!(RefundedData {
    "refund_id" => refund_id,
    "amount" => amount,
    "payment_id" => payment_id,
    "reason" => reason,
    "goodwill" => goodwill,
});

data! {
    PaymentAuthorized, PaymentAuthorizedData => |data| Some(Self {
        payment_id: data.payment_id.into_valid()?,
        amount: data.amount.into_valid()?,
        method: data.method.into_valid(),
    });
    PaymentVoided, PaymentVoidedData => |data| Some(Self { payment_id: data.payment_id.into_valid()? });
    Paid, PaidData => |data| Some(Self {
        payment_id: Some(data.payment_id.into_valid()?),
        amount: Some(data.amount.into_valid()?),
        method: data.method.into_valid(),
        // Only events of older schema versions settle a payment.
        settles: false,
    });
    Refunded, RefundedData => |data| Some(Self {
        refund_id: Some(data.refund_id.into_valid()?),
        amount: Some(data.amount.into_valid()?),
        payment_id: data.payment_id.into_valid(),
        reason: data.reason.into_valid(),
        goodwill: data.goodwill.into_valid().unwrap_or_default(),
        settles: false,
    });
}

impl ClientData for PaymentAuthorized {
    type Body = PaymentAuthorizedData;
}

impl ClientData for PaymentVoided {
    type Body = PaymentVoidedData;
}

impl ClientData for Paid {
    type Body = PaidData;
}

impl ClientData for Refunded {
    type Body = RefundedData;
}
