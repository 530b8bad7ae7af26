//! The bodies that rotate a secret, replay events and skip a delivery. The handlers read them, and `describe` shows their
//! schemas.

use domain::{OrderId, Text, Timestamp};
use serde::de::MapAccess;
use utoipa::ToSchema;
use validator::{Validate, ValidateRequired};

use super::create_body::FirstEvent;
use crate::input::{
    BodyField, FromJson, IS_REQUIRED, Parsed, ValidationCode, at_member, cursor, invalid, members,
    read_object,
};
use crate::ports::feed::{FeedCursor, FeedStart};
use crate::ports::webhooks::ReplayFrom;

/// How long the earlier secrets stay valid.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    /// How long the earlier secrets still sign deliveries, in seconds: one day by default, and at most 30 days.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 2_592_000, example = 86_400)]
    overlap_seconds: BodyField<OverlapSeconds>,
}

members!(RotateRequest { "overlap_seconds" => overlap_seconds });

#[derive(Debug)]
struct OverlapSeconds(i64);

/// How long earlier secrets stay valid if the request does not state a time, in seconds.
const DEFAULT_OVERLAP: i64 = 24 * 60 * 60;
/// The longest time for which a request can keep earlier secrets valid, in seconds.
const MAX_OVERLAP: i64 = 30 * DEFAULT_OVERLAP;

impl<'de> FromJson<'de> for OverlapSeconds {
    const EXPECTED: &'static str = "an integer";

    fn from_integer(number: i64) -> Parsed<Self> {
        if (0..=MAX_OVERLAP).contains(&number) {
            return Ok(Self(number));
        }
        Err(invalid(ValidationCode::Range, format!("must be 0–{MAX_OVERLAP} seconds")))
    }
}

/// How many seconds the earlier secrets stay valid after a rotation. The value has been validated.
#[derive(Debug)]
pub(super) struct RotationOverlap(i64);

impl RotationOverlap {
    /// The time at which the earlier secrets expire after a rotation at `now`.
    pub(super) fn end(&self, now: Timestamp) -> anyhow::Result<Timestamp> {
        let end = Timestamp::from_micros(now.micros().saturating_add(self.0 * 1_000_000));
        end.ok_or_else(|| anyhow::anyhow!("the overlap ends after the latest time that can be represented"))
    }
}

impl<'de> FromJson<'de> for RotationOverlap {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: RotateRequest| {
            let seconds = body.overlap_seconds.into_valid();
            Some(Self(seconds.map_or(DEFAULT_OVERLAP, |OverlapSeconds(seconds)| seconds)))
        })
    }
}

/// Where a replay begins. Exactly one of the members is required.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = is_one_place, skip_on_field_errors = false))]
pub(super) struct ReplayRequest {
    /// A cursor of the feed: delivers all events after it.
    #[schema(value_type = Option<String>)]
    cursor: BodyField<EventsCursor>,
    /// `oldest` delivers all events. A time (RFC 3339 with offset) delivers the events that were recorded at that time
    /// or later.
    #[schema(value_type = Option<String>, example = "2026-11-23T10:00:00Z")]
    from: BodyField<FirstEvent>,
    /// An order: delivers all its events.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    order_id: BodyField<OrderId>,
}

members!(ReplayRequest { "cursor" => cursor, "from" => from, "order_id" => order_id });

fn is_one_place(request: &ReplayRequest) -> Result<(), validator::ValidationError> {
    let given = [
        ("cursor", request.cursor.is_some()),
        ("from", request.from.is_some()),
        ("order_id", request.order_id.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given);
    match (given.next(), given.next()) {
        (None, _) => {
            let detail = format!("{IS_REQUIRED}, unless cursor or order_id is present");
            Err(at_member(ValidationCode::Required.error(detail), "from"))
        }
        (Some((first, _)), Some((second, _))) => {
            let detail = format!("must be absent if {first} is present");
            Err(at_member(ValidationCode::Unknown.error(detail), second))
        }
        (Some(_), None) => match request.from.as_valid() {
            Some(FirstEvent(FeedStart::Latest)) => {
                let detail = "must be oldest or a time: after the latest event, there is nothing to replay";
                Err(at_member(ValidationCode::Enum.error(detail), "from"))
            }
            _ => Ok(()),
        },
    }
}

#[derive(Debug)]
struct EventsCursor(FeedCursor);

impl<'de> FromJson<'de> for EventsCursor {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        let rule = || invalid(ValidationCode::Format, "must be a cursor of the feed");
        cursor::read_feed(text).map(Self).ok_or_else(rule)
    }
}

/// The place where a replay of deliveries begins. The value has been validated.
#[derive(Debug)]
pub(super) struct ReplayPlace(pub(super) ReplayFrom);

impl<'de> FromJson<'de> for ReplayPlace {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: ReplayRequest| {
            let cursor = body.cursor.into_valid().map(|EventsCursor(cursor)| ReplayFrom::Cursor(cursor));
            let start = body.from.into_valid().map(|FirstEvent(start)| ReplayFrom::Start(start));
            let order = body.order_id.into_valid().map(ReplayFrom::Order);
            cursor.or(start).or(order).map(Self)
        })
    }
}

/// The reason to skip a delivery.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipRequest {
    /// Why the event is not delivered. The list of deliveries shows this text.
    #[validate(required)]
    #[schema(
        value_type = String, min_length = 1, max_length = 500,
        pattern = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x08\x0b-\x1f\x7f-\x9f\s][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
        example = "The receiver has the order already."
    )]
    reason: BodyField<Text<500>>,
}

members!(SkipRequest { "reason" => reason });

/// The validated reason to skip a delivery.
#[derive(Debug)]
pub(super) struct SkipReason(pub(super) Text<500>);

impl<'de> FromJson<'de> for SkipReason {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: SkipRequest| body.reason.into_valid().map(Self))
    }
}
