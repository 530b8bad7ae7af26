//! The query of the feed: a place, a filter and the length of a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::EventType;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn, ParameterStyle};

use super::pairs::QueryPairs;
use crate::describe::schemas;
use crate::input::validation::ValidationCode;
use crate::ports::feed::{FeedCursor, FeedFilter, FeedStart};
use crate::problem::Problem;

/// The number of events on a page, if the query does not state one.
const DEFAULT_LIMIT: usize = 100;
/// The maximum number of events on a page.
const MAX_LIMIT: usize = 1000;

/// Where to start in the feed, which events to return, and how many.
#[derive(Debug)]
pub(crate) struct FeedQuery {
    pub(crate) place: FeedPlace,
    pub(crate) filter: FeedFilter,
    pub(crate) limit: usize,
}

/// The place in the feed where a query starts, as the client states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FeedPlace {
    /// After the events up to this cursor.
    After(FeedCursor),
    /// At the oldest event, after the latest event, or at a time.
    From(FeedStart),
}

impl FeedQuery {
    /// The query string that requests the next page, which begins at `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let FeedFilter { types, customer_id } = &self.filter;
        if !types.is_empty() {
            let types: Vec<_> = types.iter().map(|event_type| event_type.as_str()).collect();
            query.append_pair("types", &types.join(","));
        }
        if let Some(customer_id) = customer_id {
            query.append_pair("customer_id", customer_id.as_str());
        }
        query.append_pair("limit", &self.limit.to_string()).append_pair("after", cursor).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for FeedQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let (has_after, has_from) = (pairs.has("after"), pairs.has("from"));
        let (after, from) = (pairs.feed_cursor("after"), pairs.feed_start("from"));
        if has_after && has_from {
            pairs.add_error("from", ValidationCode::Unknown, "must not be combined with after");
        }
        let filter = FeedFilter { types: pairs.event_types(), customer_id: pairs.customer_id() };
        let limit = pairs.limit_of(DEFAULT_LIMIT, MAX_LIMIT);
        let place = after.map_or(FeedPlace::From(from.unwrap_or(FeedStart::Oldest)), FeedPlace::After);
        pairs.finish(Self { place, filter, limit })
    }
}

/// `IntoParams` is implemented by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for FeedQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let types = EventType::ALL.map(EventType::as_str).join("|");
        let time = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})";
        let of = |(name, description, schema): (&str, &str, Value)| {
            let mut parameter = schemas::query_parameter(name, description, schemas::schema(schema));
            if name == "types" {
                (parameter.style, parameter.explode) = (Some(ParameterStyle::Form), Some(false));
            }
            parameter
        };
        [
            (
                "after",
                "Only events after this cursor: the `next_cursor` of a page, or the `cursor` of an event. The cursor \
                 is valid with every filter and does not expire with time. Must not be combined with `from`",
                json!({ "type": "string" }),
            ),
            (
                "from",
                "Where to start without a cursor: `oldest` (the default), `latest` for events that are recorded from now \
                 on, or a time (RFC 3339, with an offset). With a time, the first events can be slightly older \
                 than that time",
                json!({ "type": "string", "pattern": format!("^(oldest|latest|{time})$") }),
            ),
            (
                "types",
                "Only events of these types, separated by commas",
                // The schema is a pattern and not an enumeration. With an enumeration, a client that was generated
                // before a type was added could not send that type.
                json!({ "type": "array", "minItems": 1, "items": { "type": "string", "pattern": format!("^({types})$") } }),
            ),
            (
                "customer_id",
                "Only events of this customer's orders",
                json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
            ),
            (
                "limit",
                "The maximum number of events on a page; 100 by default. A stream ignores it",
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            ),
        ]
        .map(of)
        .into()
    }
}
