//! The operator endpoints: list, show, redrive, repair and discard dead letters, and read the pipeline's counters.
//!
//! All endpoints need the scope `orders.operate` and a token that is not limited to one customer. The endpoints decide
//! which dead letters to send or change. The ports in [`operations`](crate::operations) send and change them.

mod bodies;
mod change;
mod dead_letters;
mod effects;
mod pipeline;
mod redrive;
mod requests;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::bodies::{DeadLetterBody, DeadLetterPage, DeadLetterSummary, RedriveBody, RedriveItem};
pub(crate) use self::effects::RedriveEffect;
pub(crate) use self::pipeline::PipelineBody;
use crate::auth::{Principal, Scope};
use crate::operations::Operations;
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// The endpoints, with their description.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(redrive::redrive))
        .routes(routes!(dead_letters::get_dead_letter))
        .routes(routes!(change::repair_dead_letter))
        .routes(routes!(change::discard_dead_letter))
        .routes(routes!(pipeline::get_pipeline))
}

/// A principal that may operate the pipeline, with the ports for it.
pub(crate) struct Operator {
    pub(crate) principal: Principal,
    pub(crate) operations: Operations,
}

impl Operator {
    /// The subject that is recorded with a change, or `None` if requests are not authenticated.
    pub(crate) fn by(&self) -> Option<String> {
        Some(self.principal.subject.clone()).filter(|subject| !subject.is_empty())
    }
}

impl FromRequestParts<SharedState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require(Scope::Operate)?;
        if principal.customer_id.is_some() {
            let detail =
                "The token is limited to one customer. Operator requests need a token without a customer_id.";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let missing = "This service has no access to the dead letters. Its operator has to configure the dead-letter queue.";
        let operations =
            state.operations.clone().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))?;
        Ok(Self { principal, operations })
    }
}
