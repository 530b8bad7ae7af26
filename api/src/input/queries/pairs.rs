//! Reads the parameters of a query string one by one and collects their errors. All queries in the parent use this
//! module.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::http::Uri;
use domain::{CustomerId, EventType, InvalidValue, OrderId, Reference, Timestamp};
use percent_encoding::percent_decode_str;

use super::ReadyFor;
use crate::http::RequestTag;
use crate::input::cursor;
use crate::input::feed_start::feed_start;
use crate::input::params::{NOT_UTF8, malformed};
use crate::input::validation::{ValidationCode, ValidationError};
use crate::ports::feed::{FeedCursor, FeedStart};
use crate::problem::Problem;

/// The number of items on a page, if the query does not state one.
const DEFAULT_LIMIT: usize = 50;
/// The maximum number of items on a page.
pub(super) const MAX_LIMIT: usize = 200;

/// Decodes a name or a value of a query, where `+` means a space. Returns `None` if the result is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// Parses a time of a query, where `+` means a space.
fn parse_time(text: &str) -> Result<Timestamp, InvalidValue> {
    Timestamp::parse_with_offset(text).map_err(|invalid| match text.rsplit_once(' ') {
        // The `+` of the time's offset was not percent-encoded, so it was decoded as a space.
        Some((time, offset)) if Timestamp::parse_with_offset(&format!("{time}+{offset}")).is_ok() => {
            InvalidValue::new("time", format!("has an unencoded + before its offset: write %2B{offset}"))
        }
        _ => invalid,
    })
}

/// The parameters of a query that are not read yet, and the errors that were found so far.
pub(super) struct QueryPairs {
    left: Vec<(String, String)>,
    errors: Vec<ValidationError>,
}

