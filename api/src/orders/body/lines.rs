//! The parts of request bodies that describe lines: the lines of an order, and the numbers of units in an event.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use domain::lines::line_id;
use domain::{Amount, LineId, LineItem, LineItems, LineQuantities, LineQuantity, Quantity, Sku, Text};
use serde::de::SeqAccess;
use utoipa::ToSchema;
use validator::Validate;

use super::data;
use crate::input::{
    BodyErrors, BodyField, FromJson, Parsed, ValidationCode, check_length, checked, invalid, members,
    read_elements,
};

/// A line of an order.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Line)]
pub(crate) struct OrderLineBody {
    /// Your id of the line, unique within its order. If absent, the position of the line is its id: `1` for the first
    /// line.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    line_id: BodyField<LineId>,
    /// The stock keeping unit.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "MUG-BLUE"
    )]
    sku: BodyField<Sku>,
    /// The product's name, for people.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 200,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    name: BodyField<Text<200>>,
    /// The number of units.
    #[validate(required)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000, example = 2)]
    quantity: BodyField<Quantity>,
    /// The price of one unit, in the currency's minor unit.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 1250)]
    unit_price: BodyField<Amount>,
}

members!(OrderLineBody {
    "line_id" => line_id,
    "sku" => sku,
    "name" => name,
    "quantity" => quantity,
    "unit_price" => unit_price,
});

/// A number of units of one line.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LineQuantity)]
pub(crate) struct LineQuantityBody {
    /// The id of the line. Each line may occur only once.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$", example = "1"
    )]
    line_id: BodyField<LineId>,
    /// The number of units.
    #[validate(required)]
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000, example = 1)]
    quantity: BodyField<Quantity>,
}

members!(LineQuantityBody { "line_id" => line_id, "quantity" => quantity });

data! {
    LineItem, OrderLineBody => |line| Some(Self {
        line_id: line.line_id.into_valid(),
        sku: line.sku.into_valid()?,
        name: line.name.into_valid(),
        quantity: line.quantity.into_valid()?,
        unit_price: Some(line.unit_price.into_valid()?),
    });
    LineQuantity, LineQuantityBody => |line| Some(Self {
        line_id: line.line_id.into_valid()?,
        quantity: line.quantity.into_valid()?,
    });
}

impl<'de> FromJson<'de> for LineItems {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let id = |line: &LineItem, index| line_id(line.line_id.as_ref(), index).into_owned();
        let rule = "must be unique within the order; a line without a line_id has its position as its id";
        let lines = read_distinct(array, 1..=Self::MAX, "lines", ("line_id", rule), id)?;
        // The number of lines and their ids are valid here, so `parse` refuses only lines whose sum is too
        // large. The error must name the sum.
        let sum =
            |lines| Self::parse(lines).map_err(|error| invalid(ValidationCode::Range, error.to_string()));
        Ok(lines.and_then(sum))
    }
}

impl<'de> FromJson<'de> for LineQuantities {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let id = |line: &LineQuantity, _| line.line_id.as_str().to_owned();
        let rule = "must occur only once";
        let lines = read_distinct(array, 1..=LineItems::MAX, "lines", ("line_id", rule), id)?;
        Ok(lines.and_then(|lines| checked(ValidationCode::Length, Self::parse(lines))))
    }
}

/// Reads the elements of an array. Their number must be within `allowed`, and their ids must be distinct. `id` returns
/// the id of an element, and `member` is the name of the member that contains the id. `rule` is the error for an id
/// that occurred before.
pub(super) fn read_distinct<'de, T: FromJson<'de>, A: SeqAccess<'de>>(
    array: A,
    allowed: RangeInclusive<usize>,
    what: &str,
    (member, rule): (&str, &'static str),
    id: impl Fn(&T, usize) -> String,
) -> Result<Parsed<Vec<T>>, A::Error> {
    let (mut elements, mut seen) = (Vec::new(), HashSet::new());
    let mut errors = BodyErrors::default();
    let count = read_elements(array, *allowed.end(), |at, element: Parsed<T>| {
        // An array with one element, the most frequent case, cannot repeat an id. So the set of seen ids is filled only
        // from the second element on.
        if at == 1 {
            seen.extend(elements.iter().map(|first| id(first, 0)));
        }
        match element {
            Ok(element) if at == 0 || seen.insert(id(&element, at)) => elements.push(element),
            Ok(_) => {
                let mut duplicate = BodyErrors::default();
                duplicate.add(member, ValidationCode::Duplicate, rule);
                errors.extend_at(&at.to_string(), duplicate);
            }
            Err(of_element) => errors.extend_at(&at.to_string(), *of_element),
        }
        errors.next()
    })?;
    if let Err(rule) = check_length(count, allowed, what) {
        errors.extend_replacing(*rule);
    }
    Ok(if errors.is_empty() { Ok(elements) } else { Err(Box::new(errors)) })
}
