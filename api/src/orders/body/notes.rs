//! The data of events about the order itself: amendments, notes, holds and confirmations.

use domain::adjustments::Adjustments;
use domain::contact::Contact;
use domain::event::{Amended, Annotated, Empty, Held, Notes, Released};
use domain::{LineItems, MetadataPatch, Reference, Text};
use serde::de::MapAccess;
use utoipa::ToSchema;
use validator::Validate;

use super::{AdjustmentBody, ClientData, ContactBody, OrderLineBody, data};
use crate::input::{BodyField, FromJson, Parsed, ValidationCode, invalid, members, read_object};

/// Data of `order_amended`: at least one member. Each member replaces the whole corresponding part of the order. The
/// order keeps parts whose member is absent.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(crate) struct AmendedData {
    /// All lines of the amended order.
    #[validate(custom(function = not_null))]
    #[schema(value_type = Vec<OrderLineBody>, required = false, min_items = 1, max_items = 1000)]
    items: BodyField<LineItems>,
    /// All adjustments of the amended order. An adjustment of a line must name a line of the amended order.
    #[validate(custom(function = not_null))]
    #[schema(value_type = Vec<AdjustmentBody>, required = false, max_items = 100)]
    adjustments: BodyField<Adjustments>,
    /// The contact of the amended order.
    #[validate(custom(function = not_null))]
    #[schema(value_type = ContactBody, required = false)]
    contact: BodyField<Box<Contact>>,
    /// Your own number of the amended order. No other order of this service may have the same number.
    #[validate(custom(function = not_null))]
    #[schema(
        value_type = String, required = false, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    reference: BodyField<Reference>,
}

/// Data of `order_annotated`, which has at least one member.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(crate) struct AnnotatedData {
    /// Changes of the metadata, as a merge patch (RFC 7396): a string sets an entry, and `null` removes it.
    #[validate(custom(function = not_null))]
    #[schema(schema_with = crate::describe::schemas::metadata_patch, required = false)]
    metadata: BodyField<MetadataPatch>,
    /// The new notes, which replace all earlier notes.
    #[validate(custom(function = not_null))]
    #[schema(
        value_type = String, required = false, min_length = 1, max_length = 2000,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    notes: BodyField<Notes>,
}

/// Data of `order_held` and `order_released`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldData {
    /// Identifies the hold within its order, such as `fraud-check`.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 64,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    hold: BodyField<Text<64>>,
    /// The reason.
    #[schema(
        value_type = Option<String>, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
}

/// Data of `order_confirmed`: an empty object, which may be omitted.
#[derive(Debug, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoData {}

impl Validate for NoData {
    fn validate(&self) -> Result<(), validator::ValidationErrors> {
        Ok(())
    }
}

/// Refuses `null`. Clients could expect `null` to remove a part of the order, but a part can only be replaced.
fn not_null<T>(field: &BodyField<T>) -> Result<(), validator::ValidationError> {
    match field {
        BodyField::Null => Err(ValidationCode::Type
            .error("must not be null; to leave this part of the order unchanged, omit the member")),
        _ => Ok(()),
    }
}

members!(AmendedData {
    "items" => items,
    "adjustments" => adjustments,
    "contact" => contact,
    "reference" => reference,
});
members!(AnnotatedData { "metadata" => metadata, "notes" => notes });
members!(HoldData { "hold" => hold, "reason" => reason });
members!(NoData {});

data! {
    Held, HoldData => |data| Some(Self { hold: data.hold.into_valid()?, reason: data.reason.into_valid() });
    Released, HoldData => |data| Some(Self { hold: data.hold.into_valid()?, reason: data.reason.into_valid() });
}

impl<'de> FromJson<'de> for Amended {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        let amended = read_object(members, |data: AmendedData| {
            Some(Self {
                items: data.items.into_valid(),
                adjustments: data.adjustments.into_valid(),
                contact: data.contact.into_valid(),
                reference: data.reference.into_valid(),
            })
        })?;
        let parts = "must have at least one of items, adjustments, contact and reference";
        Ok(amended.and_then(|amended| changes(amended, parts)))
    }
}

impl<'de> FromJson<'de> for Annotated {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        let annotated = read_object(members, |data: AnnotatedData| {
            Some(Self {
                metadata: data.metadata.into_valid().unwrap_or_default(),
                notes: data.notes.into_valid(),
            })
        })?;
        Ok(annotated.and_then(|annotated| changes(annotated, "must have at least one of metadata and notes")))
    }
}

/// Refuses data that changes nothing.
fn changes<T: Default + PartialEq>(data: T, rule: &'static str) -> Parsed<T> {
    if data == T::default() { Err(invalid(ValidationCode::Required, rule)) } else { Ok(data) }
}

impl<'de> FromJson<'de> for Empty {
    const EXPECTED: &'static str = "an object without members";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |_: NoData| Some(Self {}))
    }
}

impl ClientData for Amended {
    type Body = AmendedData;
}

impl ClientData for Annotated {
    type Body = AnnotatedData;
}

impl ClientData for Empty {
    type Body = NoData;

    fn absent() -> Option<Self> {
        Some(Self {})
    }
}

impl ClientData for Held {
    type Body = HoldData;
}

impl ClientData for Released {
    type Body = HoldData;
}
