//! Extractors of query strings. The handlers of lists, orders, receipts, the feed and readiness use them.
//!
//! Unknown parameters are errors. Otherwise a misspelt filter would be ignored, and the list would be unfiltered.

mod backup;
mod dead_letters;
mod deliveries;
mod export;
mod feed;
mod history;
mod orders;
mod pairs;

pub(crate) use self::backup::BackupQuery;
pub(crate) use self::dead_letters::DeadLettersQuery;
pub(crate) use self::deliveries::DeliveriesQuery;
pub(crate) use self::export::ExportQuery;
pub(crate) use self::feed::{FeedPlace, FeedQuery};
pub(crate) use self::history::SamplesQuery;
pub(crate) use self::orders::OrdersQuery;
use self::pairs::QueryPairs;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{AsOf, EventId, EventType};
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

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

/// The query of the receipts of an order's rejected events.
#[derive(Debug)]
pub(crate) struct RejectionsQuery {
    pub(crate) limit: usize,
    pub(crate) after: Option<EventId>,
}

impl<S: Send + Sync> FromRequestParts<S> for RejectionsQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let OrderPath(order_id) = OrderPath::from_request_parts(parts, state).await?;
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let limit = pairs.limit();
        let after = pairs.cursor(|text| cursor::read_receipt(text, order_id.as_str()));
        pairs.finish(Self { limit, after })
    }
}

/// The query of a list without parameters.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        QueryPairs::of(&parts.uri)?.finish(Self)
    }
}

/// The query of a receipt.
#[derive(Debug)]
pub(crate) struct ReceiptQuery {
    pub(crate) event_type: Option<EventType>,
    /// The tag of the request that proposed the event, as in the link of a receipt.
    pub(crate) request: Option<RequestTag>,
}

/// `IntoParams` is implemented by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for ReceiptQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The event's type. If the queue cannot be searched, the link of an `accepted` receipt contains this \
            parameter. If an event has no outcome, a request with this parameter returns the state `accepted` instead of 404. \
            In all other cases, the parameter has no effect.";
        let event_type = schemas::query_parameter("type", description, schemas::event_type());
        let description = "The first 16 digits of the request's hash. They are part of the receipt's link if the request had \
            an idempotency key. If the event was accepted from a different request with this key, the answer is 422.";
        vec![event_type, schemas::query_parameter("request", description, schemas::request_tag())]
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

/// What a readiness check asks about: only reads, or also writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadyFor {
    Reads,
    Writes,
}

#[derive(Debug)]
pub(crate) struct ReadyQuery(pub(crate) ReadyFor);

impl IntoParams for ReadyQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "What the service must be ready for: `reads` (the default), or `writes` (to accept new events).";
        let purposes = schemas::schema(json!({ "type": "string", "enum": ["reads", "writes"] }));
        vec![schemas::query_parameter("for", description, purposes)]
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
