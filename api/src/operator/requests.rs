//! Request bodies of the operator endpoints, and their validation.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{DeadLetterState, OrderId, ParkReason, Text, Timestamp};
use serde::de::{MapAccess, SeqAccess};
use utoipa::ToSchema;
use validator::{Validate, ValidateRequired};

use crate::describe::operator_schemas;
use crate::input::{
    BodyErrors, BodyField, FromJson, Parsed, ValidationCode, at_member, check_length, checked, cursor,
    invalid, members, read_elements, read_object,
};
use crate::operations::{DeadLetterFilter, DeadLetterPosition};

/// The maximum number of dead letters that a request can name.
const MAX_IDS: usize = 100;

/// Selects the dead letters to redrive: by `ids`, by filters that must all match, or `all`. At least one of them is
/// required.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = selects_something, skip_on_field_errors = false))]
pub(crate) struct RedriveRequest {
    /// If true, nothing is sent, and the answer predicts what a redrive would do.
    #[schema(value_type = Option<bool>)]
    dry_run: BodyField<bool>,
    /// The ids of dead letters. For each id, the whole parked sequence of its order is redriven.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    ids: BodyField<Vec<String>>,
    /// Selects only dead letters of this order.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    order_id: BodyField<OrderId>,
    /// Selects only dead letters that were parked for this reason.
    #[schema(schema_with = operator_schemas::optional_park_reason, required = false)]
    reason: BodyField<ParkReason>,
    /// Selects only dead letters that were parked at this time (RFC 3339) or later.
    #[schema(value_type = Option<String>, format = "date-time")]
    parked_from: BodyField<Timestamp>,
    /// Selects only dead letters that were parked before this time (RFC 3339).
    #[schema(value_type = Option<String>, format = "date-time")]
    parked_before: BodyField<Timestamp>,
    /// If true, selects all dead letters.
    #[schema(value_type = Option<bool>)]
    all: BodyField<bool>,
    /// The `next_cursor` of the previous answer. The rest of the request must be the same.
    #[schema(value_type = Option<String>)]
    cursor: BodyField<String>,
}

members!(RedriveRequest {
    "dry_run" => dry_run,
    "ids" => ids,
    "order_id" => order_id,
    "reason" => reason,
    "parked_from" => parked_from,
    "parked_before" => parked_before,
    "all" => all,
    "cursor" => cursor,
});

impl RedriveRequest {
    /// The selection of dead letters. `None` if the request selects nothing, or if its cursor belongs to another
    /// selection.
    fn selection(&self) -> Option<RedriveSelection> {
        let filter = DeadLetterFilter {
            // Selecting the parked dead letters is enough, because a redrive handles their whole sequences. The
            // sequences include dead letters that were already sent.
            state: Some(DeadLetterState::Parked),
            reason: self.reason.as_valid().copied(),
            order_id: self.order_id.as_valid().cloned(),
            parked_from: self.parked_from.as_valid().copied(),
            parked_before: self.parked_before.as_valid().copied(),
        };
        let filtered = filter != DeadLetterFilter { state: filter.state, ..DeadLetterFilter::default() };
        let all = self.all.as_valid() == Some(&true);
        let ids = self.ids.as_valid().cloned().unwrap_or_default();
        let filter = (filtered || all).then_some(filter);
        let mut selection = RedriveSelection { ids, filter, after: None };
        if selection.ids.is_empty() && selection.filter.is_none() {
            return None;
        }
        if let Some(text) = self.cursor.as_valid() {
            selection.after = Some(cursor::read_dead_letter(text, &selection.scope())?);
        }
        Some(selection)
    }
}

fn selects_something(request: &RedriveRequest) -> Result<(), validator::ValidationError> {
    if request.selection().is_some() {
        return Ok(());
    }
    Err(if request.cursor.as_valid().is_some() {
        at_member(ValidationCode::Format.error("must be the next_cursor of the same redrive"), "cursor")
    } else {
        at_member(ValidationCode::Required.error("must be true if there are no ids and no filters"), "all")
    })
}

#[derive(Debug)]
pub(crate) struct RedriveCommand {
    pub(crate) dry_run: bool,
    pub(crate) selection: RedriveSelection,
}

/// The dead letters that a redrive selects.
#[derive(Debug)]
pub(crate) struct RedriveSelection {
    pub(crate) ids: Vec<String>,
    pub(crate) filter: Option<DeadLetterFilter>,
    pub(crate) after: Option<DeadLetterPosition>,
}

impl RedriveSelection {
    /// The scope of the cursors of the selection: a text that identifies the selection.
    pub(crate) fn scope(&self) -> String {
        match &self.filter {
            Some(filter) => format!("redrive\nSome({})", cursor::filter_text(filter)),
            None => "redrive\nNone".to_owned(),
        }
    }
}

