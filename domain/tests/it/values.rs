//! Tests ids, texts, times and metadata: which values are accepted, which are refused, and the errors.

use std::collections::BTreeMap;

use domain::{
    CorrelationId, Currency, CustomerId, EventId, InvalidValue, Metadata, OrderId, Sku, Text, Timestamp,
};

/// Checks that each accepted text is parsed and printed unchanged, and that each refused text gives the error
/// `message`.
fn check<T: ToString>(
    parse: impl Fn(&str) -> Result<T, InvalidValue>,
    accepted: &[&str],
    refused: &[&str],
    message: &str,
) {
    for text in accepted {
        assert_eq!(parse(text).map(|value| value.to_string()), Ok((*text).to_owned()));
    }
    for text in refused {
        let error = parse(text).map(|value| value.to_string()).expect_err(&format!("{text:?} was accepted"));
        assert_eq!(error.to_string(), message, "{text:?}");
    }
}

#[test]
fn order_ids() {
    let (longest, too_long) = ("a".repeat(64), "a".repeat(65));
    check(
        OrderId::parse,
        &["1", "order-1", "Shop_7", "_", "-", "019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f", &longest],
        &["", " ", "order 1", "order/1", "order#1", "ordré", "order-1\n", "../etc", "a.b", &too_long],
        "order id must be 1–64 characters of [A-Za-z0-9_-]",
    );
}

#[test]
fn event_ids() {
    check(
        |text| text.parse::<EventId>(),
        &["00000000-0000-0000-0000-000000000000", "67b14061-d374-596c-8bae-eab8d8c762d6"],
        &["", "1", "event-1", "67b14061-d374-596c-8bae-eab8d8c762d", "67b14061-d374-596c-8bae-eab8d8c762dg"],
        "event id must be a UUID (RFC 9562)",
    );
    let upper: EventId = "67B14061-D374-596C-8BAE-EAB8D8C762D6".parse().unwrap();
    assert_eq!(
        upper.to_string(),
        "67b14061-d374-596c-8bae-eab8d8c762d6",
        "an upper-case UUID is printed in lower case"
    );
}

#[test]
fn customer_ids() {
    let (longest, too_long) = ("é".repeat(128), "é".repeat(129));
    check(
        CustomerId::parse,
        &["1", "customer-1", "a@b.example", "Zoë Müller", "お客様", &longest],
        &["", "   ", "a\nb", "a\tb", "a\0b", "\u{7f}", "a\u{85}b", &too_long],
        "customer id must be 1–128 characters, without control characters",
    );
}

#[test]
fn correlation_ids() {
    let (longest, too_long) = ("r".repeat(128), "r".repeat(129));
    check(
        CorrelationId::parse,
        &["1", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "Root=1-67891233-abcdef", "~!", &longest],
        &["", " ", "a b", "a\n", "é", "\u{7f}", &too_long],
        "correlation id must be 1–128 visible ASCII characters",
    );
}

#[test]
fn skus() {
    let (longest, too_long) = ("s".repeat(64), "s".repeat(65));
    check(
        Sku::parse,
        &["1", "MUG-0001", "tea 250 g", "größe/42", &longest],
        &["", " ", "\t", "a\0b", "a\nb", "a\tb", &too_long],
        "sku must be 1–64 characters, without control characters",
    );
}

#[test]
fn currencies() {
    check(
        Currency::parse,
        &["EUR", "USD", "JPY", "GBP", "BHD", "CLF"],
        &["", "eur", "Eur", "EURO", "EU", " EUR", "EUR ", "ABC", "€", "978"],
        "currency must be an ISO 4217 code in upper case, such as EUR",
    );
}

#[test]
fn texts() {
    let (longest, too_long) = ("ü".repeat(10), "ü".repeat(11));
    check(
        |text| Text::<10>::parse(text).map(|text| text.as_str().to_owned()),
        &["a", " a ", "two\nlines", "a\tb", &longest],
        &["", " ", "\n\t", "a\0", "a\rb", "\u{1b}[31m", &too_long],
        "text must be 1–10 characters, without control characters",
    );
}

