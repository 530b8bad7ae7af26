//! The operator endpoints: list, show, redrive, repair and discard dead letters, read the pipeline's counters and their
//! history, read a backup, and set the fence of a service that is moved.
//!
//! All endpoints need the scope `orders.operate` and a token that is not limited to one customer. The endpoints decide
//! which dead letters to send or change. The ports in [`operations`](crate::operations) send and change them.

mod backup;
mod bodies;
mod change;
mod dead_letters;
mod effects;
mod fence;
mod history;
mod pipeline;
mod redrive;
mod requests;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::bodies::{DeadLetterBody, DeadLetterPage, DeadLetterSummary, RedriveBody, RedriveItem};
pub(crate) use self::effects::RedriveEffect;
pub(crate) use self::fence::FenceBody;
pub(crate) use self::history::PipelineHistoryBody;
pub(crate) use self::pipeline::PipelineBody;
use crate::auth::Principal;
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
        .routes(routes!(history::get_pipeline_history))
        .routes(routes!(backup::read_backup))
        .routes(routes!(fence::read_fence, fence::set_fence, fence::lift_fence))
}

/// A principal that may operate the pipeline, and the ports that operator requests use.
pub(crate) struct Operator {
    pub(crate) principal: Principal,
    pub(crate) operations: Operations,
}

impl FromRequestParts<SharedState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require_operator()?;
        let missing = "This service has no access to the dead letters. The operator of the service has to configure the dead-letter queue.";
        let operations =
            state.operations.clone().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))?;
        Ok(Self { principal, operations })
    }
}
