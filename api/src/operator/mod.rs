//! What operators do over HTTP: look at dead letters, replay, repair and discard them, and read the pipeline's numbers.
//!
//! All of it needs the scope `orders.operate`, and a principal that is not held to one customer. What happens to a letter
//! is the business of the [`operations`](crate::operations) behind it; here it is decided which letters go where.

mod bodies;
mod change;
mod letters;
mod pipeline;
mod plan;
mod redrive;
mod requests;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::bodies::{LetterBody, LetterPage, LetterSummary, RedriveBody, Redriven};
pub(crate) use self::pipeline::PipelineBody;
pub(crate) use self::plan::Fate;
use crate::auth::{Principal, Scope};
use crate::operations::Operations;
use crate::problem::{Kind, Problem};
use crate::state::Shared;

/// The endpoints, with their description.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(letters::list_dead_letters))
        .routes(routes!(redrive::redrive))
        .routes(routes!(letters::get_dead_letter))
        .routes(routes!(change::repair_dead_letter))
        .routes(routes!(change::discard_dead_letter))
        .routes(routes!(pipeline::get_pipeline))
}

/// Somebody who may look after the pipeline, and what it is looked after with.
pub(crate) struct Operator {
    pub(crate) principal: Principal,
    pub(crate) operations: Operations,
}

impl Operator {
    /// Who decides something here, for the record; nobody if requests are not authenticated.
    pub(crate) fn by(&self) -> Option<String> {
        Some(self.principal.subject.clone()).filter(|subject| !subject.is_empty())
    }
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require(Scope::Operate)?;
        if principal.customer_id.is_some() {
            let detail = "A token that is held to one customer cannot look after the whole pipeline.";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let missing = "This service is not told where dead letters are kept, so it cannot show them.";
        let operations = state.operations.clone().ok_or_else(|| Problem::new(Kind::NotFound, missing))?;
        Ok(Self { principal, operations })
    }
}
