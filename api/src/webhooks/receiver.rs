//! Reads the URL, the headers and the event types of a subscription from JSON. `create_body` and `patch` use this
//! module.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderName, HeaderValue};
use domain::EventType;
use reqwest::Url;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::responses::MASK;
use crate::input::{
    BodyErrors, BodyField, FromJson, MemberName, Parsed, ValidationCode, invalid, read_elements,
};

/// The longest URL, in bytes.
pub(super) const MAX_URL: usize = 2048;
/// The maximum number of additional headers of a subscription.
pub(super) const MAX_HEADERS: usize = 10;
/// The longest value of a header, in bytes.
const MAX_HEADER_VALUE: usize = 1024;
/// The longest name of a header, in bytes.
const MAX_HEADER_NAME: usize = 128;

/// The headers that a subscription cannot set, because the sender of deliveries or HTTP itself sets them.
const RESERVED: [&str; 10] = [
    "connection",
    "date",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// A subscription cannot set headers whose names begin with one of these prefixes.
const RESERVED_PREFIXES: [&str; 4] = ["content-", "webhook-", "proxy-", "http2-"];

/// The URL that deliveries are posted to, as the client wrote it. Whether its host may be reached is decided when a
/// delivery is sent, because the addresses of a name can change.
#[derive(Debug)]
pub(super) struct ReceiverUrl(pub(super) String);

impl<'de> FromJson<'de> for ReceiverUrl {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        if text.len() > MAX_URL {
            return Err(invalid(ValidationCode::Length, format!("must have at most {MAX_URL} bytes")));
        }
        check_url(text).map_err(|rule| invalid(ValidationCode::Format, rule))?;
        Ok(Self(text.to_owned()))
    }
}

/// Checks a URL. An error states the rule that the URL breaks.
fn check_url(text: &str) -> Result<(), &'static str> {
    const ABSOLUTE: &str = "must be an absolute https or http URL, such as https://shop.example/hooks";
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err(ABSOLUTE);
    }
    // The URL parser would drop blanks and treat a backslash as a slash. So a URL with such characters is refused before
    // it is parsed.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not contain blanks, control characters or backslashes");
    }
    let url = Url::parse(text).map_err(|_| ABSOLUTE)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password; send credentials in headers");
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment, because a request does not contain it");
    }
    Ok(())
}

/// The types of event to deliver.
#[derive(Debug)]
pub(super) struct SelectedTypes(pub(super) BTreeSet<EventType>);

struct SelectedType(EventType);

impl<'de> FromJson<'de> for SelectedType {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        EventType::from_name(text).map(Self).ok_or_else(|| {
            let types = EventType::ALL.map(EventType::as_str).join(", ");
            invalid(ValidationCode::Enum, format!("must be one of {types}"))
        })
    }
}

impl<'de> FromJson<'de> for SelectedTypes {
    const EXPECTED: &'static str = "an array of event types";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let (mut types, mut errors) = (BTreeSet::new(), BodyErrors::default());
        let count = read_elements(array, EventType::ALL.len(), |at, element: Parsed<SelectedType>| {
            let at = at.to_string();
            match element {
                Ok(SelectedType(event_type)) => {
                    if !types.insert(event_type) {
                        errors.extend_at(&at, *invalid(ValidationCode::Duplicate, "must occur only once"));
                    }
                }
                Err(of_type) => errors.extend_at(&at, *of_type),
            }
            errors.next()
        })?;
        if count > EventType::ALL.len() {
            let rule = format!("must have at most {} types", EventType::ALL.len());
            errors.extend_replacing(*invalid(ValidationCode::Length, rule));
        }
        Ok(if errors.is_empty() { Ok(Self(types)) } else { Err(Box::new(errors)) })
    }
}

/// The additional headers of a new subscription. Their names are in lower case.
#[derive(Debug, Default)]
pub(super) struct ReceiverHeaders(pub(super) BTreeMap<String, String>);

impl<'de> FromJson<'de> for ReceiverHeaders {
    const EXPECTED: &'static str = "an object of strings";

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Parsed<Self>, A::Error> {
        let entries = read_headers(object, MAX_HEADERS, BodyField::<HeaderText>::required)?;
        let value = |(name, HeaderText(value))| (name, value);
        Ok(entries.map(|entries| Self(entries.into_iter().map(value).collect())))
    }
}

/// The headers that a patch changes. A value sets the header, and `None` removes it.
#[derive(Debug)]
pub(super) struct HeaderChanges(pub(super) BTreeMap<String, Option<String>>);

impl<'de> FromJson<'de> for HeaderChanges {
    const EXPECTED: &'static str = "an object of strings and nulls";

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Parsed<Self>, A::Error> {
        let value = |field: BodyField<HeaderText>| match field {
            BodyField::Null => Ok(None),
            field => field.required().map(|HeaderText(value)| Some(value)),
        };
        // A patch may name twice as many headers as a subscription can have, because it may replace all of them with others.
        Ok(read_headers(object, 2 * MAX_HEADERS, value)?.map(Self))
    }
}

