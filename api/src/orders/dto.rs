//! The body that creates an order: its members, the rule between them, and the domain's values made of it.

use std::collections::BTreeMap;

use domain::event::Created;
use domain::value::without_blanks;
use domain::{Amount, Currency, CustomerId, LineItem, LineItems, Metadata, Quantity, Sku, Text};
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::input::{checked, elements, fault, members, object, at_member, Content, Errors, FaultCode, Field, Name, Read};

/// An order to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = total_is_the_sum, skip_on_field_errors = false))]
pub(crate) struct CreateOrder {
    /// Who orders.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "customer-7"
    )]
    customer_id: Field<CustomerId>,
    /// The ISO 4217 code of the currency of every amount.
    #[validate(required)]
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Field<Currency>,
    /// What is ordered. The sum of the lines must not exceed the largest amount.
    #[validate(required)]
    #[schema(value_type = Vec<Line>, min_items = 1, max_items = 200)]
    items: Field<LineItems>,
    /// If given, it must equal the sum of quantity × unit price.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    total: Field<Amount>,
    /// Your own notes: at most 20 entries.
    #[schema(schema_with = crate::describe::schemas::metadata, required = false)]
    metadata: Field<Metadata>,
}

members!(CreateOrder {
    "customer_id" => customer_id,
    "currency" => currency,
    "items" => items,
    "total" => total,
    "metadata" => metadata,
});

fn total_is_the_sum(order: &CreateOrder) -> Result<(), ValidationError> {
    match (order.total.as_valid(), order.items.as_valid()) {
        (Some(total), Some(items)) if *total != items.total() => {
            let detail = format!("must equal the sum of the lines, {}", items.total().minor());
            Err(at_member(FaultCode::Sum.error(detail), "total"))
        }
        _ => Ok(()),
    }
}

impl<'de> Content<'de> for Created {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        object(members, |order: CreateOrder| {
            let items = order.items.into_valid()?;
            Some(Self {
                customer_id: order.customer_id.into_valid()?,
                currency: order.currency.into_valid()?,
                total: items.total(),
                items,
                metadata: order.metadata.into_valid().unwrap_or_default(),
            })
        })
    }
}

/// One line of an order.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// What is ordered.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "MUG-BLUE"
    )]
    sku: Field<Sku>,
    /// How many.
    #[validate(required)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: Field<Quantity>,
    /// The price of one, in the currency's minor unit.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 1250)]
    unit_price: Field<Amount>,
}

members!(Line { "sku" => sku, "quantity" => quantity, "unit_price" => unit_price });

impl<'de> Content<'de> for LineItem {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        object(members, |line: Line| {
            Some(Self {
                sku: line.sku.into_valid()?,
                quantity: line.quantity.into_valid()?,
                unit_price: Some(line.unit_price.into_valid()?),
            })
        })
    }
}

impl<'de> Content<'de> for LineItems {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Read<Self>, A::Error> {
        let mut lines = Vec::new();
        let mut errors = Errors::default();
        let count = elements(array, Self::MAX, |at, line| {
            match line {
                Ok(line) => lines.push(line),
                Err(of_line) => errors.extend_at(&at.to_string(), *of_line),
            }
            errors.next()
        })?;
        if count > Self::MAX
            && let Err(rule) = checked(FaultCode::Length, Self::parse(Vec::new()))
        {
            // No lines break the same rule as too many, so the domain words it.
            errors.insist(*rule);
        }
        if !errors.is_empty() {
            return Ok(Err(Box::new(errors)));
        }
        Ok(Self::parse(lines).map_err(|invalid| {
            // The domain speaks of the total when the lines add up to too much.
            let code = if invalid.what == "items" { FaultCode::Length } else { FaultCode::Range };
            fault(code, if invalid.what == "items" { invalid.rule } else { invalid.to_string() })
        }))
    }
}

impl<'de> Content<'de> for Metadata {
    const EXPECTED: &'static str = "an object of strings";

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Read<Self>, A::Error> {
        let mut entries = BTreeMap::new();
        let mut errors = Errors::default();
        let mut count = 0;
        while let Some(Name(key)) = object.next_key()? {
            count += 1;
            if count > Self::MAX_ENTRIES {
                object.next_value::<IgnoredAny>()?;
            } else if entries.contains_key(&*key) {
                object.next_value::<IgnoredAny>()?;
                errors.add(&key, FaultCode::Duplicate, "must be there only once");
            } else {
                match object.next_value::<Field<String>>()?.required() {
                    Ok(value) => drop(entries.insert(key.into_owned(), value)),
                    Err(of_entry) => errors.extend_at(&key, *of_entry),
                }
            }
        }
        let parsed = if count > Self::MAX_ENTRIES { Err(Self::limits()) } else { Self::parse(entries) };
        match checked(FaultCode::Length, parsed) {
            Ok(metadata) if errors.is_empty() => return Ok(Ok(metadata)),
            Ok(_) => {}
            Err(limits) => errors.extend(*limits),
        }
        Ok(Err(Box::new(errors)))
    }
}

/// Implements [`Content`] for a value that the domain parses from a string or an integer.
macro_rules! scalar {
    ($($type:ty: $from:ident($raw:ty), $expected:literal, $code:ident;)*) => {$(
        impl<'de> Content<'de> for $type {
            const EXPECTED: &'static str = $expected;

            fn $from(raw: $raw) -> Read<Self> {
                checked(FaultCode::$code, Self::parse(raw))
            }
        }
    )*};
}

/// Implements [`Content`] for an id or a name, around which there must be no blanks.
macro_rules! name {
    ($($type:ty),*) => {$(
        impl<'de> Content<'de> for $type {
            const EXPECTED: &'static str = "a string";

            fn from_text(text: &str) -> Read<Self> {
                checked(FaultCode::Format, without_blanks(text, Self::parse))
            }
        }
    )*};
}

name!(CustomerId, Sku, Text<128>);

scalar! {
    Currency: from_text(&str), "a string", Enum;
    Text<500>: from_text(&str), "a string", Format;
    Quantity: from_integer(i64), "an integer", Range;
    Amount: from_integer(i64), "an integer in minor units", Range;
}

impl<'de> Content<'de> for String {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Read<Self> {
        Ok(text.to_owned())
    }
}