impl<'de> FromJson<'de> for RedriveCommand {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |request: RedriveRequest| {
            let dry_run = request.dry_run.as_valid() == Some(&true);
            Some(Self { dry_run, selection: request.selection()? })
        })
    }
}

/// The new body of a dead letter: either `body` or `body_base64`.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = is_one_body, skip_on_field_errors = false))]
pub(crate) struct RepairRequest {
    /// The new body as text.
    #[schema(value_type = Option<String>)]
    body: BodyField<String>,
    /// The new body as base64 (RFC 4648, section 4). Use this member if the body is not text.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9+/]*={0,2}$")]
    body_base64: BodyField<Base64Body>,
    /// If true, nothing is changed. The answer shows the dead letter as it would be, with the prediction for the new body.
    #[schema(value_type = Option<bool>)]
    dry_run: BodyField<bool>,
}

members!(RepairRequest { "body" => body, "body_base64" => body_base64, "dry_run" => dry_run });

fn is_one_body(request: &RepairRequest) -> Result<(), validator::ValidationError> {
    match (request.body.is_some(), request.body_base64.is_some()) {
        (false, false) => Err(at_member(
            ValidationCode::Required.error("is required, unless body_base64 is present"),
            "body",
        )),
        (true, true) => {
            Err(at_member(ValidationCode::Unknown.error("must be absent if body is present"), "body_base64"))
        }
        _ => Ok(()),
    }
}

/// A validated repair.
#[derive(Debug)]
pub(crate) struct RepairCommand {
    pub(crate) dry_run: bool,
    pub(crate) body: Vec<u8>,
}

impl<'de> FromJson<'de> for RepairCommand {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |request: RepairRequest| {
            let dry_run = request.dry_run.as_valid() == Some(&true);
            let coded = request.body_base64.into_valid().map(|bytes| bytes.0);
            let body = coded.or(request.body.into_valid().map(String::into_bytes))?;
            Some(Self { dry_run, body })
        })
    }
}

#[derive(Debug)]
pub(crate) struct Base64Body(Vec<u8>);

impl<'de> FromJson<'de> for Base64Body {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        let decoded = BASE64_STANDARD.decode(text).map(Self);
        decoded.map_err(|_| invalid(ValidationCode::Format, "must be base64 (RFC 4648, section 4)"))
    }
}

/// The reason to discard a dead letter.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscardRequest {
    /// Why the event will not be recorded. The event's receipt shows this text to the client.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
        example = "The payment was made twice."
    )]
    reason: BodyField<Text<500>>,
}

members!(DiscardRequest { "reason" => reason });

#[derive(Debug)]
pub(crate) struct DiscardReason(pub(crate) Text<500>);

impl<'de> FromJson<'de> for DiscardReason {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |request: DiscardRequest| request.reason.into_valid().map(Self))
    }
}

/// The validation error of a repair whose new body belongs to another order than the dead letter.
pub(crate) fn another_order(order_id: &OrderId) -> BodyErrors {
    let detail = format!("must belong to order {order_id}, because the dead letter belongs to that order");
    let mut errors = BodyErrors::default();
    errors.extend_at("body", BodyErrors::own(ValidationCode::Format, detail));
    errors
}

impl<'de> FromJson<'de> for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Parsed<Self> {
        Ok(value)
    }
}

impl<'de> FromJson<'de> for Vec<String> {
    const EXPECTED: &'static str = "an array of strings";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let (mut ids, mut errors) = (Vec::new(), BodyErrors::default());
        let count = read_elements(array, MAX_IDS, |at, id| {
            match id {
                Ok(id) => ids.push(id),
                Err(of_id) => errors.extend_at(&at.to_string(), *of_id),
            }
            errors.next()
        })?;
        if let Err(of_list) = check_length(count, 1..=MAX_IDS, "ids") {
            errors.extend_replacing(*of_list);
        }
        Ok(if errors.is_empty() { Ok(ids) } else { Err(Box::new(errors)) })
    }
}

impl<'de> FromJson<'de> for OrderId {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        checked(ValidationCode::Format, Self::parse(text))
    }
}

impl<'de> FromJson<'de> for Timestamp {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        checked(ValidationCode::Format, Self::parse_with_offset(text))
    }
}

impl<'de> FromJson<'de> for ParkReason {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        let known = || format!("must be one of {}", Self::ALL.map(Self::as_str).join(", "));
        Self::from_name(text).ok_or_else(|| invalid(ValidationCode::Enum, known()))
    }
}
