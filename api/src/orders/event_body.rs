//! The body that proposes an event: `{type, data}`, where the type determines the data. `accept` reads it.

use domain::event::{Amended, Cancelled, Delivered, Empty, Paid, Refunded, Returned, Shipped};
use domain::wording::value_error;
use domain::{Amount, Event, EventType, LineItems, Text};
use serde::de::MapAccess;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use validator::{Validate, ValidateRequired};

use crate::input::{
    BodyErrors, BodyField, FromJson, IS_REQUIRED, MemberResult, MemberSlot, Parsed, ValidationCode, invalid,
    members, read_members, read_object,
};

/// The types that clients may propose: all except `order_created`, which `POST /v1/orders` publishes.
pub(crate) fn proposable() -> impl Iterator<Item = EventType> {
    EventType::ALL.into_iter().filter(|event_type| *event_type != EventType::Created)
}

#[derive(Debug, Default)]
struct ProposedEventBody<'de> {
    event_type: BodyField<EventType>,
    data: ProposedData<'de>,
}

/// Written by hand, because `validator` names errors after fields, and no field can be named `type`. The data is checked
/// later, when it is read according to the type.
impl Validate for ProposedEventBody<'_> {
    fn validate(&self) -> Result<(), validator::ValidationErrors> {
        if self.event_type.is_some() {
            return Ok(());
        }
        let mut errors = validator::ValidationErrors::new();
        errors.add("type", ValidationCode::Required.error(IS_REQUIRED));
        Err(errors)
    }
}

members!(ProposedEventBody<'de> { "type" => event_type, "data" => data });

/// The unparsed data. In the body, the data may come before the type that determines how to read it.
#[derive(Debug, Default)]
struct ProposedData<'de>(Option<&'de RawValue>);

impl<'de> MemberSlot<'de> for ProposedData<'de> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<MemberResult, A::Error> {
        if self.0.is_some() {
            return Ok(MemberResult::Duplicate);
        }
        self.0 = Some(object.next_value()?);
        Ok(MemberResult::Read)
    }
}

impl ProposedData<'_> {
    fn event(&self, event_type: EventType) -> Parsed<Event> {
        match event_type {
            // A validated body never has this type, because clients cannot propose it.
            EventType::Created => Err(invalid(ValidationCode::Unknown, "is unknown")),
            EventType::Amended => self.read().map(Event::Amended),
            EventType::Confirmed => self.read_none().map(Event::Confirmed),
            EventType::Paid => self.read().map(Event::Paid),
            EventType::Shipped => self.read().map(Event::Shipped),
            EventType::Delivered => self.read_none().map(|_| Event::Delivered(Delivered::default())),
            EventType::Cancelled => self.read().map(Event::Cancelled),
            EventType::Returned => self.read().map(Event::Returned),
            EventType::Refunded => self.read().map(Event::Refunded),
            _ => Err(invalid(ValidationCode::Unknown, "is unknown")),
        }
    }

    fn field<T: for<'de> FromJson<'de>>(&self) -> BodyField<T> {
        let Some(raw) = self.0 else { return BodyField::Absent };
        // Skipping the data does not find every syntax error, such as half of a surrogate pair in a string.
        serde_json::from_str(raw.get()).unwrap_or_else(|error| {
            BodyField::Wrong(invalid(
                ValidationCode::Format,
                format!("must be JSON: {}", value_error(&error)),
            ))
        })
    }

    fn read<T: for<'de> FromJson<'de>>(&self) -> Parsed<T> {
        self.field().required()
    }

    fn read_none(&self) -> Parsed<Empty> {
        match self.field() {
            BodyField::Absent | BodyField::Null => Ok(Empty {}),
            given => given.required(),
        }
    }
}

impl FromJson<'_> for EventType {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        proposable().find(|event_type| event_type.as_str() == text).ok_or_else(|| {
            let types: Vec<_> = proposable().map(EventType::as_str).collect();
            invalid(ValidationCode::Enum, format!("must be one of {}", types.join(", ")))
        })
    }
}

impl<'de> FromJson<'de> for Event {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        let (body, mut errors): (ProposedEventBody<'de>, BodyErrors) = read_members(members)?;
        match body.event_type.as_valid().map(|event_type| body.data.event(*event_type)) {
            Some(Ok(event)) if errors.is_empty() => return Ok(Ok(event)),
            Some(Err(of_data)) => errors.extend_at("data", *of_data),
            Some(Ok(_)) | None => {}
        }
        Ok(Err(Box::new(errors)))
    }
}

/// Data of `order_amended`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmendedData {
    /// The new line items. They replace all previous ones.
    #[validate(required)]
    #[schema(value_type = Vec<crate::orders::order_body::OrderLineBody>, min_items = 1, max_items = 200)]
    items: BodyField<LineItems>,
}

/// Data of `order_paid`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaidData {
    /// The payment's id at the payment provider.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    payment_id: BodyField<Text<128>>,
    /// The paid amount, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: BodyField<Amount>,
}

/// Data of `order_shipped`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShippedData {
    /// The carrier.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    carrier: BodyField<Text<128>>,
    /// The carrier's tracking number.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    tracking_number: BodyField<Text<128>>,
}

/// Data of `order_cancelled` and `order_returned`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonData {
    /// The reason.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: BodyField<Text<500>>,
}

/// Data of `order_refunded`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundedData {
    /// The refund's id at the payment provider.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    refund_id: BodyField<Text<128>>,
    /// The refunded amount, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: BodyField<Amount>,
}

/// Data of `order_confirmed` and `order_delivered`: an empty object, which may be omitted.
#[derive(Debug, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoData {}

impl Validate for NoData {
    fn validate(&self) -> Result<(), validator::ValidationErrors> {
        Ok(())
    }
}

members!(AmendedData { "items" => items });
members!(PaidData { "payment_id" => payment_id, "amount" => amount });
members!(ShippedData { "carrier" => carrier, "tracking_number" => tracking_number });
members!(ReasonData { "reason" => reason });
members!(RefundedData { "refund_id" => refund_id, "amount" => amount });
members!(NoData {});

/// Implements [`FromJson`] for an event's data, through its DTO.
macro_rules! data {
    ($($value:ident from $dto:ident { $($field:ident),* };)*) => {$(
        impl<'de> FromJson<'de> for $value {
            const EXPECTED: &'static str = "an object";

            fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
                read_object(members, |dto: $dto| Some(Self { $($field: Some(dto.$field.into_valid()?),)* ..Self::default() }))
            }
        }
    )*};
}

data! {
    Paid from PaidData { payment_id, amount };
    Shipped from ShippedData { carrier, tracking_number };
    Cancelled from ReasonData { reason };
    Returned from ReasonData { reason };
    Refunded from RefundedData { refund_id, amount };
}

impl<'de> FromJson<'de> for Amended {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |dto: AmendedData| {
            Some(Self { items: Some(dto.items.into_valid()?), ..Self::default() })
        })
    }
}

impl<'de> FromJson<'de> for Empty {
    const EXPECTED: &'static str = "an object without members";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |_: NoData| Some(Self {}))
    }
}
