//! The query of the stream of a backup.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::pairs::QueryPairs;
use crate::describe::schemas;
use crate::ports::backup::BackupStart;
use crate::problem::Problem;

/// Where the stream begins.
#[derive(Debug)]
pub(crate) struct BackupQuery(pub(crate) BackupStart);

impl<S: Sync> FromRequestParts<S> for BackupQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut pairs = QueryPairs::of(&parts.uri)?;
        let after = pairs.number("after").unwrap_or(0);
        let rejected_before = pairs.number("rejected");
        pairs.finish(Self(BackupStart { from: after.saturating_add(1), rejected_before }))
    }
}

/// This implementation is written by hand. A derived implementation would lose the description of every parameter whose
/// schema is written by hand.
impl IntoParams for BackupQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = || schemas::schema(json!({ "type": "integer", "format": "int64", "minimum": 0 }));
        let after = "Only events after this position of the feed. By default, the stream has all events.";
        let rejected = "The number of rejected events in the ledger of the previous backup, if that backup had neither queued messages \
            nor dead letters. If this is still so, the stream leaves out the receipts of refused events.";
        vec![
            schemas::query_parameter("after", after, number()),
            schemas::query_parameter("rejected", rejected, number()),
        ]
    }
}
