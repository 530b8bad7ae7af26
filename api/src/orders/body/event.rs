//! The body that proposes an event: `{type, data}`, where the type determines the schema of the data. `accept` reads
//! this body.

use domain::wording::value_error;
use domain::{Event, EventType};
use serde::de::MapAccess;
use serde_json::value::RawValue;
use validator::{Validate, ValidateRequired};

use super::{ClientData, read_event};
use crate::input::{
    BodyErrors, BodyField, FromJson, IS_REQUIRED, MemberResult, MemberSlot, Parsed, ValidationCode, invalid,
    members, read_members,
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

/// This implementation is written by hand, because `validator` names errors after fields, and no field can be named
/// `type`. The data is checked later, when it is read according to the type.
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
pub(super) struct ProposedData<'de>(Option<&'de RawValue>);

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
    fn field<T: for<'de> FromJson<'de>>(&self) -> BodyField<T> {
        let Some(raw) = self.0 else { return BodyField::Absent };
        // The data was skipped when the body was parsed. Skipping misses some syntax errors, such as half of a
        // surrogate pair in a string.
        serde_json::from_str(raw.get()).unwrap_or_else(|error| {
            BodyField::Wrong(invalid(
                ValidationCode::Format,
                format!("must be JSON: {}", value_error(&error)),
            ))
        })
    }

    /// Reads the data as a `T`.
    pub(super) fn read<T: ClientData>(&self) -> Parsed<T> {
        match (self.field(), T::absent()) {
            (BodyField::Absent | BodyField::Null, Some(absent)) => Ok(absent),
            (field, _) => field.required(),
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
        match body.event_type.as_valid().map(|event_type| read_event(*event_type, &body.data)) {
            Some(Ok(event)) if errors.is_empty() => return Ok(Ok(event)),
            Some(Err(of_data)) => errors.extend_at("data", *of_data),
            Some(Ok(_)) | None => {}
        }
        Ok(Err(Box::new(errors)))
    }
}
