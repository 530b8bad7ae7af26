//! Reads a JSON body in one pass that finds every error at once.
//!
//! `serde` stops at the first error. Here nothing that a body *says* stops the reading, only JSON that cannot be
//! parsed: each member is read into a [`Field`], which holds either the domain's value or what is wrong with it. The
//! rules of single values are the domain's own `parse` functions; those of a whole object are its DTO's `Validate`.
//!
//! What a body says can be anything, so what is kept of it is bounded: a list that is too long, or has a hundred errors, is
//! skipped from there on, and [`Errors`] are counted beyond the first hundred.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{ControlFlow, RangeInclusive};

use domain::InvalidValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use validator::{Validate, ValidateRequired};

use crate::input::validation::{Errors, FaultCode, IS_REQUIRED};

/// A value, or everything that is wrong with it.
pub(crate) type Read<T> = Result<T, Box<Errors>>;

/// Something that can be read from a JSON value. What is not implemented is the wrong type.
pub(crate) trait Content<'de>: Sized {
    /// The JSON type, in words that follow "must be".
    const EXPECTED: &'static str;

    fn from_text(_text: &str) -> Read<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_bool(_value: bool) -> Read<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_integer(_number: i64) -> Read<Self> {
        Err(wrong_type::<Self>())
    }

    fn from_array<A: SeqAccess<'de>>(mut array: A) -> Result<Read<Self>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(wrong_type::<Self>()))
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Read<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err(wrong_type::<Self>()))
    }
}

fn wrong_type<'de, T: Content<'de>>() -> Box<Errors> {
    fault(FaultCode::Type, format!("must be {}", T::EXPECTED))
}

/// A single fault of a value itself.
pub(crate) fn fault(code: FaultCode, detail: impl Into<Cow<'static, str>>) -> Box<Errors> {
    Box::new(Errors::own(code, detail))
}

/// Whether a list is as long as it must be.
pub(crate) fn checked_length(length: usize, allowed: RangeInclusive<usize>, what: &str) -> Read<()> {
    if allowed.contains(&length) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    Err(fault(FaultCode::Length, format!("must have {least}–{most} {what}")))
}

/// What the domain says of a value, with the kind of fault it is if it says no.
pub(crate) fn checked<T>(code: FaultCode, parsed: Result<T, InvalidValue>) -> Read<T> {
    parsed.map_err(|invalid| fault(code, invalid.rule))
}

/// The elements of an array, up to `most` and for as long as `element` goes on; the others are skipped, and only counted.
/// Gives the count of all.
pub(crate) fn elements<'de, T: Content<'de>, A: SeqAccess<'de>>(
    mut array: A,
    most: usize,
    mut element: impl FnMut(usize, Read<T>) -> ControlFlow<()>,
) -> Result<usize, A::Error> {
    let mut count = 0;
    while count < most {
        let Some(field) = array.next_element::<Field<T>>()? else { return Ok(count) };
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

/// One member of an object. `null` means the same as absent, but that it must be there only once.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    #[default]
    Absent,
    Null,
    Valid(T),
    Wrong(Box<Errors>),
}

impl<T> Field<T> {
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

    /// The value, where absence is a fault.
    pub(crate) fn required(self) -> Read<T> {
        match self {
            Self::Valid(value) => Ok(value),
            Self::Wrong(errors) => Err(errors),
            Self::Absent | Self::Null => Err(fault(FaultCode::Required, IS_REQUIRED)),
        }
    }
}

impl<T> ValidateRequired for Field<T> {
    fn is_some(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }
}

/// `validator` puts the value it refuses beside the fault. It refuses absence only, which is `null`.
impl<T> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de, T: Content<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Content<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
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
        // JSON has one kind of number: `450.0` and `1e3` are integers, as JSON Schema sees it. What is too large for an
        // `i64` ends up at its limit, which no integer of a body may be.
        let integer = domain::value::whole(number);
        Ok(integer.map_or_else(|| Err(wrong_type::<T>()), T::from_integer).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        T::from_array(array).map(Field::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::from_object(object).map(Field::from)
    }
}

impl<T> From<Read<T>> for Field<T> {
    fn from(read: Read<T>) -> Self {
        read.map_or_else(Self::Wrong, Self::Valid)
    }
}

/// The name of a member, borrowed from the body where it holds no escapes.
#[derive(serde::Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A DTO that takes its members one by one; [`members!`](crate::input::body::members) implements it.
pub(crate) trait Members<'de>: Default + Validate {
    /// Reads the value of the member `name`.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, object: &mut A) -> Result<Taken, A::Error>;
}

/// What became of a member. If it is there again, or unknown, its value is still to be skipped.
pub(crate) enum Taken {
    Read,
    Wrong(Box<Errors>),
    Again,
    Unknown,
}

/// A place in a DTO that a member is read into.
pub(crate) trait Place<'de> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<Taken, A::Error>;
}

impl<'de, T: Content<'de>> Place<'de> for Field<T> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<Taken, A::Error> {
        if !matches!(self, Self::Absent) {
            return Ok(Taken::Again);
        }
        *self = object.next_value()?;
        Ok(match self {
            Self::Wrong(errors) => Taken::Wrong(std::mem::take(errors)),
            Self::Absent | Self::Null | Self::Valid(_) => Taken::Read,
        })
    }
}

/// Implements [`Members`]: which member is read into which field.
macro_rules! members {
    ($type:ty { $($name:literal => $field:ident),* $(,)? }) => {
        impl<'de> $crate::input::Members<'de> for $type {
            fn take<A: serde::de::MapAccess<'de>>(
                &mut self,
                name: &str,
                _object: &mut A,
            ) -> Result<$crate::input::Taken, A::Error> {
                match name {
                    $($name => $crate::input::Place::take(&mut self.$field, _object),)*
                    _ => Ok($crate::input::Taken::Unknown),
                }
            }
        }
    };
}
pub(crate) use members;

/// Reads the members of an object, and everything that is wrong with them: `validator` finds which are missing, and what
/// is wrong with those that are there is known from reading them.
pub(crate) fn members_of<'de, T: Members<'de>, A: MapAccess<'de>>(
    mut object: A,
) -> Result<(T, Errors), A::Error> {
    let mut members = T::default();
    let mut errors = Errors::default();
    while let Some(Name(name)) = object.next_key()? {
        let (code, detail) = match members.take(&name, &mut object)? {
            Taken::Read => continue,
            Taken::Wrong(what) => {
                errors.extend_at(&name, *what);
                continue;
            }
            Taken::Again => (FaultCode::Duplicate, "must be there only once"),
            Taken::Unknown => (FaultCode::Unknown, "is not known here"),
        };
        object.next_value::<IgnoredAny>()?;
        errors.add(&name, code, detail);
    }
    if let Err(found) = members.validate() {
        errors.extend_validated(&found);
    }
    Ok((members, errors))
}

/// Reads an object: if nothing is wrong with its members, `value` makes the domain's value of them.
pub(crate) fn object<'de, T: Members<'de>, V, A: MapAccess<'de>>(
    object: A,
    value: impl FnOnce(T) -> Option<V>,
) -> Result<Read<V>, A::Error> {
    let (members, errors) = members_of(object)?;
    if !errors.is_empty() {
        return Ok(Err(Box::new(errors)));
    }
    Ok(Ok(value(members).expect("validation found every required member")))
}
