//! Endpoints that read dead letters: the list, and one dead letter with its prediction.

use std::slice;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{DeadLetter, DeadLetterState, EventId, Outcome};
use futures_util::future::try_join_all;

use crate::http::{LinkBuilder, page_response};
use crate::input::{DeadLetterPath, DeadLettersQuery, cursor};
use crate::operations::{Operations, ParkedSequence};
use crate::problem::{Problem, ProblemKind};
use crate::state::{AppState, SharedState};

use super::Operator;
use super::bodies::{DeadLetterBody, DeadLetterPage, DeadLetterSummary};
use super::effects::{RedriveEffect, SequenceContext, redrive_effects};

/// How many dead letters of a sequence are shown with one of its dead letters.
const SEQUENCE_SHOWN: usize = 100;
/// How many outcomes are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 100;

/// Lists dead letters, newest first
///
/// Returns a page of dead letters without their bodies. Without `state`, the list contains the parked dead letters and
/// those that were sent back to the queue, but not the discarded ones. A page may be short or empty although more pages
/// follow. Continue with `next_cursor` until it is `null`.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    operation_id = "listDeadLetters",
    tag = "operations",
    params(DeadLettersQuery),
    responses(
        (status = 200, description = "A page of dead letters", body = DeadLetterPage<'static>),
        (status = 400, description = "The query has errors; up to 100 are listed"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service has no access to the dead letters"),
    )
)]
pub(crate) async fn list_dead_letters(
    operator: Operator,
    links: LinkBuilder,
    query: DeadLettersQuery,
) -> Result<Response, Problem> {
    let DeadLettersQuery { filter, limit, after } = &query;
    let list = operator.operations.letters.letters(filter, after.as_ref(), *limit).await?;
    let next_cursor = list.next.map(|position| cursor::after_dead_letter(&position, &query.scope()));
    let link = next_cursor.as_deref().map(|cursor| links.next_dead_letters(&query.next(cursor)));
    let items = list.letters.iter().map(|letter| DeadLetterSummary::of(letter, &links)).collect();
    page_response(DeadLetterPage::of(items, next_cursor), link)
}

/// Shows a dead letter
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    operation_id = "getDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    responses(
        (status = 200, description = "The dead letter with its body, its parked sequence, and a prediction",
            body = DeadLetterBody<'static>),
        (status = 400, description = "The id is not valid, or the query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The dead letter does not exist, or no longer exists"),
    )
)]
pub(crate) async fn get_dead_letter(
    State(state): State<SharedState>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
) -> Result<Response, Problem> {
    let letter = operator.operations.letters.letter(&id).await?.ok_or_else(|| missing(&id))?;
    show(&state, &operator.operations, &letter, &links).await
}

/// The answer with one dead letter, its sequence and its prediction. `letter` may be changed and not stored; the prediction is
/// for the letter as it is given.
pub(super) async fn show(
    state: &AppState,
    operations: &Operations,
    letter: &DeadLetter,
    links: &LinkBuilder,
) -> Result<Response, Problem> {
    let mut sequence = match &letter.order_id {
        Some(order_id) if letter.state != DeadLetterState::Discarded => {
            operations.letters.sequence(order_id, SEQUENCE_SHOWN).await?
        }
        _ => ParkedSequence::default(),
    };
    match sequence.letters.iter_mut().find(|stored| stored.id == letter.id) {
        Some(stored) => stored.clone_from(letter),
        // The change that is not stored may be what names the order.
        None if letter.original.is_some() && letter.state == DeadLetterState::Parked => {
            let place = sequence.letters.partition_point(|other| other.parked_at <= letter.parked_at);
            sequence.letters.insert(place, letter.clone());
        }
        None => {}
    }
    // A dead letter without an order forms a sequence by itself.
    let shown = if sequence.letters.is_empty() { slice::from_ref(letter) } else { &sequence.letters };
    let context = sequence_context(state, shown).await?;
    let effects = redrive_effects(shown, &context, operations.default_currency, (state.clock)());
    let place = shown.iter().position(|other| other.id == letter.id);
    let otherwise = if sequence.is_longer { &RedriveEffect::NotPredicted } else { &RedriveEffect::Gone };
    let effect = place.and_then(|place| effects.get(place)).unwrap_or(otherwise);
    Ok(Json(DeadLetterBody::of(letter, &sequence, effect, links)).into_response())
}

/// Reads what the predictions for a sequence depend on: its order, and the outcomes of its events.
pub(super) async fn sequence_context(
    state: &AppState,
    sequence: &[DeadLetter],
) -> anyhow::Result<SequenceContext> {
    let Some(order_id) = sequence.first().and_then(|letter| letter.order_id.as_ref()) else {
        return Ok(SequenceContext { order: None, outcomes: Vec::new() });
    };
    let order = state.reader.order(order_id).await?.map(|snapshot| snapshot.order);
    let outcome = async |event_id: EventId| -> anyhow::Result<Option<(EventId, Outcome)>> {
        let receipt = state.reader.receipt(order_id, event_id).await?;
        Ok(receipt.and_then(|receipt| receipt.outcome).map(|outcome| (event_id, outcome)))
    };
    let event_ids: Vec<_> = sequence.iter().filter_map(|letter| letter.event_id).collect();
    let mut outcomes = Vec::new();
    for some in event_ids.chunks(CONCURRENT_LOOKUPS) {
        outcomes.extend(
            try_join_all(some.iter().map(|event_id| outcome(*event_id))).await?.into_iter().flatten(),
        );
    }
    Ok(SequenceContext { order, outcomes })
}

pub(super) fn missing(id: &str) -> Problem {
    Problem::new(
        ProblemKind::DeadLetterNotFound,
        format!("Dead letter {id} does not exist, or no longer exists."),
    )
}
