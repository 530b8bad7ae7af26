//! The queries of the lists, of an order and of a receipt. What nobody asked for is a fault: a misspelt filter would
//! otherwise be no filter.

mod letters;

pub(crate) use letters::LettersQuery;

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use domain::{AsOf, CustomerId, EventType, InvalidValue, Status, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::describe::schemas;
use crate::http::RequestTag;
use crate::input::cursor;
use crate::input::params::{malformed, OrderPath, NOT_UTF8};
use crate::input::validation::{Fault, FaultCode};
use crate::ports::{ListFilter, ListPosition};
use crate::problem::Problem;

/// How long a page is, unless the client says otherwise.
const DEFAULT_LIMIT: usize = 50;
/// How long a page can be.
const MAX_LIMIT: usize = 200;

/// The query of an order's history.
#[derive(Debug)]
pub(crate) struct HistoryQuery {
    pub(crate) limit: usize,
    pub(crate) after: u64,
}

impl<S: Send + Sync> FromRequestParts<S> for HistoryQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OrderPath(order_id) = OrderPath::from_request_parts(parts, state).await?;
        let mut pairs = Pairs::of(&parts.uri)?;
        let limit = pairs.limit();
        let after = pairs.cursor(|text| cursor::version(text, order_id.as_str())).unwrap_or(0);
        pairs.finish(Self { limit, after })
    }
}

/// The query of a receipt.
#[derive(Debug)]
pub(crate) struct ReceiptQuery {
    pub(crate) event_type: Option<EventType>,
    /// The request under whose key the event was proposed.
    pub(crate) request: Option<RequestTag>,
}

/// By hand, because a derived parameter with a schema of its own loses its description.
impl IntoParams for ReceiptQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The event's type, as an `accepted` receipt's own link tells it where the queue cannot be \
            looked into. With it, an event of which nothing is known yet is `accepted` and not missing. Elsewhere it \
            has no effect.";
        let parameter = ParameterBuilder::new()
            .name("type")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schemas::event_type()));
        let description = "The beginning of a hash of the request, as a receipt's own link has it for a request with an \
            idempotency key. If the event was accepted from another request under this key, the answer is 422.";
        let request = ParameterBuilder::new()
            .name("request")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schemas::request_tag()));
        vec![parameter.build(), request.build()]
    }
}

impl<S: Sync> FromRequestParts<S> for ReceiptQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let (event_type, request) = (pairs.event_type(), pairs.request());
        pairs.finish(Self { event_type, request })
    }
}

/// What the service is asked to be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadyFor {
    Reads,
    Writes,
}

/// The query of the readiness check.
#[derive(Debug)]
pub(crate) struct ReadyQuery(pub(crate) ReadyFor);

impl IntoParams for ReadyQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "What the service has to be ready for: `reads` (if absent), or `writes`: to accept new events.";
        let parameter = ParameterBuilder::new()
            .name("for")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schemas::schema(json!({ "type": "string", "enum": ["reads", "writes"] }))));
        vec![parameter.build()]
    }
}

impl<S: Sync> FromRequestParts<S> for ReadyQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let purpose = pairs.purpose();
        pairs.finish(Self(purpose))
    }
}

/// The query of an order: as it is now, or as it was.
#[derive(Debug)]
pub(crate) struct OrderQuery {
    pub(crate) as_of: Option<AsOf>,
}

impl<S: Sync> FromRequestParts<S> for OrderQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let (version, at) = (pairs.version(), pairs.time("at"));
        if version.is_some() && at.is_some() {
            pairs.fault("at", FaultCode::Unknown, "cannot be there beside version");
        }
        let as_of = version.map(AsOf::Version).or(at.map(AsOf::Time));
        pairs.finish(Self { as_of })
    }
}

/// The query of a customer's orders.
#[derive(Debug)]
pub(crate) struct OrdersQuery {
    pub(crate) customer_id: CustomerId,
    pub(crate) filter: ListFilter,
    pub(crate) limit: usize,
    pub(crate) after: Option<ListPosition>,
}

impl OrdersQuery {
    /// The list that a cursor belongs to.
    pub(crate) fn scope(customer_id: &CustomerId, filter: &ListFilter) -> String {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
        let status = filter.status.map_or("", Status::as_str);
        let (from, before) = (time(filter.created_from), time(filter.created_before));
        format!("{customer_id}\n{status}\n{from}\n{before}")
    }

    /// The query of the page behind `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("customer_id", self.customer_id.as_str());
        if let Some(status) = self.filter.status {
            query.append_pair("status", status.as_str());
        }
        for (name, time) in
            [("created_from", self.filter.created_from), ("created_before", self.filter.created_before)]
        {
            if let Some(time) = time {
                query.append_pair(name, &time.to_string());
            }
        }
        query.append_pair("limit", &self.limit.to_string()).append_pair("cursor", cursor).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for OrdersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let customer_id = pairs.customer_id();
        let filter = ListFilter {
            status: pairs.status(),
            created_from: pairs.time("created_from"),
            created_before: pairs.time("created_before"),
        };
        let limit = pairs.limit();
        let scope =
            customer_id.as_ref().map(|customer_id| Self::scope(customer_id, &filter)).unwrap_or_default();
        let after = pairs.cursor(|text| cursor::position(text, &scope));
        let customer_id = pairs.finish(customer_id)?;
        let customer_id = customer_id.expect("a customer id that is missing or wrong is a fault");
        Ok(Self { customer_id, filter, limit, after })
    }
}

