//! Sends dead letters back to the queue: whole lines of orders, in order.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{DeadLetter, LetterState};

use crate::attempt::Attempt;
use crate::correlation;
use crate::cursor;
use crate::json::JsonBody;
use crate::links::Links;
use crate::operations::{LetterPosition, Operations, ReplayError};
use crate::problem::Problem;
use crate::state::Shared;

use super::Operator;
use super::bodies::{RedriveBody, Redriven};
use super::letters::known;
use super::plan::{Fate, fates};
use super::requests::{Redrive, Selection};

/// The most lines that one request looks at.
const MAX_LINES: usize = 100;
/// Letters that are looked for at one go.
const PAGE: usize = 100;

/// Sends dead letters back to the queue
///
/// Whatever is selected, the whole lines of the orders concerned go back, in order. With `dry_run` nothing is sent, and
/// the answer says what would become of each letter. What cannot be read still, and what was replayed 5 times in vain, is
/// not sent, nor what stands behind it. To send a redrive that broke off once more applies nothing twice.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/redrive",
    operation_id = "redriveDeadLetters",
    tag = "operations",
    request_body(content = super::requests::RedriveRequest, description = "Which letters"),
    responses(
        (status = 200, description = "What became of each letter, or would", body = RedriveBody),
        (status = 400, description = "The body is not JSON"),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "This service is not told where dead letters are kept"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body has errors; the first 100 are listed"),
        (status = 503, description = "It is not known which letters were sent (`outcome-unknown`)"),
    )
)]
pub(crate) async fn redrive(
    State(state): State<Shared>,
    operator: Operator,
    links: Links,
    JsonBody(redrive, _): JsonBody<Redrive>,
) -> Result<Response, Problem> {
    let operations = &operator.operations;
    let (lines, next) = lines(operations, &redrive.selection).await?;
    let mut body = RedriveBody {
        dry_run: redrive.dry_run,
        items: Vec::new(),
        counts: BTreeMap::new(),
        remaining: next.is_some(),
        next_cursor: next.map(|position| cursor::after_letter(&position, &redrive.selection.scope())),
    };
    if !redrive.dry_run {
        correlation::begin(Attempt::Redrive);
    }
    for line in lines {
        let known = known(&state, &line).await;
        let known = known.map_err(|cause| match redrive.dry_run {
            true => cause.into(),
            false => Attempt::Redrive.problem(&links, cause),
        })?;
        let mut fates = fates(&line, &known, operations.default_currency, (state.clock)());
        if !redrive.dry_run {
            send(operations, &line, &mut fates).await;
        }
        for (letter, fate) in line.iter().zip(&fates) {
            *body.counts.entry(fate.as_str()).or_default() += 1;
            body.items.push(Redriven::of(letter, fate));
        }
    }
    if !redrive.dry_run {
        let (by, counts) = (&operator.principal.subject, format!("{:?}", body.counts));
        tracing::info!(by, counts, "dead letters redriven");
    }
    Ok(Json(body).into_response())
}

/// Sends what is to be sent of a line, and notes what came of it.
async fn send(operations: &Operations, line: &[DeadLetter], fates: &mut [Fate]) {
    let (places, letters): (Vec<usize>, Vec<DeadLetter>) = line
        .iter()
        .enumerate()
        .filter(|(place, _)| fates[*place].is_to_be_sent())
        .map(|(place, letter)| (place, letter.clone()))
        .unzip();
    if letters.is_empty() {
        return;
    }
    let results = operations.letters.replay(&letters).await;
    for (place, result) in places.into_iter().zip(results) {
        fates[place] = match result {
            Ok(()) => Fate::Sent,
            Err(ReplayError::Gone) => Fate::Gone,
            Err(error @ ReplayError::Behind) => Fate::Failed(error.to_string()),
            Err(error @ ReplayError::Unavailable(_)) => Fate::Failed(format!(
                "{error}; it may have been sent all the same: redrive it again, which applies nothing twice"
            )),
        };
    }
}

/// The lines that the selection leads to, each once, and where there are more.
async fn lines(
    operations: &Operations,
    selection: &Selection,
) -> anyhow::Result<(Vec<Vec<DeadLetter>>, Option<LetterPosition>)> {
    let mut lines = Lines { operations, seen: HashSet::new(), lines: Vec::new() };
    for id in &selection.ids {
        if let Some(letter) = operations.letters.letter(id).await? {
            lines.add(letter).await?;
        }
    }
    let Some(filter) = &selection.filter else { return Ok((lines.lines, None)) };
    let mut next = selection.after.clone();
    loop {
        let list = operations.letters.letters(filter, next.as_ref(), PAGE).await?;
        for letter in list.letters {
            lines.add(letter).await?;
        }
        next = list.next;
        // A page is looked at as a whole, so that its end is where the next request goes on.
        if next.is_none() || lines.lines.len() >= MAX_LINES {
            return Ok((lines.lines, next));
        }
    }
}

struct Lines<'a> {
    operations: &'a Operations,
    /// Orders, and letters without one.
    seen: HashSet<String>,
    lines: Vec<Vec<DeadLetter>>,
}

impl Lines<'_> {
    async fn add(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        if letter.state == LetterState::Discarded {
            self.lines.push(vec![letter]);
            return Ok(());
        }
        let name = letter.order_id.as_ref().map_or_else(|| format!("/{}", letter.id), ToString::to_string);
        if !self.seen.insert(name) {
            return Ok(());
        }
        let line = match &letter.order_id {
            Some(order_id) => self.operations.letters.line(order_id).await?,
            None => vec![letter],
        };
        self.lines.extend(Some(line).filter(|line| !line.is_empty()));
        Ok(())
    }
}
