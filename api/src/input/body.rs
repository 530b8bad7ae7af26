//! Parses a JSON body in one pass and collects all errors of the body. `json` calls the parser. The bodies in `orders`
//! and `operator` implement [`FromJson`].
//!
//! `serde` stops at the first error. This parser stops only at invalid JSON. It reads each member into a [`BodyField`],
//! which holds either the domain's value or the errors of the member. The domain's `parse` functions check single
//! values, and the `Validate` implementation of a DTO checks a whole object.
//!
//! Memory is bounded for every body. The parser skips the rest of a list if the list is too long or has a hundred
//! errors. It stores the first hundred errors of a body and only counts the others.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{ControlFlow, RangeInclusive};

use domain::InvalidValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use validator::{Validate, ValidateRequired};

use crate::input::validation::{BodyErrors, IS_REQUIRED, ValidationCode};

/// A value, or all its errors.
pub(crate) type Parsed<T> = Result<T, Box<BodyErrors>>;

/// A value that can be read from JSON. A type implements the methods for the JSON types that it accepts. The default
/// implementation of each method reports a wrong JSON type.
pub(crate) trait FromJson<'de>: Sized {
    /// The expected JSON type. Error messages write this text after "must be".
    const EXPECTED: &'static str;

    fn from_text(_text: &str) -> Parsed<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_bool(_value: bool) -> Parsed<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_integer(_number: i64) -> Parsed<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_array<A: SeqAccess<'de>>(mut array: A) -> Result<Parsed<Self>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(wrong_type::<Self>()))
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Parsed<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err(wrong_type::<Self>()))
    }
}

/// A boxed object. A large object that few bodies have is boxed, so that the other bodies stay small.
impl<'de, T: FromJson<'de>> FromJson<'de> for Box<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Parsed<Self>, A::Error> {
        Ok(T::from_object(object)?.map(Self::new))
    }
}

fn wrong_type<'de, T: FromJson<'de>>() -> Box<BodyErrors> {
    invalid(ValidationCode::Type, format!("must be {}", T::EXPECTED))
}

/// Creates a list with one error, which concerns the value as a whole.
pub(crate) fn invalid(code: ValidationCode, detail: impl Into<Cow<'static, str>>) -> Box<BodyErrors> {
    Box::new(BodyErrors::own(code, detail))
}

/// Checks the length of a list.
pub(crate) fn check_length(length: usize, allowed: RangeInclusive<usize>, what: &str) -> Parsed<()> {
    if allowed.contains(&length) {
        return Ok(());
    }
    let (min, max) = allowed.into_inner();
    Err(invalid(ValidationCode::Length, format!("must have {min}–{max} {what}")))
}

/// Converts the result of the domain's `parse`. A failure becomes a validation error with the code `code`.
pub(crate) fn checked<T>(code: ValidationCode, parsed: Result<T, InvalidValue>) -> Parsed<T> {
    parsed.map_err(|error| invalid(code, error.rule))
}

/// Passes the first elements of an array to `element`: at most `max`, and none after `element` returns `Break`. Skips
/// the remaining elements. Returns the number of all elements.
pub(crate) fn read_elements<'de, T: FromJson<'de>, A: SeqAccess<'de>>(
    mut array: A,
    max: usize,
    mut element: impl FnMut(usize, Parsed<T>) -> ControlFlow<()>,
) -> Result<usize, A::Error> {
    let mut count = 0;
    while count < max {
        let Some(field) = array.next_element::<BodyField<T>>()? else { return Ok(count) };
        let next = element(count, field.required());
        count += 1;
        if next.is_break() {
            break;
        }
    }
    while array.next_element::<IgnoredAny>()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// One member of an object. A `null` is treated like an absent member. But if the name occurs again after a `null`, it
/// is a duplicate.
#[derive(Debug, Default)]
pub(crate) enum BodyField<T> {
    #[default]
    Absent,
    Null,
    Valid(T),
    Wrong(Box<BodyErrors>),
}

impl<T> BodyField<T> {
    pub(crate) fn as_valid(&self) -> Option<&T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Absent | Self::Null | Self::Wrong(_) => None,
        }
    }

    pub(crate) fn into_valid(self) -> Option<T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Absent | Self::Null | Self::Wrong(_) => None,
        }
    }

    /// The value, or an error if the member is absent or invalid.
    pub(crate) fn required(self) -> Parsed<T> {
        match self {
            Self::Valid(value) => Ok(value),
            Self::Wrong(errors) => Err(errors),
            Self::Absent | Self::Null => Err(invalid(ValidationCode::Required, IS_REQUIRED)),
        }
    }
}

impl<T> ValidateRequired for BodyField<T> {
    fn is_some(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }
}