/// A name or a value as it is written in a query, where `+` is a blank; `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// The pairs of a query that nobody has asked for yet, and the errors of those that were.
struct Pairs {
    left: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Pairs {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let (mut left, mut faults) = (Vec::new(), Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => left.push((name, value)),
                (decoded, _) => {
                    let name = decoded.unwrap_or_else(|| name.to_owned());
                    faults.push(Fault::parameter(name, FaultCode::Format, NOT_UTF8));
                }
            }
        }
        // What cannot be decoded is not looked at: whatever it was meant to be, it is not missing.
        if faults.is_empty() { Ok(Self { left, faults }) } else { Err(Problem::invalid_parameters(faults)) }
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        let at = self.left.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.left.remove(at);
        let before = self.left.len();
        self.left.retain(|(given, _)| given != name);
        if self.left.len() < before {
            self.fault(name, FaultCode::Duplicate, "must be there only once");
        }
        Some(value)
    }

    fn fault(&mut self, name: &'static str, code: FaultCode, detail: impl Into<Cow<'static, str>>) {
        self.faults.push(Fault::parameter(name, code, detail));
    }

    fn limit(&mut self) -> usize {
        let Some(text) = self.take("limit") else { return DEFAULT_LIMIT };
        match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) if text.bytes().all(|b| b.is_ascii_digit()) => limit,
            _ => {
                self.fault("limit", FaultCode::Range, format!("must be 1–{MAX_LIMIT}"));
                DEFAULT_LIMIT
            }
        }
    }

    fn cursor<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take("cursor")?;
        let place = read(&text);
        if place.is_none() {
            self.fault("cursor", FaultCode::Format, "must be a next_cursor of this list");
        }
        place
    }

    fn event_type(&mut self) -> Option<EventType> {
        let event_type = EventType::from_name(&self.take("type")?);
        if event_type.is_none() {
            let types = EventType::ALL.map(EventType::as_str).join(", ");
            self.fault("type", FaultCode::Enum, format!("must be one of {types}"));
        }
        event_type
    }

    fn request(&mut self) -> Option<RequestTag> {
        let text = self.take("request")?;
        let request = RequestTag::parse(&text);
        if request.is_none() {
            self.fault(
                "request",
                FaultCode::Format,
                "must be 16 hexadecimal digits, as a receipt's link has them",
            );
        }
        request
    }

    fn purpose(&mut self) -> ReadyFor {
        match self.take("for").as_deref() {
            None | Some("reads") => ReadyFor::Reads,
            Some("writes") => ReadyFor::Writes,
            Some(_) => {
                self.fault("for", FaultCode::Enum, "must be one of reads, writes");
                ReadyFor::Reads
            }
        }
    }

    fn version(&mut self) -> Option<u64> {
        let text = self.take("version")?;
        let version =
            text.parse().ok().filter(|version| *version > 0 && text.bytes().all(|b| b.is_ascii_digit()));
        if version.is_none() {
            self.fault("version", FaultCode::Range, "must be a whole number from 1");
        }
        version
    }

    fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.take(name)?;
        let time = Timestamp::parse_with_offset(&text).map_err(|invalid| match text.rsplit_once(' ') {
            // `+` means a blank in a query, so the offset has lost its sign.
            Some((time, offset)) if Timestamp::parse_with_offset(&format!("{time}+{offset}")).is_ok() => {
                InvalidValue::new("time", format!("has a bare + before its offset: write %2B{offset}"))
            }
            _ => invalid,
        });
        time.map_err(|invalid| self.faults.push(malformed(name, invalid))).ok()
    }

    fn status(&mut self) -> Option<Status> {
        let text = self.take("status")?;
        let status = Status::from_name(&text);
        if status.is_none() {
            self.fault("status", FaultCode::Enum, "must be a status of an order");
        }
        status
    }

    fn customer_id(&mut self) -> Option<CustomerId> {
        let Some(text) = self.take("customer_id") else {
            self.fault("customer_id", FaultCode::Required, "is required");
            return None;
        };
        let customer_id = domain::value::without_blanks(&text, CustomerId::parse);
        customer_id.map_err(|invalid| self.faults.push(malformed("customer_id", invalid))).ok()
    }

    /// The query, if there was no fault in it. What nobody asked for is one.
    fn finish<T>(mut self, query: T) -> Result<T, Problem> {
        let unknown = |(name, _)| Fault::parameter(name, FaultCode::Unknown, "is not known here");
        self.faults.extend(self.left.into_iter().map(unknown));
        if self.faults.is_empty() { Ok(query) } else { Err(Problem::invalid_parameters(self.faults)) }
    }
}
