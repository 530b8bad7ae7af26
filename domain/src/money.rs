//! Money as integers in the minor unit of a currency (cents, pence, yen), and the order lines that add up to it. Used by all
//! crates.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{InvalidValue, check_name, integer, string_value};

/// An amount in the minor unit of its order's currency, from 0 to 2^53 - 1, the largest integer that every JSON reader keeps
/// exact (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Amount(i64);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: i64 = (1 << 53) - 1;

    /// Checks the range.
    pub fn parse(minor: i64) -> Result<Self, InvalidValue> {
        if !(0..=Self::MAX).contains(&minor) {
            return Err(InvalidValue::new("amount", format!("must be 0–{} in minor units", Self::MAX)));
        }
        Ok(Self(minor))
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// The sum; an error if it exceeds [`Amount::MAX`].
    pub fn plus(self, other: Self) -> Result<Self, InvalidValue> {
        self.0
            .checked_add(other.0)
            .map_or_else(|| Err(overflow()), |sum| Self::parse(sum).map_err(|_| overflow()))
    }

    /// The product; an error if it exceeds [`Amount::MAX`].
    pub fn times(self, quantity: Quantity) -> Result<Self, InvalidValue> {
        let product = self.0.checked_mul(i64::from(quantity.get())).ok_or_else(overflow)?;
        Self::parse(product).map_err(|_| overflow())
    }
}

fn overflow() -> InvalidValue {
    InvalidValue::new("total", format!("must not exceed {} in minor units", Amount::MAX))
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(integer(deserializer)?).map_err(de::Error::custom)
    }
}

/// A currency by its ISO 4217 code, such as `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Parses an upper-case ISO 4217 code.
    pub fn parse(code: &str) -> Result<Self, InvalidValue> {
        iso_currency::Currency::from_code(code).map(Self).ok_or_else(|| {
            InvalidValue::new("currency", "must be an ISO 4217 code in upper case, such as EUR")
        })
    }

    /// The code.
    pub fn as_str(&self) -> &'static str {
        self.0.code()
    }
}

string_value!(Currency);

/// The quantity of an order line: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The largest quantity on one line.
    pub const MAX: u32 = 1_000_000;

    /// Checks the range.
    pub fn parse(quantity: i64) -> Result<Self, InvalidValue> {
        match u32::try_from(quantity) {
            Ok(n @ 1..=Self::MAX) => Ok(Self(n)),
            _ => Err(InvalidValue::new("quantity", format!("must be 1–{}", Self::MAX))),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(integer(deserializer)?).map_err(de::Error::custom)
    }
}

/// A stock keeping unit, the merchant's id of a product: 1–64 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku(Box<str>);

impl Sku {
    /// Parses a SKU. An error contains the rule.
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

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// The product.
    pub sku: Sku,
    /// The number of units.
    pub quantity: Quantity,
    /// The price of one unit, in minor units. Absent only if a v0 producer stated a total without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Amount>,
}

/// The lines of an order: 1 to 200, whose computed total fits an [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineItems {
    lines: Vec<LineItem>,
    total: Amount,
}

impl LineItems {
    /// The maximum number of lines in an order.
    pub const MAX: usize = 200;

    /// Checks the number of lines and computes their total. An overflow is an error.
    pub fn parse(lines: Vec<LineItem>) -> Result<Self, InvalidValue> {
        if lines.is_empty() || lines.len() > Self::MAX {
            return Err(InvalidValue::new("items", format!("must have 1–{} lines", Self::MAX)));
        }
        let total = lines.iter().try_fold(Amount::ZERO, |sum, line| {
            sum.plus(line.unit_price.unwrap_or(Amount::ZERO).times(line.quantity)?)
        })?;
        Ok(Self { lines, total })
    }

    /// The sum of quantity × unit price.
    pub fn total(&self) -> Amount {
        self.total
    }

    /// Whether every line has a price, so that [`LineItems::total`] is the price of the order.
    pub fn is_priced(&self) -> bool {
        self.lines.iter().all(|line| line.unit_price.is_some())
    }

    /// The lines, in the client's order.
    pub fn lines(&self) -> &[LineItem] {
        &self.lines
    }
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
