//! The client's own key-value data, and changes of this data. Orders and `order_annotated` contain them.

use std::collections::BTreeMap;

use domain::{Metadata, MetadataPatch};
use serde::de::{IgnoredAny, MapAccess};

use crate::input::{BodyErrors, BodyField, FromJson, MemberName, Parsed, ValidationCode, checked, invalid};

impl<'de> FromJson<'de> for Metadata {
    const EXPECTED: &'static str = "an object of strings";

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Parsed<Self>, A::Error> {
        read_entries(object, BodyField::<String>::required, Self::parse)
    }
}

impl<'de> FromJson<'de> for MetadataPatch {
    const EXPECTED: &'static str = "an object of strings and nulls";

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Parsed<Self>, A::Error> {
        let value = |field: BodyField<String>| match field {
            BodyField::Null => Ok(None),
            field => field.required().map(Some),
        };
        let patch = read_entries(object, value, Self::parse)?;
        Ok(patch.and_then(|patch| match patch.is_empty() {
            true => Err(invalid(ValidationCode::Length, "must have at least one entry")),
            false => Ok(patch),
        }))
    }
}

/// Reads the entries of an object. Entries beyond the limit are not stored but only counted.
fn read_entries<'de, V, T, A: MapAccess<'de>>(
    mut object: A,
    value: impl Fn(BodyField<String>) -> Parsed<V>,
    parse: impl FnOnce(BTreeMap<String, V>) -> Result<T, domain::InvalidValue>,
) -> Result<Parsed<T>, A::Error> {
    let mut entries = BTreeMap::new();
    let mut errors = BodyErrors::default();
    let mut count = 0;
    while let Some(MemberName(key)) = object.next_key()? {
        count += 1;
        if count > Metadata::MAX_ENTRIES {
            object.next_value::<IgnoredAny>()?;
        } else if entries.contains_key(&*key) {
            object.next_value::<IgnoredAny>()?;
            errors.add(&key, ValidationCode::Duplicate, "must occur only once");
        } else {
            match value(object.next_value()?) {
                Ok(value) => drop(entries.insert(key.into_owned(), value)),
                Err(of_entry) => errors.extend_at(&key, *of_entry),
            }
        }
    }
    let parsed = if count > Metadata::MAX_ENTRIES { Err(Metadata::limits()) } else { parse(entries) };
    match checked(ValidationCode::Length, parsed) {
        Ok(parsed) if errors.is_empty() => return Ok(Ok(parsed)),
        Ok(_) => {}
        Err(limits) => errors.extend(*limits),
    }
    Ok(Err(Box::new(errors)))
}
