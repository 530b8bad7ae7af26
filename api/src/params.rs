//! What requests carry besides a body: ids in the path, and the query of a list.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use domain::{CustomerId, EventId, EventType, InvalidValue, OrderId};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::cursor;
use crate::faults::{Fault, FaultCode};
use crate::openapi;
use crate::ports::ListPosition;
use crate::problem::Problem;

/// How long a page is, unless the client says otherwise.
const DEFAULT_LIMIT: usize = 50;
/// How long a page can be.
const MAX_LIMIT: usize = 200;

/// The order in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("order_id"))]
pub(crate) struct OrderPath(
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")] pub(crate) OrderId,
);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(order_id) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| undecodable(&error))?;
        order_id
            .parse()
            .map(Self)
            .map_err(|invalid| Problem::invalid_parameters(vec![malformed("order_id", invalid)]))
    }
}

/// The order and the event in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, names("order_id", "event_id"))]
pub(crate) struct EventPath(
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")] pub(crate) OrderId,
    #[param(value_type = String, format = "uuid")] pub(crate) EventId,
);

impl<S: Send + Sync> FromRequestParts<S> for EventPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((order_id, event_id)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|error| undecodable(&error))?;
        match (order_id.parse(), event_id.parse()) {
            (Ok(order_id), Ok(event_id)) => Ok(Self(order_id, event_id)),
            (order_id, event_id) => {
                let order_id = order_id.err().map(|invalid| malformed("order_id", invalid));
                let event_id = event_id.err().map(|invalid| malformed("event_id", invalid));
                Err(Problem::invalid_parameters(order_id.into_iter().chain(event_id).collect()))
            }
        }
    }
}

fn malformed(name: &'static str, invalid: InvalidValue) -> Fault {
    Fault::parameter(name, FaultCode::Format, invalid.rule)
}

/// A path whose percent-encoding does not decode to UTF-8.
fn undecodable(rejection: &PathRejection) -> Problem {
    let of_event =
        |kind: &ErrorKind| matches!(kind, ErrorKind::InvalidUtf8InPathParam { key } if key == "event_id");
    let name = match rejection {
        PathRejection::FailedToDeserializePathParams(error) if of_event(error.kind()) => "event_id",
        _ => "order_id",
    };
    Problem::invalid_parameters(vec![Fault::parameter(name, FaultCode::Format, "must be UTF-8")])
}

/// The query of an order's history.
#[derive(Debug)]
pub(crate) struct HistoryQuery {
    pub(crate) limit: usize,
    pub(crate) after: u64,
}

impl<S: Sync> FromRequestParts<S> for HistoryQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let limit = pairs.limit();
        let after = pairs.cursor(cursor::version).unwrap_or(0);
        pairs.finish(Self { limit, after })
    }
}

/// The query of a receipt.
#[derive(Debug)]
pub(crate) struct ReceiptQuery {
    pub(crate) event_type: Option<EventType>,
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
            .schema(Some(openapi::event_type()));
        vec![parameter.build()]
    }
}

impl<S: Sync> FromRequestParts<S> for ReceiptQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let event_type = pairs.event_type();
        pairs.finish(Self { event_type })
    }
}

/// The query of a customer's orders.
#[derive(Debug)]
pub(crate) struct OrdersQuery {
    pub(crate) customer_id: CustomerId,
    pub(crate) limit: usize,
    pub(crate) after: Option<ListPosition>,
}

impl<S: Sync> FromRequestParts<S> for OrdersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let customer_id = pairs.customer_id();
        let limit = pairs.limit();
        let after = pairs.cursor(cursor::position);
        let customer_id = pairs.finish(customer_id)?;
        let customer_id = customer_id.expect("a customer id that is missing or wrong is a fault");
        Ok(Self { customer_id, limit, after })
    }
}

/// The pairs of a query that nobody has asked for yet, and the faults of those that were.
struct Pairs {
    left: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Pairs {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let Query(left) = Query::try_from_uri(uri)
            .map_err(|error| Problem::new(crate::problem::Kind::BadRequest, error.body_text()))?;
        Ok(Self { left, faults: Vec::new() })
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

    fn fault(
        &mut self,
        name: &'static str,
        code: FaultCode,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) {
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

    fn cursor<T>(&mut self, read: fn(&str) -> Option<T>) -> Option<T> {
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

    fn customer_id(&mut self) -> Option<CustomerId> {
        let Some(text) = self.take("customer_id") else {
            self.fault("customer_id", FaultCode::Required, "is required");
            return None;
        };
        CustomerId::parse(&text).map_err(|invalid| self.faults.push(malformed("customer_id", invalid))).ok()
    }

    /// The query, if there was no fault in it. What nobody asked for is one.
    fn finish<T>(mut self, query: T) -> Result<T, Problem> {
        let unknown = |(name, _)| Fault::parameter(name, FaultCode::Unknown, "is not known here");
        self.faults.extend(self.left.into_iter().take(crate::faults::MAX_FAULTS).map(unknown));
        if self.faults.is_empty() { Ok(query) } else { Err(Problem::invalid_parameters(self.faults)) }
    }
}
