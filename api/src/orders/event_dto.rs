//! The body that proposes an event: `{type, data}`, where the type says which data belongs to it.

use domain::event::{Amended, Cancelled, Empty, Event, Paid, Refunded, Returned, Shipped};
use domain::wording::value_error;
use domain::{Amount, EventType, LineItems, Text};
use serde::de::MapAccess;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use validator::{Validate, ValidateRequired, ValidationErrors};

use crate::input::{fault, members, members_of, object, Content, Errors, FaultCode, Field, Place, Read, Taken, IS_REQUIRED};

/// The types that clients may propose: all but `order_created`, which `POST /v1/orders` makes.
pub(crate) fn proposable() -> impl Iterator<Item = EventType> {
    EventType::ALL.into_iter().filter(|event_type| *event_type != EventType::Created)
}

#[derive(Debug, Default)]
struct ProposedEvent<'de> {
    event_type: Field<EventType>,
    data: Data<'de>,
}

/// By hand, for `validator` names faults after fields, and no field can be named `type`. Whether the data is right is
/// known when it is read as the type's.
impl Validate for ProposedEvent<'_> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.event_type.is_some() {
            return Ok(());
        }
        let mut errors = ValidationErrors::new();
        errors.add("type", FaultCode::Required.error(IS_REQUIRED));
        Err(errors)
    }
}

members!(ProposedEvent<'de> { "type" => event_type, "data" => data });

/// The data as it came. It may precede the type that says how to read it.
#[derive(Debug, Default)]
struct Data<'de>(Option<&'de RawValue>);

impl<'de> Place<'de> for Data<'de> {
    fn take<A: MapAccess<'de>>(&mut self, object: &mut A) -> Result<Taken, A::Error> {
        if self.0.is_some() {
            return Ok(Taken::Again);
        }
        self.0 = Some(object.next_value()?);
        Ok(Taken::Read)
    }
}

impl Data<'_> {
    fn event(&self, event_type: EventType) -> Read<Event> {
        match event_type {
            // Not proposable, so no body has it as its type.
            EventType::Created => Err(fault(FaultCode::Unknown, "is not known here")),
            EventType::Amended => self.read().map(Event::Amended),
            EventType::Confirmed => self.read_none().map(Event::Confirmed),
            EventType::Paid => self.read().map(Event::Paid),
            EventType::Shipped => self.read().map(Event::Shipped),
            EventType::Delivered => self.read_none().map(Event::Delivered),
            EventType::Cancelled => self.read().map(Event::Cancelled),
            EventType::Returned => self.read().map(Event::Returned),
            EventType::Refunded => self.read().map(Event::Refunded),
        }
    }

    fn field<T: for<'de> Content<'de>>(&self) -> Field<T> {
        let Some(raw) = self.0 else { return Field::Absent };
        // What skipping over the data did not notice, such as half of a surrogate pair in a string.
        serde_json::from_str(raw.get()).unwrap_or_else(|error| {
            Field::Wrong(fault(FaultCode::Format, format!("must be JSON: {}", value_error(&error))))
        })
    }

    fn read<T: for<'de> Content<'de>>(&self) -> Read<T> {
        self.field().required()
    }

    fn read_none(&self) -> Read<Empty> {
        match self.field() {
            Field::Absent | Field::Null => Ok(Empty {}),
            given => given.required(),
        }
    }
}

impl Content<'_> for EventType {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Read<Self> {
        proposable().find(|event_type| event_type.as_str() == text).ok_or_else(|| {
            let types: Vec<_> = proposable().map(EventType::as_str).collect();
            fault(FaultCode::Enum, format!("must be one of {}", types.join(", ")))
        })
    }
}

impl<'de> Content<'de> for Event {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        let (body, mut errors): (ProposedEvent<'de>, Errors) = members_of(members)?;
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
    /// All lines, as they are from now on.
    #[validate(required)]
    #[schema(value_type = Vec<crate::orders::dto::Line>, min_items = 1, max_items = 200)]
    items: Field<LineItems>,
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
    payment_id: Field<Text<128>>,
    /// What was paid, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: Field<Amount>,
}

/// Data of `order_shipped`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShippedData {
    /// Who carries it.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    carrier: Field<Text<128>>,
    /// The carrier's tracking number.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 128,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\s]([^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s])?$"
    )]
    tracking_number: Field<Text<128>>,
}

/// Data of `order_cancelled` and `order_returned`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonData {
    /// Why.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
    )]
    reason: Field<Text<500>>,
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
    refund_id: Field<Text<128>>,
    /// What was paid back, in the minor unit of the order's currency.
    #[validate(required)]
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: Field<Amount>,
}

/// Data of `order_confirmed` and `order_delivered`: none. It may be left out.
#[derive(Debug, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoData {}

impl Validate for NoData {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

members!(AmendedData { "items" => items });
members!(PaidData { "payment_id" => payment_id, "amount" => amount });
members!(ShippedData { "carrier" => carrier, "tracking_number" => tracking_number });
members!(ReasonData { "reason" => reason });
members!(RefundedData { "refund_id" => refund_id, "amount" => amount });
members!(NoData {});

/// Implements [`Content`] for the domain's data of an event, by way of its DTO.
macro_rules! data {
    ($($value:ident from $dto:ident { $($field:ident),* };)*) => {$(
        impl<'de> Content<'de> for $value {
            const EXPECTED: &'static str = "an object";

            fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
                object(members, |dto: $dto| Some(Self { $($field: Some(dto.$field.into_valid()?)),* }))
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

impl<'de> Content<'de> for Amended {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        object(members, |dto: AmendedData| Some(Self { items: dto.items.into_valid()? }))
    }
}

impl<'de> Content<'de> for Empty {
    const EXPECTED: &'static str = "an object without members";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        object(members, |_: NoData| Some(Self {}))
    }
}
