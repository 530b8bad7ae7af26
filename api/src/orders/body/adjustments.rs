//! The body of adjustments: discounts, shipping, taxes and fees. Orders and amendments contain them.

use domain::adjustments::{Adjustment, AdjustmentKind, Adjustments};
use domain::{LineId, SignedAmount, Text};
use serde::de::SeqAccess;
use utoipa::ToSchema;
use validator::Validate;

use super::data;
use super::lines::read_distinct;
use crate::input::{BodyField, FromJson, Parsed, ValidationCode, checked, invalid, members};

/// An amount that is added to the total of the lines.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Adjustment)]
pub(crate) struct AdjustmentBody {
    /// Identifies the adjustment within its order.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64, example = "shipping",
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    adjustment_id: BodyField<Text<64>>,
    /// What the adjustment is for.
    #[validate(required)]
    #[schema(schema_with = crate::describe::schemas::adjustment_kind, required = true)]
    kind: BodyField<AdjustmentKind>,
    /// A label for people.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    label: BodyField<Text<200>>,
    /// The amount to add, in the currency's minor unit; negative for a discount.
    #[validate(required)]
    #[schema(
        value_type = i64, minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64, example = 490
    )]
    amount: BodyField<SignedAmount>,
    /// The line that the adjustment belongs to. Units of the line that are cancelled or returned reduce the amount
    /// proportionally.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    line_id: BodyField<LineId>,
}

members!(AdjustmentBody {
    "adjustment_id" => adjustment_id,
    "kind" => kind,
    "label" => label,
    "amount" => amount,
    "line_id" => line_id,
});

data! {
    Adjustment, AdjustmentBody => |adjustment| Some(Self {
        adjustment_id: adjustment.adjustment_id.into_valid()?,
        kind: adjustment.kind.into_valid()?,
        label: adjustment.label.into_valid(),
        amount: adjustment.amount.into_valid()?,
        line_id: adjustment.line_id.into_valid(),
    });
}

impl FromJson<'_> for AdjustmentKind {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        let known = || format!("must be one of {}", Self::ALL.map(Self::as_str).join(", "));
        Self::from_name(text).ok_or_else(|| invalid(ValidationCode::Enum, known()))
    }
}

impl<'de> FromJson<'de> for Adjustments {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let id = |adjustment: &Adjustment, _| adjustment.adjustment_id.as_str().to_owned();
        let rule = "must occur only once among the adjustments";
        let adjustments = read_distinct(array, 0..=Self::MAX, "adjustments", ("adjustment_id", rule), id)?;
        Ok(adjustments.and_then(|adjustments| checked(ValidationCode::Length, Self::parse(adjustments))))
    }
}
