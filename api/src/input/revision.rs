//! `If-Match` for resources that count their revisions. The entity tag of such a resource is its revision. The handlers of
//! `webhooks` use this module.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::conditional::{IfMatch, TAGS};
use crate::describe::schemas::header_parameter;
use crate::problem::{Problem, ProblemKind};

/// The entity tag of a resource at `revision`.
pub(crate) fn revision_etag(revision: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits and quotes are visible ASCII")
}

/// The header `If-Match`: the revisions at which a change is allowed.
pub(crate) struct IfRevision(IfMatch);

impl IfRevision {
    /// Fails unless the condition allows a change of the resource at `revision`.
    pub(crate) fn check(&self, revision: u64) -> Result<(), Problem> {
        match &self.0 {
            IfMatch::Versions { strong, .. } if !strong.contains(&revision) => {
                let detail = format!(
                    "The subscription is at revision {revision}, which If-Match does not name with a strong entity tag such \
                     as \"{revision}\"."
                );
                Err(Problem::new(ProblemKind::PreconditionFailed, detail))
            }
            IfMatch::Absent | IfMatch::Any | IfMatch::Versions { .. } => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfRevision {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        IfMatch::from_request_parts(parts, state).await.map(Self)
    }
}

impl IntoParams for IfRevision {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The entity tags that the subscription may have, such as `\"3\"` for revision 3, or `*` for any. The \
            subscription is changed only if it is at one of these revisions.";
        vec![header_parameter("If-Match", description, json!({ "type": "string", "pattern": TAGS }))]
    }
}