/// `validator` serializes a refused value to store it with its error. This validation refuses only absent values, so there is
/// nothing to serialize.
impl<T> Serialize for BodyField<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de, T: FromJson<'de>> Deserialize<'de> for BodyField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyFieldVisitor(PhantomData))
    }
}

struct BodyFieldVisitor<T>(PhantomData<T>);

impl<'de, T: FromJson<'de>> Visitor<'de> for BodyFieldVisitor<T> {
    type Value = BodyField<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BodyField::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::from_bool(value).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(text).into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::from_integer(number).into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::from_integer(i64::try_from(number).unwrap_or(i64::MAX)).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        // JSON has only one kind of number, so `450.0` and `1e3` are integers, as in JSON Schema. A number that is too
        // large for an `i64` becomes `i64::MAX`, which is outside of every allowed range.
        let integer = domain::value::whole(number);
        Ok(integer.map_or_else(|| Err(wrong_type::<T>()), T::from_integer).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        T::from_array(array).map(BodyField::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object).map(BodyField::from)
    }
}

impl<T> From<Parsed<T>> for BodyField<T> {
    fn from(read: Parsed<T>) -> Self {
        read.map_or_else(Self::Wrong, Self::Valid)
    }
}

/// The name of a member. It is borrowed from the body if it contains no escapes.
#[derive(serde::Deserialize)]
pub(crate) struct MemberName<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A DTO that reads its members one by one. [`members!`](members) implements it.
pub(crate) trait JsonMembers<'de>: Default + Validate {
    /// Reads the value of the member `name` from `object` into its field.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<MemberResult, A::Error>;
}

/// The result of reading a member. If the member is a duplicate or unknown, its value has not been read yet.
pub(crate) enum MemberResult {
    Read,
    Wrong(Box<BodyErrors>),
    Duplicate,
    Unknown,
}

/// A field of a DTO into which a member is read.
pub(crate) trait MemberSlot<'de> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<MemberResult, A::Error>;
}

impl<'de, T: FromJson<'de>> MemberSlot<'de> for BodyField<T> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<MemberResult, A::Error> {
        if !matches!(self, Self::Absent) {
            return Ok(MemberResult::Duplicate);
        }
        *self = object.next_value()?;
        Ok(match self {
            Self::Wrong(errors) => MemberResult::Wrong(std::mem::take(errors)),
            Self::Absent | Self::Null | Self::Valid(_) => MemberResult::Read,
        })
    }
}

/// Implements [`JsonMembers`] from a list of member names and fields.
macro_rules! members {
    ($type:ty { $($name:literal => $field:ident),* $(,)? }) => {
        impl<'de> $crate::input::JsonMembers<'de> for $type {
            fn take<A: serde::de::MapAccess<'de>>(
                &mut self,
                name: &str,
                _object: &mut A,
            ) -> Result<$crate::input::MemberResult, A::Error> {
                match name {
                    $($name => $crate::input::MemberSlot::take(&mut self.$field, _object),)*
                    _ => Ok($crate::input::MemberResult::Unknown),
                }
            }
        }
    };
}
pub(crate) use members;

/// Reads the members of an object and collects all their errors. Reading finds the errors of present members, and
/// `validator` finds the missing members.
pub(crate) fn read_members<'de, T: JsonMembers<'de>, A: MapAccess<'de>>(
    mut object: A,
) -> Result<(T, BodyErrors), A::Error> {
    let mut members = T::default();
    let mut errors = BodyErrors::default();
    while let Some(MemberName(name)) = object.next_key()? {
        let (code, detail) = match members.take(&name, &mut object)? {
            MemberResult::Read => continue,
            MemberResult::Wrong(what) => {
                errors.extend_at(&name, *what);
                continue;
            }
            MemberResult::Duplicate => (ValidationCode::Duplicate, "must occur only once"),
            MemberResult::Unknown => (ValidationCode::Unknown, "is unknown"),
        };
        object.next_value::<IgnoredAny>()?;
        errors.add(&name, code, detail);
    }
    if let Err(found) = members.validate() {
        errors.extend_validated(&found);
    }
    Ok((members, errors))
}

/// Reads an object. If no member has an error, `value` converts the members to the domain's value.
pub(crate) fn read_object<'de, T: JsonMembers<'de>, V, A: MapAccess<'de>>(
    object: A,
    value: impl FnOnce(T) -> Option<V>,
) -> Result<Parsed<V>, A::Error> {
    let (members, errors) = read_members(object)?;
    if !errors.is_empty() {
        return Ok(Err(Box::new(errors)));
    }
    Ok(Ok(value(members).expect("validation found every required member")))
}
