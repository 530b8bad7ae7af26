//! The query of the list of dead letters.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{DeadLetterState, ParkReason, Timestamp};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::{MAX_LIMIT, QueryPairs};
use crate::describe::{operator_schemas, schemas};
use crate::input::cursor;
use crate::operations::{DeadLetterFilter, DeadLetterPosition};
use crate::problem::Problem;

/// The query: a filter of dead letters, and the page to return.
#[derive(Debug)]
pub(crate) struct DeadLettersQuery {
    pub(crate) filter: DeadLetterFilter,
    pub(crate) limit: usize,
    pub(crate) after: Option<DeadLetterPosition>,
}

impl DeadLettersQuery {
    /// The scope of the cursors of this list: a text that identifies the filter.
    pub(crate) fn scope(&self) -> String {
        scope(&self.filter)
    }

    /// The query string that requests the next page, which begins at `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let DeadLetterFilter { state, reason, order_id, parked_from, parked_before } = &self.filter;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
        for (name, value) in [
            ("state", state.map(|state| state.as_str().to_owned())),
            ("reason", reason.map(|reason| reason.as_str().to_owned())),
            ("order_id", order_id.as_ref().map(ToString::to_string)),
            ("parked_from", time(parked_from)),
            ("parked_before", time(parked_before)),
        ] {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.append_pair("limit", &self.limit.to_string()).append_pair("cursor", cursor).finish()
    }
}

fn scope(filter: &DeadLetterFilter) -> String {
    format!("dead letters\n{}", cursor::filter_text(filter))
}

impl<S: Sync> FromRequestParts<S> for DeadLettersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let states = DeadLetterState::ALL.map(|state| (state.as_str(), state));
        let reasons = ParkReason::ALL.map(|reason| (reason.as_str(), reason));
        let filter = DeadLetterFilter {
            state: pairs.one_of("state", &states),
            reason: pairs.one_of("reason", &reasons),
            order_id: pairs.order_id(),
            parked_from: pairs.time("parked_from"),
            parked_before: pairs.time("parked_before"),
        };
        let limit = pairs.limit();
        let after = pairs.cursor(|text| cursor::read_dead_letter(text, &scope(&filter)));
        pairs.finish(Self { filter, limit, after })
    }
}

/// `IntoParams` is implemented by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for DeadLettersQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || json!({ "type": "string", "format": "date-time" });
        let of = |(name, description, schema): (&str, &str, Value)| {
            schemas::query_parameter(name, description, schemas::schema(schema))
        };
        [
            (
                "state",
                "Only dead letters in this state; by default, all except discarded ones",
                json!({ "type": "string", "enum": DeadLetterState::ALL }),
            ),
            ("reason", "Only dead letters parked for this reason", json!(operator_schemas::park_reason())),
            (
                "order_id",
                "Only dead letters of this order",
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
            ),
            ("parked_from", "Only dead letters parked at this time (RFC 3339) or later", time()),
            ("parked_before", "Only dead letters parked before this time (RFC 3339)", time()),
            (
                "limit",
                "The maximum number of dead letters on a page; 50 by default",
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            ),
            (
                "cursor",
                "The `next_cursor` of the previous page of the same list",
                json!({ "type": "string" }),
            ),
        ]
        .map(of)
        .into()
    }
}
