//! The lines with which an order is created or amended, and the units of lines that an event concerns. Events contain
//! both, and [`crate::order`] counts the units.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::money::{Amount, Quantity};
use crate::value::{InvalidValue, Text, check_name, string_value};

/// A stock keeping unit, which is the merchant's id of a product: 1–64 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku(Box<str>);

impl Sku {
    /// Parses a SKU. The error states the rule for SKUs.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        check_name("sku", text, 64)?;
        Ok(Self(text.into()))
    }

    /// The SKU as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

string_value!(Sku);

/// Identifies a line within its order: 1–64 characters without control characters. If the client gave a line no id, the
/// id is the number of the line: `1` for the first line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId(Box<str>);

impl LineId {
    /// Parses a line id. The error states the rule for line ids.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        check_name("line id", text, 64)?;
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the line at `index` if the client gave the line no id: its number, counted from 1.
    pub(crate) fn of_place(index: usize) -> String {
        (index + 1).to_string()
    }

    /// The index of the line with the given id. `lines` yields, for each line, its index and the id that the
    /// client gave it.
    pub(crate) fn find<'a>(
        mut lines: impl Iterator<Item = (usize, Option<&'a Self>)>,
        id: &str,
    ) -> Option<usize> {
        let place = id.parse::<usize>().ok().filter(|place| place.to_string() == id);
        let found = lines.find(|(index, given)| match given {
            Some(given) => given.as_str() == id,
            None => place == Some(index + 1),
        })?;
        Some(found.0)
    }
}

string_value!(LineId);

/// One line of an order, in the form in which the client states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// The client's id of the line. If absent, the id is the number of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<LineId>,
    /// The product.
    pub sku: Sku,
    /// The product's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// The number of units.
    pub quantity: Quantity,
    /// The price of one unit, in minor units. Absent only if a v0 producer stated a total without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Amount>,
}

/// The lines of an order: 1 to 1,000, with distinct ids. Their sum fits an [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineItems {
    lines: Vec<LineItem>,
    total: Amount,
}

impl LineItems {
    /// The maximum number of lines in an order.
    pub const MAX: usize = 1000;

    /// Checks the number of lines and their ids, and computes the sum of their prices. An overflow is an error.
    pub fn parse(lines: Vec<LineItem>) -> Result<Self, InvalidValue> {
        if lines.is_empty() || lines.len() > Self::MAX {
            return Err(InvalidValue::new("items", format!("must have 1–{} lines", Self::MAX)));
        }
        let total = lines.iter().try_fold(Amount::ZERO, |sum, line| {
            sum.plus(line.unit_price.unwrap_or(Amount::ZERO).times(line.quantity)?)
        })?;
        let lines = Self { lines, total };
        if lines.lines.iter().any(|line| line.line_id.is_some()) {
            lines.check_ids()?;
        }
        Ok(lines)
    }

    fn check_ids(&self) -> Result<(), InvalidValue> {
        let mut seen = HashSet::with_capacity(self.lines.len());
        for index in 0..self.lines.len() {
            if !seen.insert(self.line_id(index)) {
                let rule = format!(
                    "must have distinct line ids, but line {} has the id of another line; a line that is sent without \
                     an id gets its number as its id",
                    index + 1
                );
                return Err(InvalidValue::new("items", rule));
            }
        }
        Ok(())
    }

    /// The sum of quantity × unit price over all lines.
    pub fn total(&self) -> Amount {
        self.total
    }

    /// Whether every line has a price.
    pub fn is_priced(&self) -> bool {
        self.lines.iter().all(|line| line.unit_price.is_some())
    }

    /// The lines, in the client's order.
    pub fn lines(&self) -> &[LineItem] {
        &self.lines
    }

    pub(crate) fn line(&self, id: &str) -> Option<&LineItem> {
        let ids = self.lines.iter().map(|line| line.line_id.as_ref());
        LineId::find(ids.enumerate(), id).map(|index| &self.lines[index])
    }

    /// The id of the line at `index`.
    pub fn line_id(&self, index: usize) -> Cow<'_, str> {
        line_id(self.lines[index].line_id.as_ref(), index)
    }
}

/// The id of the line at `index`: the client's id, or otherwise the number of the line.
pub fn line_id(given: Option<&LineId>, index: usize) -> Cow<'_, str> {
    given.map_or_else(|| LineId::of_place(index).into(), |id| id.as_str().into())
}

impl Serialize for LineItems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.lines.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LineItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A number of units of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineQuantity {
    /// The line.
    pub line_id: LineId,
    /// The number of units.
    pub quantity: Quantity,
}

/// The units that an event concerns: 1 to 1,000 lines, each of which occurs at most once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LineQuantities(Vec<LineQuantity>);

impl LineQuantities {
    /// Checks that the number of lines is allowed and that each line occurs once.
    pub fn parse(lines: Vec<LineQuantity>) -> Result<Self, InvalidValue> {
        if lines.is_empty() || lines.len() > LineItems::MAX {
            return Err(InvalidValue::new("items", format!("must have 1–{} lines", LineItems::MAX)));
        }
        let mut seen = HashSet::with_capacity(lines.len());
        if !lines.iter().all(|line| seen.insert(line.line_id.as_str())) {
            return Err(InvalidValue::new("items", "must name each line at most once"));
        }
        Ok(Self(lines))
    }

    /// The lines, in the client's order.
    pub fn lines(&self) -> &[LineQuantity] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for LineQuantities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
