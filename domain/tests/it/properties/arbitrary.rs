//! Generates random valid values of every type.

use domain::{
    Amount, CorrelationId, Envelope, EventId, MessageBody, OrderId, RecordedEvent, Repair, Repaired, Text,
    Timestamp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::events::event;

/// The first microsecond of the year 0 and the last microsecond of the year 9999.
const FIRST: i64 = -62_167_219_200_000_000;
const LAST: i64 = 253_402_300_799_999_999;

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    let at = |micros| Timestamp::new(chrono::DateTime::from_timestamp_micros(micros).unwrap());
    prop_oneof![
        (FIRST..=LAST).prop_map(at),
        (FIRST / 1_000_000..=LAST / 1_000_000).prop_map(move |seconds| at(seconds * 1_000_000)),
        Just(at(FIRST)),
        Just(at(LAST)),
    ]
}

pub(crate) fn order_id() -> impl Strategy<Value = OrderId> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|text| OrderId::parse(&text).unwrap())
}

fn event_id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|bits| EventId::from(Uuid::from_u128(bits)))
}

/// Characters that JSON escapes, and wide, combining and invisible characters.
const LETTERS: &str =
    "aZ09 -_.,:;#'\"\\/{}[]<>%$éß→\u{a0}\u{301}\u{200b}\u{2028}\u{202e}\u{feff}語🫖👩\u{200d}🚀";

/// One line of text with 1 to `max` characters, at least one of which is not blank.
pub(crate) fn words(max: usize) -> impl Strategy<Value = String> + Clone {
    let letters: Vec<char> = LETTERS.chars().collect();
    vec(prop::sample::select(letters), 0..max).prop_map(|chars| chars.into_iter().chain(['x']).collect())
}

pub(crate) fn text<const MAX: usize>() -> impl Strategy<Value = Option<Text<MAX>>> {
    let lines = vec(words(MAX / 10), 1..4).prop_map(|lines| lines.join("\n\t"));
    option::of(lines.prop_map(|text| Text::parse(&text).unwrap()))
}

pub(crate) fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![Just(0), Just(Amount::MAX), 0..=Amount::MAX].prop_map(|minor| Amount::parse(minor).unwrap())
}

pub(crate) fn envelope() -> impl Strategy<Value = Envelope> {
    let correlation_id = "[!-~]{1,128}".prop_map(|text| CorrelationId::parse(&text).unwrap());
    let meta = (option::of(any::<u64>()), option::of("[0-9a-f]{0,64}"), option::of(words(40)));
    (event_id(), order_id(), timestamp(), correlation_id, meta, event()).prop_map(
        |(event_id, order_id, timestamp, correlation_id, (expected_version, request_hash, actor), event)| {
            Envelope {
                event_id,
                order_id,
                timestamp,
                correlation_id,
                expected_version,
                request_hash,
                actor,
                event,
            }
        },
    )
}

pub(crate) fn recorded() -> impl Strategy<Value = RecordedEvent> {
    let parts = (any::<u64>(), timestamp(), option::of(repaired()), envelope());
    parts.prop_map(|(version, recorded_at, repaired, envelope)| RecordedEvent {
        version,
        recorded_at,
        repaired: repaired.map(Box::new),
        envelope,
    })
}

fn repaired() -> impl Strategy<Value = Repaired> {
    let repair = (timestamp(), option::of(words(40))).prop_map(|(at, by)| Repair { at, by });
    let repairs = vec(repair, 0..3);
    let original = option::of(vec(any::<u8>(), 0..20).prop_map(MessageBody));
    ("[0-9A-Za-z_-]{1,100}", repairs, "[0-9a-f]{64}", original).prop_map(
        |(dead_letter, repairs, original_sha256, original)| Repaired {
            dead_letter,
            repairs,
            original_sha256,
            original,
        },
    )
}

/// A log entry of the order `order-1` with the given version and any event.
pub(crate) fn entry(version: impl Strategy<Value = u64>) -> impl Strategy<Value = RecordedEvent> {
    (version, event()).prop_map(|(version, event)| crate::given::recorded(version, event))
}
