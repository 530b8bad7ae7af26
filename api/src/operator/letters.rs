//! Dead letters to look at.

use std::slice;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{DeadLetter, EventId, LetterState, Outcome};
use futures_util::future::try_join_all;

use crate::http::{LinkBuilder, page_response};
use crate::input::{DeadLetterPath, DeadLettersQuery, cursor};
use crate::operations::{Line, Operations};
use crate::problem::{Kind, Problem};
use crate::state::{AppState, Shared};

use super::Operator;
use super::bodies::{LetterBody, LetterPage, LetterSummary};
use super::plan::{Fate, Known, fates};

/// How many letters of a line are shown with one of them.
const LINE_SHOWN: usize = 100;
/// How many outcomes are looked up at the same time.
const LOOKED_UP: usize = 100;

/// Lists dead letters, newest first
///
/// Without `state`, those that wait for somebody: parked ones, and those on their way back. A page may be short, or
/// empty, and still have a next one.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    operation_id = "listDeadLetters",
    tag = "operations",
    params(DeadLettersQuery),
    responses(
        (status = 200, description = "A page of dead letters", body = LetterPage<'static>),
        (status = 400, description = "The query has errors; the first 100 are listed"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "This service is not told where dead letters are kept"),
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
    let items = list.letters.iter().map(|letter| LetterSummary::of(letter, &links)).collect();
    page_response(LetterPage::of(items, next_cursor), link)
}

/// Shows a dead letter
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    operation_id = "getDeadLetter",
    tag = "operations",
    params(DeadLetterPath),
    responses(
        (status = 200, description = "The letter, with its body, its place in line, and what a redrive would do",
            body = LetterBody<'static>),
        (status = 400, description = "The id is not one, or the query has errors"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "There is no such letter, or not any more"),
    )
)]
pub(crate) async fn get_dead_letter(
    State(state): State<Shared>,
    operator: Operator,
    links: LinkBuilder,
    DeadLetterPath(id): DeadLetterPath,
) -> Result<Response, Problem> {
    let letter = operator.operations.letters.letter(&id).await?.ok_or_else(|| missing(&id))?;
    show(&state, &operator.operations, &letter, &links).await
}

/// The letter with its place in line and its fate.
pub(super) async fn show(
    state: &AppState,
    operations: &Operations,
    letter: &DeadLetter,
    links: &LinkBuilder,
) -> Result<Response, Problem> {
    let line = match &letter.order_id {
        Some(order_id) if letter.state != LetterState::Discarded => {
            operations.letters.line(order_id, LINE_SHOWN).await?
        }
        _ => Line::default(),
    };
    // A letter without an order stands for itself.
    let together = if line.letters.is_empty() { slice::from_ref(letter) } else { &line.letters };
    let known = known(state, together).await?;
    let fates = fates(together, &known, operations.default_currency, (state.clock)());
    let place = together.iter().position(|other| other.id == letter.id);
    let otherwise = if line.is_longer { &Fate::NotPredicted } else { &Fate::Gone };
    let fate = place.and_then(|place| fates.get(place)).unwrap_or(otherwise);
    Ok(Json(LetterBody::of(letter, &line, fate, links)).into_response())
}

/// What is known of the order that these letters hold.
pub(super) async fn known(state: &AppState, line: &[DeadLetter]) -> anyhow::Result<Known> {
    let Some(order_id) = line.first().and_then(|letter| letter.order_id.as_ref()) else {
        return Ok(Known { order: None, outcomes: Vec::new() });
    };
    let order = state.reader.order(order_id).await?.map(|snapshot| snapshot.order);
    let outcome = async |event_id: EventId| -> anyhow::Result<Option<(EventId, Outcome)>> {
        let receipt = state.reader.receipt(order_id, event_id).await?;
        Ok(receipt.and_then(|receipt| receipt.outcome).map(|outcome| (event_id, outcome)))
    };
    let event_ids: Vec<_> = line.iter().filter_map(|letter| letter.event_id).collect();
    let mut outcomes = Vec::new();
    for some in event_ids.chunks(LOOKED_UP) {
        outcomes.extend(
            try_join_all(some.iter().map(|event_id| outcome(*event_id))).await?.into_iter().flatten(),
        );
    }
    Ok(Known { order, outcomes })
}

pub(super) fn missing(id: &str) -> Problem {
    Problem::new(Kind::LetterNotFound, format!("There is no dead letter {id}, or not any more."))
}