fn metadata(entries: &[(&str, &str)]) -> Result<Metadata, InvalidValue> {
    Metadata::parse(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn many(entries: usize) -> Result<Metadata, InvalidValue> {
    Metadata::parse((0..entries).map(|i| (i.to_string(), String::new())).collect::<BTreeMap<_, _>>())
}

#[test]
fn metadata_has_limits() {
    let (key, long_key, value, long_value) =
        ("k".repeat(40), "k".repeat(41), "ü".repeat(500), "ü".repeat(501));
    for accepted in [metadata(&[]), metadata(&[("a", "")]), metadata(&[(&key, &value)]), many(20)] {
        accepted.unwrap();
    }
    let refused = [
        metadata(&[("", "v")]),
        metadata(&[(" ", "v")]),
        metadata(&[("a\0", "v")]),
        metadata(&[(&long_key, "v")]),
        metadata(&[("k", &long_value)]),
        many(21),
    ];
    for refused in refused {
        assert_eq!(
            refused.unwrap_err().to_string(),
            "metadata must have at most 20 entries, keys of 1–40 and values of up to 500 characters"
        );
    }
    assert!(metadata(&[]).unwrap().is_empty());
    assert_eq!(metadata(&[("a", "b")]).unwrap().entries()["a"], "b");
}

#[test]
fn times_are_read_with_any_offset_or_none_and_written_in_utc() {
    let cases = [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("2026-11-23t10:00:00z", "2026-11-23T10:00:00Z"),
        ("2026-11-23 10:00:00Z", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00+00:00", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00-00:00", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00Z"),
        ("2026-11-23T22:30:00-05:30", "2026-11-24T04:00:00Z"),
        ("2026-11-23T10:00:00+0000", "2026-11-23T10:00:00Z"),
        ("2026-11-23T22:30:00.5-0530", "2026-11-24T04:00:00.500Z"),
        ("2026-11-23T10:00:00", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00.123456", "2026-11-23T10:00:00.123456Z"),
        ("2026-11-23T10:00:00.000001", "2026-11-23T10:00:00.000001Z"),
        ("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00.500Z"),
        ("2026-11-23T10:00:00.120000Z", "2026-11-23T10:00:00.120Z"),
        ("2026-11-23T10:00:00.123456789Z", "2026-11-23T10:00:00.123456Z"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ];
    for (read, written) in cases {
        assert_eq!(Timestamp::parse(read).map(|time| time.to_string()), Ok(written.to_owned()), "{read}");
    }
}

#[test]
fn text_that_is_not_a_time_is_refused() {
    check(
        Timestamp::parse,
        &[],
        &[
            "",
            "now",
            "2026-11-23",
            "10:00:00",
            "2026-11-23T10:00",
            "2026-11-23T10:00:00+01",
            "2026-11-23T10:00:00+100",
            "2026-11-23T10:00:000100",
            "2026-11-23T10:00:00+9999",
            "2026-11-23T10:00:00Z ",
            " 2026-11-23T10:00:00",
            "2026-11-23T10:00:00 ",
            "2026-1-2T3:4:5",
            "+2026-11-23T10:00:00",
            "-2026-11-23T10:00:00",
            "2026-13-01T10:00:00Z",
            "2026-02-30T10:00:00",
            "2026-11-23T25:00:00Z",
            "20261123T100000Z",
            "1763892000",
            "10000-01-01T00:00:00Z",
            "+10000-01-01T00:00:00",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
        ],
        "timestamp must be an RFC 3339 time, such as 2026-11-23T10:00:00Z",
    );
}

#[test]
fn a_time_of_a_client_must_have_an_offset() {
    for text in ["2026-11-23T10:00:00Z", "2026-11-23T11:00:00+01:00", "2026-11-23T10:00:00+0000"] {
        assert_eq!(Timestamp::parse_with_offset(text), Timestamp::parse("2026-11-23T10:00:00Z"), "{text}");
    }
    let rule = |text| Timestamp::parse_with_offset(text).unwrap_err().rule;
    assert_eq!(rule("2026-11-23T10:00:00"), "must have an offset, such as Z or +00:00");
    assert_eq!(rule("noon"), "must be an RFC 3339 time, such as 2026-11-23T10:00:00Z");
}

#[test]
fn times_are_ordered_and_have_microseconds() {
    let time = |text| Timestamp::parse(text).unwrap();
    assert!(time("2026-11-23T10:00:00+01:00") < time("2026-11-23T10:00:00Z"));
    assert_eq!(time("1970-01-01T00:00:01.000002Z").micros(), 1_000_002);
    assert_eq!(time("1969-12-31T23:59:59Z").micros(), -1_000_000);
    assert_eq!(
        Timestamp::new(time("2026-11-23T10:00:00.123456Z").to_utc()),
        time("2026-11-23T10:00:00.123456")
    );
}
