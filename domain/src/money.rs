//! Money as integers in the minor unit of a currency (cents, pence, yen), and quantities. All crates use these types.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::value::{InvalidValue, integer, string_value};

/// An amount in the minor unit of its order's currency, from 0 to 2^53 - 1. The maximum is the largest
/// integer that every JSON reader represents exactly (RFC 8259 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
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

    /// The sum of the two amounts. It is an error if the sum exceeds [`Amount::MAX`].
    pub fn plus(self, other: Self) -> Result<Self, InvalidValue> {
        self.0
            .checked_add(other.0)
            .map_or_else(|| Err(overflow()), |sum| Self::parse(sum).map_err(|_| overflow()))
    }

    /// The amount multiplied by `quantity`. It is an error if the product exceeds [`Amount::MAX`].
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

/// A signed amount in the minor unit of its order's currency, from -(2^53 - 1) to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SignedAmount(i64);

impl SignedAmount {
    /// Checks the range.
    pub fn parse(minor: i64) -> Result<Self, InvalidValue> {
        if !(-Amount::MAX..=Amount::MAX).contains(&minor) {
            let rule = format!("must be from -{0} to {0} in minor units", Amount::MAX);
            return Err(InvalidValue::new("amount", rule));
        }
        Ok(Self(minor))
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for SignedAmount {
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

    /// How many decimals an amount in the major unit has: 2 for EUR, 0 for JPY, 3 for BHD. A currency without a minor unit has
    /// none.
    pub fn decimals(&self) -> u16 {
        self.0.exponent().unwrap_or(0)
    }
}

string_value!(Currency);

/// The quantity of an order line: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The largest quantity that one line may have.
    pub const MAX: u32 = 1_000_000;

    /// Checks that a quantity is from 1 to [`Self::MAX`].
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
