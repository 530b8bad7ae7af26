//! Adjustments of an order's total: discounts, shipping, taxes and fees. Events contain adjustments, and
//! [`crate::order`] adds them to the total.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::lines::{LineId, LineItems};
use crate::money::{Amount, SignedAmount};
use crate::value::{InvalidValue, Text};

/// What an adjustment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// A discount. Its amount is usually negative.
    Discount,
    /// The price of shipping.
    Shipping,
    /// A tax.
    Tax,
    /// A fee.
    Fee,
    /// Anything else.
    Other,
}

impl AdjustmentKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Discount, Self::Shipping, Self::Tax, Self::Fee, Self::Other];

    /// The name of the kind, as events contain it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discount => "discount",
            Self::Shipping => "shipping",
            Self::Tax => "tax",
            Self::Fee => "fee",
            Self::Other => "other",
        }
    }

    /// The kind whose name is `name`. The inverse of [`AdjustmentKind::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An amount that is added to the total of an order's lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Identifies the adjustment within its order.
    pub adjustment_id: Text<64>,
    /// What the adjustment is for.
    pub kind: AdjustmentKind,
    /// A label for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Text<200>>,
    /// The amount to add. A discount has a negative amount.
    pub amount: SignedAmount,
    /// The line that the adjustment belongs to, if any. The amount of such an adjustment counts in proportion
    /// to the units of the line that are neither cancelled nor returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<LineId>,
}

/// The adjustments of an order: at most 100, with distinct ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Adjustments(Vec<Adjustment>);

impl Adjustments {
    /// The maximum number of adjustments of an order.
    pub const MAX: usize = 100;

    /// Checks the number of adjustments and their ids.
    pub fn parse(adjustments: Vec<Adjustment>) -> Result<Self, InvalidValue> {
        let error = |rule: String| Err(InvalidValue::new("adjustments", rule));
        if adjustments.len() > Self::MAX {
            return error(format!("must have at most {} entries", Self::MAX));
        }
        let mut seen = HashSet::with_capacity(adjustments.len());
        if !adjustments.iter().all(|adjustment| seen.insert(adjustment.adjustment_id.as_str())) {
            return error("must have distinct ids".to_owned());
        }
        Ok(Self(adjustments))
    }

    /// The adjustments, in the client's order.
    pub fn list(&self) -> &[Adjustment] {
        &self.0
    }

    /// Whether there are no adjustments.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first line id that an adjustment refers to and for which `is_line` returns false.
    pub(crate) fn unknown_line(&self, is_line: impl Fn(&str) -> bool) -> Option<&LineId> {
        self.0.iter().filter_map(|it| it.line_id.as_ref()).find(|id| !is_line(id.as_str()))
    }

    /// The sum of the positive adjustments.
    pub(crate) fn raise(&self) -> i128 {
        self.0.iter().map(|adjustment| i128::from(adjustment.amount.minor().max(0))).sum()
    }

    /// The total of an order that has these adjustments and the lines `items`, before any unit is cancelled
    /// or returned. Every line that an adjustment refers to must exist. The sum without the discounts must
    /// also fit an [`Amount`], because cancelling units can end a discount.
    pub fn total_with(&self, items: &LineItems) -> Result<Amount, InvalidValue> {
        if let Some(id) = self.unknown_line(|id| items.line(id).is_some()) {
            let rule = format!("must name lines of the order, but the order has no line {:?}", id.as_str());
            return Err(InvalidValue::new("adjustments", rule));
        }
        let lines = i128::from(items.total().minor());
        if lines + self.raise() > i128::from(Amount::MAX) {
            let rule = format!("must be 0–{} in minor units, even without the discounts", Amount::MAX);
            return Err(InvalidValue::new("total", rule));
        }
        let sum: i128 = self.0.iter().map(|adjustment| i128::from(adjustment.amount.minor())).sum();
        let total = lines + sum;
        let total = i64::try_from(total).ok().and_then(|total| Amount::parse(total).ok());
        total.ok_or_else(|| {
            let rule = format!("must be 0–{} in minor units, including its adjustments", Amount::MAX);
            InvalidValue::new("total", rule)
        })
    }
}

impl<'de> Deserialize<'de> for Adjustments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
