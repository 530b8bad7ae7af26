//! The query of the list of a subscription's deliveries.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::SubscriptionId;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::{MAX_LIMIT, QueryPairs};
use crate::describe::schemas;
use crate::input::cursor;
use crate::input::params::WebhookPath;
use crate::ports::webhooks::{DeliveryFilter, DeliveryState};
use crate::problem::Problem;

/// A filter of deliveries, and a page.
#[derive(Debug)]
pub(crate) struct DeliveriesQuery {
    webhook: SubscriptionId,
    pub(crate) filter: DeliveryFilter,
    pub(crate) limit: usize,
    pub(crate) after: Option<String>,
}

impl DeliveriesQuery {
    /// The scope of the cursors of this list: a text that identifies the subscription and the filter.
    pub(crate) fn scope(&self) -> String {
        scope(self.webhook, &self.filter)
    }

    /// The query string that requests the next page, which begins at `cursor`.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(conditions(&self.filter));
        query.append_pair("limit", &self.limit.to_string()).append_pair("after", cursor).finish()
    }
}

/// The conditions of the filter, as names and values of query parameters.
fn conditions(filter: &DeliveryFilter) -> impl Iterator<Item = (&'static str, String)> {
    let state = filter.state.map(|state| ("state", state.as_str().to_owned()));
    let order_id = filter.order_id.as_ref().map(|order_id| ("order_id", order_id.to_string()));
    state.into_iter().chain(order_id)
}

fn scope(webhook: SubscriptionId, filter: &DeliveryFilter) -> String {
    let mut text = format!("deliveries\n{webhook}");
    for (name, value) in conditions(filter) {
        text.push_str(&format!("\n{name}={value}"));
    }
    text
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveriesQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let WebhookPath(webhook) = WebhookPath::from_request_parts(parts, state).await?;
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let filter = DeliveryFilter {
            state: pairs.one_of("state", &DeliveryState::ALL.map(|state| (state.as_str(), state))),
            order_id: pairs.order_id(),
        };
        let limit = pairs.limit();
        let after = pairs.place("after", |text| cursor::read_delivery(text, &scope(webhook, &filter)));
        pairs.finish(Self { webhook, filter, limit, after })
    }
}

/// `IntoParams` is implemented by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for DeliveriesQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let of = |(name, description, schema): (&str, &str, Value)| {
            schemas::query_parameter(name, description, schemas::schema(schema))
        };
        [
            (
                "state",
                "Only deliveries in this state",
                json!({ "type": "string", "enum": DeliveryState::ALL.map(DeliveryState::as_str) }),
            ),
            (
                "order_id",
                "Only deliveries of this order's events",
                json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }),
            ),
            (
                "limit",
                "The maximum number of deliveries on a page; 50 by default",
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            ),
            ("after", "The `next_cursor` of the previous page of the same list", json!({ "type": "string" })),
        ]
        .map(of)
        .into()
    }
}
