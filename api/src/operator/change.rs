//! Changes of single letters: repair and discard.

use axum::extract::State;
use axum::response::Response;
use domain::dead_letter::Discard;
use domain::{Repair, identify};

use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{DeadLetterPath, JsonBody};
use crate::operations::Change;
use crate::problem::{Kind, Problem};
use crate::state::{AppState, Shared};

use super::Operator;
use super::bodies::LetterBody;
use super::letters::{missing, show};
use super::requests::{DiscardRequest, NewBody, RepairRequest, Why};

/// The largest body of a repair: a message may have 1 MiB, and twice as much as JSON.
const MAX_REPAIR: usize = 2 << 20;

/// Repairs a dead letter
///
/// Replaces what a redrive sends. What was sent first is kept, and a letter that was replayed too often may be replayed
/// again. The new body must be about the same order, if that is known. Who repaired it is kept with the letter, and with the
/// event that it becomes, which has what was sent first as well.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/repair",
    operation_id = "repairDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    request_body(content = RepairRequest, description = "What to send instead"),
    responses(
        (status = 200, description = "The letter as it is now", body = LetterBody<'static>),
        (status = 400, description = "The id is not one, or the body is not JSON"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "There is no such letter, or not any more"),
        (status = 409, description = "The letter is on its way back, or discarded"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body has errors; the first 100 are listed"),
        (status = 503, description = "It is not known whether the letter was changed (`outcome-unknown`)"),
    )
)]
pub(crate) async fn repair_dead_letter(
    State(state): State<Shared>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
    JsonBody(NewBody(body), _grant): JsonBody<NewBody, MAX_REPAIR>,
) -> Result<Response, Problem> {
    let letters = &operator.operations.letters;
    let known = letters.letter(&id).await?.ok_or_else(|| missing(&id))?;
    if let (Some(order), Some(other)) = (&known.order_id, identify(&body).order_id)
        && *order != other
    {
        return Err(Problem::of_body(super::requests::another_order(order)));
    }
    let repair = Repair { at: (state.clock)(), by: operator.by() };
    begin_change(ChangeAttempt::DeadLetter(id.clone()));
    let change = letters.repair(&id, body, repair).await;
    changed(&state, &operator, &links, &id, change).await
}

/// Discards a dead letter
///
/// Its event is not to happen: its receipt says that it was rejected, and why, and its order goes on without it. The
/// letter is kept. Letters behind it stay where they are until they are redriven.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/discard",
    operation_id = "discardDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    request_body(content = DiscardRequest, description = "Why"),
    responses(
        (status = 200, description = "The letter as it is now", body = LetterBody<'static>),
        (status = 400, description = "The id is not one, or the body is not JSON"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "There is no such letter, or not any more"),
        (status = 409, description = "The letter is on its way back, or discarded already"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body has errors; the first 100 are listed"),
        (status = 503, description = "It is not known whether the letter was changed (`outcome-unknown`)"),
    )
)]
pub(crate) async fn discard_dead_letter(
    State(state): State<Shared>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
    JsonBody(Why(reason), _): JsonBody<Why>,
) -> Result<Response, Problem> {
    let discard = Discard { reason: reason.as_str().to_owned(), at: (state.clock)(), by: operator.by() };
    begin_change(ChangeAttempt::DeadLetter(id.clone()));
    let change = operator.operations.letters.discard(&id, discard).await;
    changed(&state, &operator, &links, &id, change).await
}

/// The answer to a change. Where the store failed, the change may be made all the same.
async fn changed(
    state: &AppState,
    operator: &Operator,
    links: &LinkBuilder,
    id: &str,
    change: anyhow::Result<Change>,
) -> Result<Response, Problem> {
    let uncertain = |cause| ChangeAttempt::DeadLetter(id.to_owned()).problem(links, cause);
    match change.map_err(uncertain)? {
        Change::Made(letter) => {
            let (by, state_now) = (&operator.principal.subject, letter.state.as_str());
            tracing::info!(by, letter = id, state = state_now, "dead letter changed");
            show(state, &operator.operations, &letter, links).await
        }
        Change::Missing => Err(missing(id)),
        Change::NotParked(now) => {
            let detail =
                format!("The dead letter {id} is {}; only a parked one can be changed.", now.as_str());
            Err(Problem::new(Kind::LetterNotParked, detail))
        }
    }
}
