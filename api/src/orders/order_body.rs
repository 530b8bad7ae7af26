//! The body that creates an order: its members, its rules, and its conversion to the domain's values. `accept` and
//! `batch` read it.

use std::collections::BTreeMap;

use domain::event::Created;
use domain::value::without_blanks;
use domain::{Amount, Currency, CustomerId, LineItem, LineItems, Metadata, Quantity, Sku, Text};
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use utoipa::ToSchema;
use validator::Validate;

use crate::input::{
    BodyErrors, BodyField, FromJson, MemberName, Parsed, ValidationCode, at_member, checked, invalid,
    members, read_elements, read_object,
};

/// An order to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = total_is_the_sum, skip_on_field_errors = false))]
pub(crate) struct CreateOrder {
    /// The customer who places the order.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "customer-7"
    )]
    customer_id: BodyField<CustomerId>,
    /// The ISO 4217 code of the currency of every amount.
    #[validate(required)]
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: BodyField<Currency>,
    /// The line items. Their sum must not exceed 9,007,199,254,740,991.
    #[validate(required)]
    #[schema(value_type = Vec<OrderLineBody>, min_items = 1, max_items = 200)]
    items: BodyField<LineItems>,
    /// If present, it must equal the sum of quantity × unit price.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    total: BodyField<Amount>,
    /// Your own notes: at most 20 entries.
    #[schema(schema_with = crate::describe::schemas::metadata, required = false)]
    metadata: BodyField<Metadata>,
}

members!(CreateOrder {
    "customer_id" => customer_id,
    "currency" => currency,
    "items" => items,
    "total" => total,
    "metadata" => metadata,
});

fn total_is_the_sum(order: &CreateOrder) -> Result<(), validator::ValidationError> {
    match (order.total.as_valid(), order.items.as_valid()) {
        (Some(total), Some(items)) if *total != items.total() => {
            let detail = format!("must equal the sum of the line items, {}", items.total().minor());
            Err(at_member(ValidationCode::Sum.error(detail), "total"))
        }
        _ => Ok(()),
    }
}

impl<'de> FromJson<'de> for Created {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |order: CreateOrder| {
            let items = order.items.into_valid()?;
            Some(Self {
                customer_id: order.customer_id.into_valid()?,
                currency: order.currency.into_valid()?,
                total: items.total(),
                items,
                metadata: order.metadata.into_valid().unwrap_or_default(),
                adjustments: domain::adjustments::Adjustments::default(),
                reference: None,
                contact: None,
                notes: None,
                expires_at: None,
                ship_unpaid: false,
            })
        })
    }
}

/// A line item of an order.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Line)]
pub(crate) struct OrderLineBody {
    /// The stock keeping unit.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "MUG-BLUE"
    )]
    sku: BodyField<Sku>,
    /// The number of units.
    #[validate(required)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: BodyField<Quantity>,
    /// The price of one unit, in the currency's minor unit.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 1250)]
    unit_price: BodyField<Amount>,
}

members!(OrderLineBody { "sku" => sku, "quantity" => quantity, "unit_price" => unit_price });

impl<'de> FromJson<'de> for LineItem {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |line: OrderLineBody| {
            Some(Self {
                line_id: None,
                name: None,
                sku: line.sku.into_valid()?,
                quantity: line.quantity.into_valid()?,
                unit_price: Some(line.unit_price.into_valid()?),
            })
        })
    }
}

impl<'de> FromJson<'de> for LineItems {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let mut lines = Vec::new();
        let mut errors = BodyErrors::default();
        let count = read_elements(array, Self::MAX, |at, line| {
            match line {
                Ok(line) => lines.push(line),
                Err(of_line) => errors.extend_at(&at.to_string(), *of_line),
            }
            errors.next()
        })?;
        if count > Self::MAX
            && let Err(rule) = checked(ValidationCode::Length, Self::parse(Vec::new()))
        {
            // The rule is the same for no order lines and for too many, so parsing an empty list returns the error.
            errors.extend_replacing(*rule);
        }
        if !errors.is_empty() {
            return Ok(Err(Box::new(errors)));
        }
        if !(1..=Self::MAX).contains(&lines.len()) {
            return Ok(checked(ValidationCode::Length, Self::parse(lines)));
        }
        // With a valid number of order lines, only their sum can be wrong, so the error must name the sum.
        Ok(Self::parse(lines).map_err(|error| invalid(ValidationCode::Range, error.to_string())))
    }
}

impl<'de> FromJson<'de> for Metadata {
    const EXPECTED: &'static str = "an object of strings";

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Parsed<Self>, A::Error> {
        let mut entries = BTreeMap::new();
        let mut errors = BodyErrors::default();
        let mut count = 0;
        while let Some(MemberName(key)) = object.next_key()? {
            count += 1;
            if count > Self::MAX_ENTRIES {
                object.next_value::<IgnoredAny>()?;
            } else if entries.contains_key(&*key) {
                object.next_value::<IgnoredAny>()?;
                errors.add(&key, ValidationCode::Duplicate, "must occur only once");
            } else {
                match object.next_value::<BodyField<String>>()?.required() {
                    Ok(value) => drop(entries.insert(key.into_owned(), value)),
                    Err(of_entry) => errors.extend_at(&key, *of_entry),
                }
            }
        }
        let parsed = if count > Self::MAX_ENTRIES { Err(Self::limits()) } else { Self::parse(entries) };
        match checked(ValidationCode::Length, parsed) {
            Ok(metadata) if errors.is_empty() => return Ok(Ok(metadata)),
            Ok(_) => {}
            Err(limits) => errors.extend(*limits),
        }
        Ok(Err(Box::new(errors)))
    }
}

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

name!(CustomerId, Sku, Text<128>);

scalar! {
    Currency: from_text(&str), "a string", Enum;
    Text<500>: from_text(&str), "a string", Format;
    Quantity: from_integer(i64), "an integer", Range;
    Amount: from_integer(i64), "an integer in minor units", Range;
}

impl<'de> FromJson<'de> for String {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        Ok(text.to_owned())
    }
}