/// The validated value of a header. The mask that answers show is not a valid value.
struct HeaderText(String);

impl<'de> FromJson<'de> for HeaderText {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        if text == MASK {
            let rule = "must be the value, not its mask; omit the header to keep its value";
            return Err(invalid(ValidationCode::Format, rule));
        }
        if text.is_empty() || text.len() > MAX_HEADER_VALUE {
            return Err(invalid(ValidationCode::Length, format!("must have 1–{MAX_HEADER_VALUE} bytes")));
        }
        if HeaderValue::from_str(text).is_err() || text.trim().len() < text.len() {
            let rule = "must be visible ASCII characters, with blanks only between them";
            return Err(invalid(ValidationCode::Format, rule));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Reads the headers in a JSON object. Headers after the first `max` are not read, but only counted.
fn read_headers<'de, V, A: MapAccess<'de>>(
    mut object: A,
    max: usize,
    value: impl Fn(BodyField<HeaderText>) -> Parsed<V>,
) -> Result<Parsed<BTreeMap<String, V>>, A::Error> {
    let (mut headers, mut errors, mut count) = (BTreeMap::new(), BodyErrors::default(), 0);
    while let Some(MemberName(name)) = object.next_key()? {
        count += 1;
        if count > max {
            object.next_value::<IgnoredAny>()?;
            continue;
        }
        let read = value(object.next_value()?);
        let lower = name.to_ascii_lowercase();
        match (check_name(&lower), read) {
            (Err((code, rule)), _) => errors.add(&name, code, rule),
            (Ok(()), Err(of_value)) => errors.extend_at(&name, *of_value),
            (Ok(()), Ok(_)) if headers.contains_key(&lower) => {
                errors.add(&name, ValidationCode::Duplicate, "must occur only once, in upper or lower case");
            }
            (Ok(()), Ok(value)) => drop(headers.insert(lower, value)),
        }
    }
    if count > max {
        errors.extend_replacing(*too_many_headers(max));
    }
    Ok(if errors.is_empty() { Ok(headers) } else { Err(Box::new(errors)) })
}

/// The validation error for an object with more than `max` headers.
pub(super) fn too_many_headers(max: usize) -> Box<BodyErrors> {
    invalid(ValidationCode::Length, format!("must have at most {max} headers"))
}

/// Checks a header name that was converted to lower case.
fn check_name(name: &str) -> Result<(), (ValidationCode, &'static str)> {
    if name.len() > MAX_HEADER_NAME || HeaderName::from_bytes(name.as_bytes()).is_err() {
        let rule = "must be the name of a header: 1–128 letters, digits, hyphens and other token characters";
        return Err((ValidationCode::Format, rule));
    }
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err((
            ValidationCode::Enum,
            "must be another header: the service sets this one, or HTTP reserves it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_absolute_and_has_no_credentials_and_no_fragment() {
        for yes in [
            "https://shop.example/hooks",
            "http://127.0.0.1:8080",
            "https://[2001:db8::1]:8443/a?token=x",
            "https://bücher.example/é",
        ] {
            assert_eq!(check_url(yes), Ok(()), "{yes}");
        }
        for (no, part) in [
            ("", "absolute"),
            ("shop.example/hooks", "absolute"),
            ("ftp://shop.example/", "absolute"),
            ("HTTPS://shop.example/", "absolute"),
            ("https://", "absolute"),
            ("https://a:99999/", "absolute"),
            (" https://shop.example/", "absolute"),
            ("https://shop.example/ ", "blanks"),
            ("https://shop.example/a\nb", "blanks"),
            ("https:\\\\shop.example", "absolute"),
            ("https://shop.example\\@10.0.0.1/", "backslashes"),
            ("https://user@shop.example/", "user name"),
            ("https://:secret@shop.example/", "user name"),
            ("https://shop.example/#part", "fragment"),
            ("https://shop.example/#", "fragment"),
        ] {
            assert!(check_url(no).is_err_and(|rule| rule.contains(part)), "{no}: {:?}", check_url(no));
        }
    }

    #[test]
    fn headers_that_the_service_or_http_sets_are_reserved() {
        for yes in ["authorization", "x-api-key", "x_y", "cookie", "accept"] {
            assert_eq!(check_name(yes), Ok(()), "{yes}");
        }
        for reserved in [
            "host",
            "content-type",
            "content-length",
            "webhook-id",
            "connection",
            "transfer-encoding",
            "proxy-authorization",
            "user-agent",
        ] {
            assert_eq!(check_name(reserved).unwrap_err().0, ValidationCode::Enum, "{reserved}");
        }
        for invalid in ["", "a b", "a:b", "é", "a\r\nb", &"x".repeat(129)] {
            assert_eq!(check_name(invalid).unwrap_err().0, ValidationCode::Format, "{invalid:?}");
        }
    }
}
