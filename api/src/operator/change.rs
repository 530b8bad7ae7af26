//! Endpoints that change one dead letter: repair and discard.

use axum::extract::State;
use axum::response::Response;
use domain::dead_letter::Discard;
use domain::{DeadLetterState, Repair, identify};

use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{DeadLetterPath, JsonBody};
use crate::operations::DeadLetterChange;
use crate::problem::{Problem, ProblemKind};
use crate::state::{AppState, SharedState};

use super::Operator;
use super::bodies::DeadLetterBody;
use super::dead_letters::{missing, show};
use super::requests::{DiscardReason, DiscardRequest, RepairCommand, RepairRequest};

/// The maximum size of a repair's body, in bytes. A message of 1 MiB can take twice as much space in JSON.
const MAX_REPAIR: usize = 2 << 20;

/// Repairs a dead letter
///
/// Replaces the body that a redrive sends, and returns the dead letter. The original body is kept, and `replays` is
/// reset to 0. If the order of the dead letter is known, the new body must belong to the same order. The dead letter
/// shows the repair. Once the event is recorded, the event shows the repair, too.
///
/// With `dry_run`, nothing is changed: the answer shows the dead letter as it would be, with the prediction for the new body.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/repair",
    operation_id = "repairDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    request_body(content = RepairRequest, description = "The new body, as text or base64; at most 2 MiB"),
    responses(
        (status = 200, description = "The dead letter after the change, or as it would be", body = DeadLetterBody<'static>),
        (status = 400, description = "The id is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The dead letter does not exist, or no longer exists"),
        (status = 409, description = "The dead letter was sent back to the queue, or discarded"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 503, description = "It is unknown whether the dead letter was changed (`outcome-unknown`)"),
    )
)]
pub(crate) async fn repair_dead_letter(
    State(state): State<SharedState>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
    JsonBody(RepairCommand { dry_run, body }, _grant): JsonBody<RepairCommand, MAX_REPAIR>,
) -> Result<Response, Problem> {
    let letters = &operator.operations.letters;
    let known = letters.letter(&id).await?.ok_or_else(|| missing(&id))?;
    if let (Some(order), Some(other)) = (&known.order_id, identify(&body).order_id)
        && *order != other
    {
        return Err(Problem::of_body(super::requests::another_order(order)));
    }
    let repair = Repair { at: (state.clock)(), by: operator.principal.name() };
    if dry_run {
        let mut letter = known;
        if letter.state != DeadLetterState::Parked {
            return Err(not_parked(&id, letter.state));
        }
        letter.repair(body, repair);
        return show(&state, &operator.operations, &letter, &links).await;
    }
    begin_change(ChangeAttempt::DeadLetter(id.clone()));
    let change = letters.repair(&id, body, repair).await;
    changed(&state, &operator, &links, &id, change).await
}

/// Discards a dead letter
///
/// Decides that the event will not be recorded, and returns the dead letter. The event's receipt becomes `rejected`
/// with your reason. The dead letter is kept. Later dead letters of the order stay parked until you redrive them. A
/// discard cannot be undone.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/discard",
    operation_id = "discardDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    request_body(content = DiscardRequest, description = "The reason"),
    responses(
        (status = 200, description = "The dead letter after the change", body = DeadLetterBody<'static>),
        (status = 400, description = "The id is not valid, or the body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The dead letter does not exist, or no longer exists"),
        (status = 409, description = "The dead letter was sent back to the queue, or discarded already"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 503, description = "It is unknown whether the dead letter was changed (`outcome-unknown`)"),
    )
)]
pub(crate) async fn discard_dead_letter(
    State(state): State<SharedState>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
    JsonBody(DiscardReason(reason), _): JsonBody<DiscardReason>,
) -> Result<Response, Problem> {
    let discard =
        Discard { reason: reason.as_str().to_owned(), at: (state.clock)(), by: operator.principal.name() };
    begin_change(ChangeAttempt::DeadLetter(id.clone()));
    let change = operator.operations.letters.discard(&id, discard).await;
    changed(&state, &operator, &links, &id, change).await
}

/// Answers a request to change a dead letter. If the store failed, the change may still have been made.
async fn changed(
    state: &AppState,
    operator: &Operator,
    links: &LinkBuilder,
    id: &str,
    change: anyhow::Result<DeadLetterChange>,
) -> Result<Response, Problem> {
    let uncertain = |cause| ChangeAttempt::DeadLetter(id.to_owned()).problem(links, cause);
    match change.map_err(uncertain)? {
        DeadLetterChange::Made(letter) => {
            let (by, state_now) = (&operator.principal.subject, letter.state.as_str());
            tracing::info!(by, letter = id, state = state_now, "dead letter changed");
            show(state, &operator.operations, &letter, links).await
        }
        DeadLetterChange::Missing => Err(missing(id)),
        DeadLetterChange::NotParked(now) => Err(not_parked(id, now)),
    }
}

fn not_parked(id: &str, now: DeadLetterState) -> Problem {
    let detail = format!("Dead letter {id} is {}. Only a parked dead letter can be changed.", now.as_str());
    Problem::new(ProblemKind::DeadLetterNotParked, detail)
}
