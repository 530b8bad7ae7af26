//! The query of an export: a filter of the events.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::QueryPairs;
use crate::describe::schemas;
use crate::ports::export::ExportFilter;
use crate::problem::Problem;

/// Which events to export.
#[derive(Debug)]
pub(crate) struct ExportQuery {
    pub(crate) filter: ExportFilter,
}

impl<S: Sync> FromRequestParts<S> for ExportQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let filter = ExportFilter { from: pairs.time("from"), customer_id: pairs.customer_id() };
        pairs.finish(Self { filter })
    }
}

impl IntoParams for ExportQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let from = "Only events that were recorded at this time (RFC 3339, with an offset) or later. An order's first lines \
                    are missing if they are older";
        let customer = "Only events of this customer's orders";
        vec![
            schemas::query_parameter(
                "from",
                from,
                schemas::schema(json!({ "type": "string", "format": "date-time" })),
            ),
            schemas::query_parameter(
                "customer_id",
                customer,
                schemas::schema(json!({ "type": "string", "minLength": 1, "maxLength": 128 })),
            ),
        ]
    }
}
