//! The query of the dead letters.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{LetterState, OrderId, ParkReason, Timestamp};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use super::{MAX_LIMIT, Pairs};
use crate::describe::{operator_schemas, schemas};
use crate::input::cursor;
use crate::input::params::malformed;
use crate::input::validation::FaultCode;
use crate::operations::{LetterFilter, LetterPosition};
use crate::problem::Problem;

/// Which dead letters, and which page of them.
#[derive(Debug)]
pub(crate) struct LettersQuery {
    pub(crate) filter: LetterFilter,
    pub(crate) limit: usize,
    pub(crate) after: Option<LetterPosition>,
}

impl LettersQuery {
    /// The list that a cursor belongs to.
    pub(crate) fn scope(&self) -> String {
        scope(&self.filter)
    }

    /// The query of the page behind `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let LetterFilter { state, reason, order_id, parked_from, parked_before } = &self.filter;
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

fn scope(filter: &LetterFilter) -> String {
    format!("dead letters\n{filter:?}")
}

impl<S: Sync> FromRequestParts<S> for LettersQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = Pairs::of(&parts.uri)?;
        let states = LetterState::ALL.map(|state| (state.as_str(), state));
        let reasons = ParkReason::ALL.map(|reason| (reason.as_str(), reason));
        let filter = LetterFilter {
            state: pairs.one_of("state", &states),
            reason: pairs.one_of("reason", &reasons),
            order_id: pairs.order_id(),
            parked_from: pairs.time("parked_from"),
            parked_before: pairs.time("parked_before"),
        };
        let limit = pairs.limit();
        let after = pairs.cursor(|text| cursor::letter(text, &scope(&filter)));
        pairs.finish(Self { filter, limit, after })
    }
}

impl Pairs {
    fn one_of<T: Copy>(&mut self, name: &'static str, all: &[(&'static str, T)]) -> Option<T> {
        let text = self.take(name)?;
        let found = all.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            self.fault(name, FaultCode::Enum, format!("must be one of {}", all.join(", ")));
        }
        found
    }

    fn order_id(&mut self) -> Option<OrderId> {
        let text = self.take("order_id")?;
        OrderId::parse(&text).map_err(|invalid| self.faults.push(malformed("order_id", invalid))).ok()
    }
}

/// By hand, because a derived parameter with a schema of its own loses its description.
impl IntoParams for LettersQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || json!({ "type": "string", "format": "date-time" });
        let of = |(name, description, schema): (&str, &str, Value)| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            let parameter = parameter.required(Required::False).description(Some(description));
            parameter.schema(Some(schemas::schema(schema))).build()
        };
        [
            (
                "state",
                "Only letters that stand here; those that are not discarded if absent",
                json!({ "type": "string", "enum": LetterState::ALL }),
            ),
            ("reason", "Only letters put aside for this reason", json!(operator_schemas::park_reason())),
            (
                "order_id",
                "Only letters of this order",
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
            ),
            ("parked_from", "Only letters put aside at this time (RFC 3339) or later", time()),
            ("parked_before", "Only letters put aside before this time (RFC 3339)", time()),
            (
                "limit",
                "The most letters on a page; 50 if absent",
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            ),
            ("cursor", "The `next_cursor` of the page before, of the same list", json!({ "type": "string" })),
        ]
        .map(of)
        .into()
    }
}
