//! Reads single values from JSON: ids, names, texts and numbers. The bodies consist of these values.

use domain::value::without_blanks;
use domain::{Amount, Currency, CustomerId, LineId, Quantity, Reference, SignedAmount, Sku, Text};

use crate::input::{FromJson, Parsed, ValidationCode, checked};

/// Implements [`FromJson`] for a value that the domain parses from a string or an integer.
macro_rules! scalar {
    ($($type:ty: $from:ident($raw:ty), $expected:literal, $code:ident;)*) => {$(
        impl<'de> FromJson<'de> for $type {
            const EXPECTED: &'static str = $expected;

            fn $from(raw: $raw) -> Parsed<Self> {
                checked(ValidationCode::$code, Self::parse(raw))
            }
        }
    )*};
}

pub(super) use scalar;

/// Implements [`FromJson`] for an id or a name without leading or trailing blanks.
macro_rules! name {
    ($($type:ty),*) => {$(
        impl<'de> FromJson<'de> for $type {
            const EXPECTED: &'static str = "a string";

            fn from_text(text: &str) -> Parsed<Self> {
                checked(ValidationCode::Format, without_blanks(text, Self::parse))
            }
        }
    )*};
}

name!(CustomerId, LineId, Reference, Sku, Text<64>, Text<128>);

scalar! {
    Currency: from_text(&str), "a string", Enum;
    Text<200>: from_text(&str), "a string", Format;
    Text<500>: from_text(&str), "a string", Format;
    Text<2000>: from_text(&str), "a string", Format;
    Quantity: from_integer(i64), "an integer", Range;
    Amount: from_integer(i64), "an integer in minor units", Range;
    SignedAmount: from_integer(i64), "an integer in minor units", Range;
}

impl<'de> FromJson<'de> for String {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        Ok(text.to_owned())
    }
}
