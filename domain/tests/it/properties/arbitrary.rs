//! Random valid values of every type.

use domain::event::{Amended, Cancelled, Created, Empty, Paid, Refunded, Returned, Shipped};
use domain::{
    Amount, CorrelationId, Currency, CustomerId, Envelope, Event, EventId, EventType, LineItem, LineItems,
    MessageBody, Metadata, OrderId, Quantity, RecordedEvent, Repair, Repaired, Sku, Text, Timestamp,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;
use uuid::Uuid;

/// The first and the last microsecond of the years 0 to 9999.
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

/// Characters that JSON escapes, wide ones, combining ones and invisible ones.
const LETTERS: &str =
    "aZ09 -_.,:;#'\"\\/{}[]<>%$éß→\u{a0}\u{301}\u{200b}\u{2028}\u{202e}\u{feff}語🫖👩\u{200d}🚀";

/// One line of 1 to `max` characters, not all blank.
fn words(max: usize) -> impl Strategy<Value = String> + Clone {
    let letters: Vec<char> = LETTERS.chars().collect();
    vec(prop::sample::select(letters), 0..max).prop_map(|chars| chars.into_iter().chain(['x']).collect())
}

fn text<const MAX: usize>() -> impl Strategy<Value = Option<Text<MAX>>> {
    let lines = vec(words(MAX / 10), 1..4).prop_map(|lines| lines.join("\n\t"));
    option::of(lines.prop_map(|text| Text::parse(&text).unwrap()))
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![Just(0), Just(Amount::MAX), 0..=Amount::MAX].prop_map(|minor| Amount::parse(minor).unwrap())
}

/// Lines without overflow: 200 × 10^4 × 10^9 is less than the largest amount.
fn items(priced: bool) -> impl Strategy<Value = LineItems> {
    let sku = words(64).prop_map(|text| Sku::parse(&text).unwrap());
    let quantity = (1..=10_000_i64).prop_map(|n| Quantity::parse(n).unwrap());
    let price = (0..=1_000_000_000_i64).prop_map(|minor| Amount::parse(minor).unwrap());
    let price = if priced { price.prop_map(Some).boxed() } else { option::of(price).boxed() };
    let line =
        (sku, quantity, price).prop_map(|(sku, quantity, unit_price)| LineItem { sku, quantity, unit_price });
    let number = prop_oneof![99 => 1..5_usize, 1 => Just(LineItems::MAX)];
    number
        .prop_flat_map(move |number| vec(line.clone(), number))
        .prop_map(|lines| LineItems::parse(lines).unwrap())
}

fn created() -> impl Strategy<Value = Created> {
    let customer_id = words(128).prop_map(|text| CustomerId::parse(&text).unwrap());
    let currency = prop::sample::select(std::vec!["EUR", "USD", "JPY"]);
    let metadata =
        btree_map(words(40), words(500), 0..4).prop_map(|entries| Metadata::parse(entries).unwrap());
    (customer_id, currency, items(false), amount(), metadata).prop_map(
        |(customer_id, currency, items, total, metadata)| Created {
            customer_id,
            currency: Currency::parse(currency).unwrap(),
            items,
            total,
            metadata,
        },
    )
}

/// An event of any type, with equal probability.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    Union::new(EventType::ALL.map(event_of))
}

/// An event of this type.
pub(crate) fn event_of(event_type: EventType) -> BoxedStrategy<Event> {
    match event_type {
        EventType::Created => created().prop_map(Event::Created).boxed(),
        EventType::Amended => items(true).prop_map(|items| Event::Amended(Amended { items })).boxed(),
        EventType::Confirmed => Just(Event::Confirmed(Empty {})).boxed(),
        EventType::Paid => (text(), option::of(amount()))
            .prop_map(|(payment_id, amount)| Event::Paid(Paid { payment_id, amount }))
            .boxed(),
        EventType::Shipped => (text(), text())
            .prop_map(|(carrier, tracking_number)| Event::Shipped(Shipped { carrier, tracking_number }))
            .boxed(),
        EventType::Delivered => Just(Event::Delivered(Empty {})).boxed(),
        EventType::Cancelled => text().prop_map(|reason| Event::Cancelled(Cancelled { reason })).boxed(),
        EventType::Returned => text().prop_map(|reason| Event::Returned(Returned { reason })).boxed(),
        EventType::Refunded => (text(), option::of(amount()))
            .prop_map(|(refund_id, amount)| Event::Refunded(Refunded { refund_id, amount }))
            .boxed(),
    }
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

/// The log entry of any event of the order `order-1` at this version.
pub(crate) fn entry(version: impl Strategy<Value = u64>) -> impl Strategy<Value = RecordedEvent> {
    (version, event()).prop_map(|(version, event)| crate::given::recorded(version, event))
}
