//! Small value types, which all crates use. A value is parsed once, and is always valid afterwards.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a value was refused: the kind of value, and the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {rule}")]
pub struct InvalidValue {
    /// The kind of value, in words that users understand: `order id`, `quantity`, …
    pub what: &'static str,
    /// The rule, as the end of a sentence that begins with the kind: `must be 1–64 characters of [A-Za-z0-9_-]`.
    pub rule: String,
}

impl InvalidValue {
    /// The error for a value that breaks `rule`.
    pub fn new(what: &'static str, rule: impl Into<String>) -> Self {
        Self { what, rule: rule.into() }
    }
}

/// Checks free text: 1 to `max` characters, at least one of which is not blank, and no control characters except tab
/// and newline.
pub(crate) fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), InvalidValue> {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() || text.chars().count() > max || text.chars().any(control) {
        return Err(InvalidValue::new(
            what,
            format!("must be 1–{max} characters, without control characters"),
        ));
    }
    Ok(())
}

/// Checks a name, which is free text without tabs and newlines.
pub(crate) fn check_name(what: &'static str, text: &str, max: usize) -> Result<(), InvalidValue> {
    check_text(what, if text.contains(['\n', '\t']) { "" } else { text }, max)
}

/// Parses an id or a name from a client, and refuses leading and trailing blanks. A client that added such
/// blanks by mistake could not find the order by the intended id. The types of ids allow blanks, because logs
/// may already contain them.
pub fn without_blanks<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
) -> Result<T, InvalidValue> {
    let value = parse(text)?;
    if text.trim().len() < text.len() {
        return Err(InvalidValue::new("name", "must not begin or end with a blank"));
    }
    Ok(value)
}

/// Implements conversion to and from strings, and serde, for a newtype over a string. The type must have a function
/// `parse`.
macro_rules! string_value {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $type {
            type Err = $crate::value::InvalidValue;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use string_value;

/// Reads an integer. JSON has only one kind of number, so `450.0` and `1e3` are integers, too. A number outside the
/// range of `i64` becomes the smallest or largest `i64`, which no value type accepts.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Integer;

    impl de::Visitor<'_> for Integer {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an integer")
        }

        fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }

        fn visit_u64<E>(self, number: u64) -> Result<i64, E> {
            Ok(i64::try_from(number).unwrap_or(i64::MAX))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
            whole(number).ok_or_else(|| E::invalid_type(de::Unexpected::Float(number), &self))
        }
    }

    deserializer.deserialize_i64(Integer)
}

/// The number as an integer, or `None` if it has a fraction. A number outside the range of `i64` becomes the smallest
/// or largest `i64`.
pub fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

/// Free text of 1 to `MAX` characters, without control characters except tab and newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Parses free text. The error states the rule for free text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        check_text("text", text, MAX)?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A point in time in UTC, with microsecond precision.
///
/// A time is written as RFC 3339 with `Z`. It is read as RFC 3339 with any offset, and the colon in the offset is
/// optional, as in `+0000`. A time without an offset means UTC, because v0 producers send the result of Python's
/// `datetime.utcnow().isoformat()`, which has no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The time `at`, truncated to microseconds.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at))
    }

    /// Parses an RFC 3339 time. A time without an offset is in UTC.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        Self::zoned(text).or_else(|| Self::zoned(&format!("{text}Z"))).ok_or_else(Self::refusal)
    }

    /// Parses an RFC 3339 time that must have an offset. The API uses this parser, because a time without an
    /// offset is ambiguous and a client can add the offset.
    pub fn parse_with_offset(text: &str) -> Result<Self, InvalidValue> {
        Self::zoned(text).ok_or_else(|| match Self::zoned(&format!("{text}Z")) {
            Some(_) => InvalidValue::new("timestamp", "must have an offset, such as Z or +00:00"),
            None => Self::refusal(),
        })
    }

    fn zoned(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).or_else(|error| {
            // RFC 3339 requires a colon in the offset; ISO 8601 does not.
            let (time, offset) = text.split_at_checked(text.len().saturating_sub(4)).ok_or(error)?;
            let is_offset = time.ends_with(['+', '-']) && offset.bytes().all(|b| b.is_ascii_digit());
            let (hours, minutes) = offset.split_at_checked(2).filter(|_| is_offset).ok_or(error)?;
            DateTime::parse_from_rfc3339(&format!("{time}{hours}:{minutes}"))
        });
        // After the conversion to UTC, an offset or a leap second can lead to a year that RFC 3339 cannot express.
        let at = Self::new(parsed.ok()?.to_utc());
        (0..10_000).contains(&at.0.year()).then_some(at)
    }

    fn refusal() -> InvalidValue {
        InvalidValue::new("timestamp", "must be an RFC 3339 time, such as 2026-11-23T10:00:00Z")
    }

    /// The time `millis` milliseconds after 1970-01-01T00:00:00Z, if RFC 3339 can express the time.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_micros(millis.checked_mul(1000)?)
    }

    /// The time `micros` microseconds after 1970-01-01T00:00:00Z, if RFC 3339 can express the time.
    pub fn from_micros(micros: i64) -> Option<Self> {
        let at = DateTime::from_timestamp_micros(micros)?;
        (0..10_000).contains(&at.year()).then_some(Self(at))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Appends the time in the format of RFC 3339 with `Z`. The fraction of a second has 0, 3 or 6 digits, as few as
    /// possible.
    pub(crate) fn write_to(self, out: &mut Vec<u8>) {
        let (date, second) = (self.0.date_naive(), self.0.num_seconds_from_midnight());
        let (year, micros) = (date.year(), self.0.timestamp_subsec_micros());
        if !(0..10_000).contains(&year) {
            // RFC 3339 cannot express this year. So the time does not come from a parser of this module.
            return out.extend_from_slice(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true).as_bytes());
        }
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut text[0..4], year.unsigned_abs());
        digits(&mut text[5..7], date.month());
        digits(&mut text[8..10], date.day());
        digits(&mut text[11..13], second / 3600);
        digits(&mut text[14..16], second / 60 % 60);
        digits(&mut text[17..19], second % 60);
        digits(&mut text[20..26], micros);
        let end = match micros {
            0 => 19,
            whole if whole % 1000 == 0 => 23,
            _ => 26,
        };
        text[end] = b'Z';
        out.extend_from_slice(&text[..=end]);
    }

    /// The time as a `chrono` type.
    pub fn to_utc(self) -> DateTime<Utc> {
        self.0
    }
}

/// Fills `text` with the last decimal digits of `number`.
fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).expect("digits and punctuation are ASCII"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Whether the flag is not set. `skip_serializing_if` uses this function to omit such a flag.
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
