//! Sends dead letters back to the queue: whole lines of orders, in order.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{DeadLetter, LetterState};

use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{JsonBody, cursor};
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
/// The most letters that one request looks at, but for [`LEAST_OF_LINE`] of each line that its last page leads to.
const MAX_LETTERS: usize = 500;
/// How many letters of a line are looked at in any case.
const LEAST_OF_LINE: usize = 10;
/// Letters that are looked for at one go.
const PAGE: usize = 100;

/// Sends dead letters back to the queue
///
/// Whatever is selected, the whole lines of the orders concerned go back, in order. With `dry_run` nothing is sent, and
/// the answer says what would become of each letter. What cannot be read still, and what was replayed 5 times in vain, is
/// not sent, nor what stands behind it. One request looks at about 500 letters: of a longer line, the first are sent. To send a redrive that broke off once more applies nothing twice.
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
    links: LinkBuilder,
    JsonBody(redrive, _): JsonBody<Redrive>,
) -> Result<Response, Problem> {
    let operations = &operator.operations;
    let Lines { lines, next, is_cut, .. } = Lines::of(operations, &redrive.selection).await?;
    let mut body = RedriveBody {
        dry_run: redrive.dry_run,
        items: Vec::new(),
        counts: BTreeMap::new(),
        remaining: next.is_some() || is_cut,
        lines_cut: is_cut,
        next_cursor: next.map(|position| cursor::after_dead_letter(&position, &redrive.selection.scope())),
    };
    if !redrive.dry_run {
        begin_change(ChangeAttempt::Redrive);
    }
    for line in lines {
        let known = known(&state, &line).await;
        let known = known.map_err(|cause| match redrive.dry_run {
            true => cause.into(),
            false => ChangeAttempt::Redrive.problem(&links, cause),
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

/// The lines that a selection leads to, each once.
struct Lines<'a> {
    operations: &'a Operations,
    /// Orders, and letters without one.
    seen: HashSet<String>,
    lines: Vec<Vec<DeadLetter>>,
    /// Letters of all lines so far.
    letters: usize,
    /// Whether a line is longer than what is looked at.
    is_cut: bool,
    /// Where there are more lines.
    next: Option<LetterPosition>,
}

impl<'a> Lines<'a> {
    async fn of(operations: &'a Operations, selection: &Selection) -> anyhow::Result<Self> {
        let (seen, next) = (HashSet::new(), selection.after.clone());
        let mut lines = Self { operations, seen, lines: Vec::new(), letters: 0, is_cut: false, next };
        for id in &selection.ids {
            if let Some(letter) = operations.letters.letter(id).await? {
                lines.add(letter).await?;
            }
        }
        let Some(filter) = &selection.filter else {
            lines.next = None;
            return Ok(lines);
        };
        loop {
            let list = operations.letters.letters(filter, lines.next.as_ref(), PAGE).await?;
            for letter in list.letters {
                lines.add(letter).await?;
            }
            lines.next = list.next;
            // A page is looked at as a whole, so that its end is where the next request goes on.
            let is_full = lines.lines.len() >= MAX_LINES || lines.letters >= MAX_LETTERS;
            if lines.next.is_none() || is_full {
                return Ok(lines);
            }
        }
    }

    async fn add(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        if letter.state == LetterState::Discarded {
            self.push(vec![letter]);
            return Ok(());
        }
        let name = letter.order_id.as_ref().map_or_else(|| format!("/{}", letter.id), ToString::to_string);
        if !self.seen.insert(name) {
            return Ok(());
        }
        match &letter.order_id {
            Some(order_id) => {
                let limit = MAX_LETTERS.saturating_sub(self.letters).max(LEAST_OF_LINE);
                let line = self.operations.letters.line(order_id, limit).await?;
                self.is_cut |= line.is_longer;
                self.push(line.letters);
            }
            None => self.push(vec![letter]),
        }
        Ok(())
    }

    fn push(&mut self, line: Vec<DeadLetter>) {
        self.letters += line.len();
        self.lines.extend(Some(line).filter(|line| !line.is_empty()));
    }
}
