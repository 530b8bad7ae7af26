//! Small value types: each is parsed once and cannot hold an invalid value afterwards.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a value was refused: what it was meant to be, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {rule}")]
pub struct InvalidValue {
    /// The kind of value, as users call it: `order id`, `quantity`, …
    pub what: &'static str,
    /// The rule, phrased to follow the kind: `must be 1–64 characters of [A-Za-z0-9_-]`.
    pub rule: String,
}

impl InvalidValue {
    /// A refusal of a `what` by a `rule`.
    pub fn new(what: &'static str, rule: impl Into<String>) -> Self {
        Self { what, rule: rule.into() }
    }
}

/// Checks free text: 1 to `max` characters, not all blank, no control characters but tab and newline.
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

/// Checks a name, which is text on one line: no tab and no newline either.
pub(crate) fn check_name(what: &'static str, text: &str, max: usize) -> Result<(), InvalidValue> {
    check_text(what, if text.contains(['\n', '\t']) { "" } else { text }, max)
}

/// Parses an id or a name around which there are no blanks: whoever sends some has left them there by mistake, and will not
/// find again what is named so. The values themselves may have them, for logs may hold such already.
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

/// Implements the string conversions and serde of a newtype over a string from its `parse`.
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

/// Reads an integer, however it is written: JSON has one kind of number, so `450.0` and `1e3` are integers, too. One that
/// does not fit becomes the smallest or the largest that does, which no value of ours may be.
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

/// The integer that this number is, if it is one; the smallest or the largest that there is, if it is beyond that.
pub fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

/// Free text of 1 to `MAX` characters without control characters (tab and newline are fine).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Parses a text; an error names the rule.
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

/// A point in time, UTC, to the microsecond.
///
/// Written as RFC 3339 with `Z`. Read as RFC 3339 with any offset, whose colon may be missing, as in `+0000`; from producers
/// also without an offset, which means UTC: Python's `datetime.utcnow().isoformat()`, which the article's producer sends,
/// writes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The time of `at`, cut to the microsecond.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at))
    }

    /// Parses an RFC 3339 time; one without an offset is UTC.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        Self::zoned(text).or_else(|| Self::zoned(&format!("{text}Z"))).ok_or_else(Self::refusal)
    }

    /// Parses an RFC 3339 time that has an offset: where whoever wrote it can be asked what they meant.
    pub fn parse_with_offset(text: &str) -> Result<Self, InvalidValue> {
        Self::zoned(text).ok_or_else(|| match Self::zoned(&format!("{text}Z")) {
            Some(_) => InvalidValue::new("timestamp", "must have an offset: Z, or one such as +00:00"),
            None => Self::refusal(),
        })
    }

    fn zoned(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).or_else(|error| {
            // RFC 3339 has a colon in the offset, and ISO 8601 can do without.
            let (time, offset) = text.split_at_checked(text.len().saturating_sub(4)).ok_or(error)?;
            let is_offset = time.ends_with(['+', '-']) && offset.bytes().all(|b| b.is_ascii_digit());
            let (hours, minutes) = offset.split_at_checked(2).filter(|_| is_offset).ok_or(error)?;
            DateTime::parse_from_rfc3339(&format!("{time}{hours}:{minutes}"))
        });
        // Checked in UTC, where an offset or a leap second may have led out of the years RFC 3339 can write.
        let at = Self::new(parsed.ok()?.to_utc());
        (0..10_000).contains(&at.0.year()).then_some(at)
    }

    fn refusal() -> InvalidValue {
        InvalidValue::new("timestamp", "must be an RFC 3339 time, such as 2026-11-23T10:00:00Z")
    }

    /// The time this many milliseconds after 1970-01-01T00:00:00Z, if RFC 3339 can write it.
    pub fn from_millis(millis: i64) -> Option<Self> {
        Self::from_micros(millis.checked_mul(1000)?)
    }

    /// The time this many microseconds after 1970-01-01T00:00:00Z, if RFC 3339 can write it.
    pub fn from_micros(micros: i64) -> Option<Self> {
        let at = DateTime::from_timestamp_micros(micros)?;
        (0..10_000).contains(&at.year()).then_some(Self(at))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Appends the time as it is written: RFC 3339 with `Z`, to the second, millisecond or microsecond, as it needs.
    pub(crate) fn write_to(self, out: &mut Vec<u8>) {
        let (date, second) = (self.0.date_naive(), self.0.num_seconds_from_midnight());
        let (year, micros) = (date.year(), self.0.timestamp_subsec_micros());
        if !(0..10_000).contains(&year) {
            // Not a time that RFC 3339 can write, and not one of ours.
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

    /// The time as chrono knows it.
    pub fn to_utc(self) -> DateTime<Utc> {
        self.0
    }
}

/// Writes the last digits of a number.
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

/// A client's own notes on an order: at most 20 entries, keys of 1–40 and values of 0–500 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// The most entries an order can carry.
    pub const MAX_ENTRIES: usize = 20;
    /// The longest key, in characters.
    pub const MAX_KEY: usize = 40;
    /// The longest value, in characters.
    pub const MAX_VALUE: usize = 500;

    /// Checks the limits of every entry.
    pub fn parse(entries: BTreeMap<String, String>) -> Result<Self, InvalidValue> {
        let within = |(key, value): (&String, &String)| {
            check_text("key", key, Self::MAX_KEY).is_ok() && value.chars().count() <= Self::MAX_VALUE
        };
        if entries.len() > Self::MAX_ENTRIES || !entries.iter().all(within) {
            return Err(Self::limits());
        }
        Ok(Self(entries))
    }

    /// The refusal of entries that are too many or too long.
    pub fn limits() -> InvalidValue {
        let (n, k, v) = (Self::MAX_ENTRIES, Self::MAX_KEY, Self::MAX_VALUE);
        let rule = format!("must have at most {n} entries, keys of 1–{k} and values of up to {v} characters");
        InvalidValue::new("metadata", rule)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, by key.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