impl QueryPairs {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let (mut left, mut errors) = (Vec::new(), Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => left.push((name, value)),
                (decoded, _) => {
                    let name = decoded.unwrap_or_else(|| name.to_owned());
                    errors.push(ValidationError::parameter(name, ValidationCode::Format, NOT_UTF8));
                }
            }
        }
        // If a parameter cannot be decoded, only that error is reported. Otherwise, a required parameter could seem to
        // be missing.
        if errors.is_empty() { Ok(Self { left, errors }) } else { Err(Problem::invalid_parameters(errors)) }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<String> {
        let at = self.left.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.left.remove(at);
        let before = self.left.len();
        self.left.retain(|(given, _)| given != name);
        if self.left.len() < before {
            self.add_error(name, ValidationCode::Duplicate, "must occur only once");
        }
        Some(value)
    }

    pub(super) fn add_error(
        &mut self,
        name: &'static str,
        code: ValidationCode,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.errors.push(ValidationError::parameter(name, code, detail));
    }

    /// Whether the query has a parameter `name` that was not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(given, _)| given == name)
    }

    pub(super) fn limit(&mut self) -> usize {
        self.limit_of(DEFAULT_LIMIT, MAX_LIMIT)
    }

    pub(super) fn limit_of(&mut self, default: usize, max: usize) -> usize {
        let Some(text) = self.take("limit") else { return default };
        match text.parse() {
            Ok(limit) if (1..=max).contains(&limit) && text.bytes().all(|b| b.is_ascii_digit()) => limit,
            _ => {
                self.add_error("limit", ValidationCode::Range, format!("must be 1–{max}"));
                default
            }
        }
    }

    pub(super) fn cursor<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.place("cursor", read)
    }

    /// Takes the parameter `name`, a cursor, and returns the place in the list where the page begins.
    pub(super) fn place<T>(&mut self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take(name)?;
        let place = read(&text);
        if place.is_none() {
            self.add_error(name, ValidationCode::Format, "must be the next_cursor of a page of this list");
        }
        place
    }

    pub(super) fn feed_cursor(&mut self, name: &'static str) -> Option<FeedCursor> {
        let text = self.take(name)?;
        let place = cursor::read_feed(&text);
        if place.is_none() {
            self.add_error(name, ValidationCode::Format, "must be a cursor of the feed");
        }
        place
    }

    pub(super) fn feed_start(&mut self, name: &'static str) -> Option<FeedStart> {
        let text = self.take(name)?;
        feed_start(&text, parse_time)
            .map_err(|detail| self.add_error(name, ValidationCode::Format, detail))
            .ok()
    }

    /// The event types in the parameter `types`. Without the parameter, the set is empty.
    pub(super) fn event_types(&mut self) -> BTreeSet<EventType> {
        let Some(text) = self.take("types") else { return BTreeSet::new() };
        let types = text.split(',').map(|name| EventType::from_name(name.trim()));
        types.collect::<Option<_>>().unwrap_or_else(|| {
            let all = EventType::ALL.map(EventType::as_str).join(", ");
            let detail = format!("must be a list, separated by commas, of {all}");
            self.add_error("types", ValidationCode::Enum, detail);
            BTreeSet::new()
        })
    }

    pub(super) fn event_type(&mut self) -> Option<EventType> {
        let event_type = EventType::from_name(&self.take("type")?);
        if event_type.is_none() {
            let types = EventType::ALL.map(EventType::as_str).join(", ");
            self.add_error("type", ValidationCode::Enum, format!("must be one of {types}"));
        }
        event_type
    }

    pub(super) fn request(&mut self) -> Option<RequestTag> {
        let text = self.take("request")?;
        let request = RequestTag::parse(&text);
        if request.is_none() {
            self.add_error(
                "request",
                ValidationCode::Format,
                "must be 16 hexadecimal digits, as in the link of a receipt",
            );
        }
        request
    }

    pub(super) fn purpose(&mut self) -> ReadyFor {
        match self.take("for").as_deref() {
            None | Some("reads") => ReadyFor::Reads,
            Some("writes") => ReadyFor::Writes,
            Some(_) => {
                self.add_error("for", ValidationCode::Enum, "must be one of reads, writes");
                ReadyFor::Reads
            }
        }
    }

    pub(super) fn version(&mut self) -> Option<u64> {
        let text = self.take("version")?;
        let version =
            text.parse().ok().filter(|version| *version > 0 && text.bytes().all(|b| b.is_ascii_digit()));
        if version.is_none() {
            self.add_error("version", ValidationCode::Range, "must be a whole number of at least 1");
        }
        version
    }

    /// Takes the parameter `name`, a whole number that fits into 63 bits, as the description states.
    pub(super) fn number(&mut self, name: &'static str) -> Option<u64> {
        let text = self.take(name)?;
        let number = text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
        let number = number.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        if number.is_none() {
            self.add_error(name, ValidationCode::Range, "must be a whole number from 0");
        }
        number
    }

    pub(super) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.take(name)?;
        parse_time(&text).map_err(|invalid| self.errors.push(malformed(name, invalid))).ok()
    }

    pub(super) fn customer_id(&mut self) -> Option<CustomerId> {
        let text = self.take("customer_id")?;
        let customer_id = domain::value::without_blanks(&text, CustomerId::parse);
        customer_id.map_err(|invalid| self.errors.push(malformed("customer_id", invalid))).ok()
    }

    pub(super) fn reference(&mut self) -> Option<Reference> {
        let text = self.take("reference")?;
        let reference = domain::value::without_blanks(&text, Reference::parse);
        reference.map_err(|invalid| self.errors.push(malformed("reference", invalid))).ok()
    }

    /// Takes all pairs whose names begin with `prefix`. A name that occurs twice is an error.
    pub(super) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let (taken, left) = self.left.drain(..).partition(|(name, _)| name.starts_with(prefix));
        self.left = left;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in taken {
            if pairs.iter().any(|(known, _)| *known == name) {
                let error =
                    ValidationError::parameter(name, ValidationCode::Duplicate, "must occur only once");
                self.errors.push(error);
            } else {
                pairs.push((name, value));
            }
        }
        pairs
    }

    /// Adds the error of a filter on a metadata key that has no index.
    pub(super) fn not_searchable(&mut self, name: String, searchable: &BTreeSet<String>) {
        let keys: Vec<_> = searchable.iter().map(String::as_str).collect();
        let detail = match keys.as_slice() {
            [] => "cannot be searched: this service has no searchable metadata keys".to_owned(),
            keys => format!("cannot be searched; the searchable keys are {}", keys.join(", ")),
        };
        self.errors.push(ValidationError::parameter(name, ValidationCode::Enum, detail));
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &'static str, all: &[(&'static str, T)]) -> Option<T> {
        let text = self.take(name)?;
        let found = all.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            self.add_error(name, ValidationCode::Enum, format!("must be one of {}", all.join(", ")));
        }
        found
    }

    pub(super) fn order_id(&mut self) -> Option<OrderId> {
        let text = self.take("order_id")?;
        OrderId::parse(&text).map_err(|invalid| self.errors.push(malformed("order_id", invalid))).ok()
    }

    /// Returns `query` if no errors were found. Each parameter that was not taken is unknown, which is an error.
    pub(super) fn finish<T>(mut self, query: T) -> Result<T, Problem> {
        let unknown = |(name, _)| ValidationError::parameter(name, ValidationCode::Unknown, "is unknown");
        self.errors.extend(self.left.into_iter().map(unknown));
        if self.errors.is_empty() { Ok(query) } else { Err(Problem::invalid_parameters(self.errors)) }
    }
}
