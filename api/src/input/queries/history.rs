//! The query of the pipeline's history: which samples.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::Timestamp;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::QueryPairs;
use crate::describe::schemas;
use crate::problem::Problem;

/// Which samples to return.
#[derive(Debug)]
pub(crate) struct SamplesQuery {
    pub(crate) after: Option<Timestamp>,
}

impl<S: Sync> FromRequestParts<S> for SamplesQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let after = pairs.time("after");
        pairs.finish(Self { after })
    }
}

impl IntoParams for SamplesQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let after = "Only samples after this time (RFC 3339, with an offset): the `at` of the last sample that you have. By \
                     default, all samples are returned";
        vec![schemas::query_parameter(
            "after",
            after,
            schemas::schema(json!({ "type": "string", "format": "date-time" })),
        )]
    }
}
