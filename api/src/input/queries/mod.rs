//! Extractors of query strings. The handlers of lists, orders, receipts and readiness use them.
//!
//! Unknown parameters are errors. Otherwise a misspelt filter would be ignored, and the list would be unfiltered.

mod dead_letters;
mod orders;
mod pairs;

pub(crate) use self::dead_letters::DeadLettersQuery;
pub(crate) use self::orders::OrdersQuery;
use self::pairs::QueryPairs;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{AsOf, EventType};
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::describe::schemas;
use crate::http::RequestTag;
use crate::input::cursor;
use crate::input::params::OrderPath;
use crate::input::validation::ValidationCode;
use crate::problem::Problem;

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
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let limit = pairs.limit();
        let after = pairs.cursor(|text| cursor::read_version(text, order_id.as_str())).unwrap_or(0);
        pairs.finish(Self { limit, after })
    }
}

/// The query of a receipt.
#[derive(Debug)]
pub(crate) struct ReceiptQuery {
    pub(crate) event_type: Option<EventType>,
    /// The tag of the request that proposed the event.
    pub(crate) request: Option<RequestTag>,
}

/// Written by hand, because a derived parameter with a separate schema loses its description.
impl IntoParams for ReceiptQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The event's type. It is part of an `accepted` receipt's link if the queue cannot be searched. With \
            it, an event without an outcome is `accepted` instead of not found. Otherwise, it has no effect.";
        let parameter = ParameterBuilder::new()
            .name("type")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schemas::event_type()));
        let description = "The first 16 digits of the request's hash. They are part of the receipt's link if the request had \
            an idempotency key. If the event was accepted from a different request with this key, the answer is 422.";
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
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let (event_type, request) = (pairs.event_type(), pairs.request());
        pairs.finish(Self { event_type, request })
    }
}

/// What the service must be ready for.
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
        let description = "What the service must be ready for: `reads` (the default), or `writes`, which means to accept new events.";
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
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let purpose = pairs.purpose();
        pairs.finish(Self(purpose))
    }
}

/// The query of an order, in its current state or a past one.
#[derive(Debug)]
pub(crate) struct OrderQuery {
    pub(crate) as_of: Option<AsOf>,
}

impl<S: Sync> FromRequestParts<S> for OrderQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let (version, at) = (pairs.version(), pairs.time("at"));
        if version.is_some() && at.is_some() {
            pairs.add_error("at", ValidationCode::Unknown, "must not be combined with version");
        }
        let as_of = version.map(AsOf::Version).or(at.map(AsOf::Time));
        pairs.finish(Self { as_of })
    }
}
