//! The redrive endpoint, which sends dead letters back to the queue. It sends each order's parked sequence as a whole
//! and in order.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{DeadLetter, DeadLetterState};

use crate::http::{ChangeAttempt, LinkBuilder, begin_change};
use crate::input::{JsonBody, cursor};
use crate::operations::{DeadLetterPosition, Operations, ReplayError};
use crate::problem::Problem;
use crate::state::SharedState;

use super::Operator;
use super::bodies::{RedriveBody, RedriveItem};
use super::dead_letters::sequence_context;
use super::effects::{RedriveEffect, redrive_effects};
use super::requests::{RedriveCommand, RedriveSelection};

/// The maximum number of sequences that one request handles.
const MAX_SEQUENCES: usize = 100;
/// The target number of dead letters for one request. Once this number is reached, the request handles no further page.
/// The last page may exceed the number by up to [`MIN_OF_SEQUENCE`] for each of its sequences.
const MAX_LETTERS: usize = 500;
/// The minimum number of dead letters that are handled in each sequence, even if [`MAX_LETTERS`] is already reached.
const MIN_OF_SEQUENCE: usize = 10;
/// The maximum number of dead letters that one call to the store lists.
const PAGE: usize = 100;

/// Sends dead letters back to the queue
///
/// Redrives the selected dead letters. For each selected order, the whole parked sequence is sent, in order. Returns
/// the result for each dead letter. Use `dry_run` first: with `dry_run`, nothing is sent, and the results are
/// predictions.
///
/// A dead letter is not sent if it still cannot be read or was replayed 5 times without success. Repair or discard such
/// a dead letter: the dead letters after it in its sequence are not sent either. One request handles about 500 dead
/// letters. If a sequence is longer, only its first dead letters are sent. You can repeat a redrive safely, because no
/// event is recorded twice.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/redrive",
    operation_id = "redriveDeadLetters",
    tag = "operations",
    request_body(content = super::requests::RedriveRequest, description = "The dead letters to redrive"),
    responses(
        (status = 200, description = "The result, or the prediction, for each dead letter", body = RedriveBody),
        (status = 400, description = "The body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service has no access to the dead letters"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
        (status = 503, description = "It is unknown which dead letters were sent (`outcome-unknown`)"),
    )
)]
pub(crate) async fn redrive(
    State(state): State<SharedState>,
    operator: Operator,
    links: LinkBuilder,
    JsonBody(redrive, _): JsonBody<RedriveCommand>,
) -> Result<Response, Problem> {
    let operations = &operator.operations;
    let SelectedSequences { sequences, next, is_cut, .. } =
        SelectedSequences::of(operations, &redrive.selection).await?;
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
    for sequence in sequences {
        let context = sequence_context(&state, &sequence).await;
        let context = context.map_err(|cause| match redrive.dry_run {
            true => cause.into(),
            false => ChangeAttempt::Redrive.problem(&links, cause),
        })?;
        let mut effects = redrive_effects(&sequence, &context, operations.default_currency, (state.clock)());
        if !redrive.dry_run {
            send(operations, &sequence, &mut effects).await;
        }
        for (letter, effect) in sequence.iter().zip(&effects) {
            *body.counts.entry(effect.as_str()).or_default() += 1;
            body.items.push(RedriveItem::of(letter, effect));
        }
    }
    if !redrive.dry_run {
        let (by, counts) = (&operator.principal.subject, format!("{:?}", body.counts));
        tracing::info!(by, counts, "dead letters redriven");
    }
    Ok(Json(body).into_response())
}

/// Sends those dead letters of a sequence that `effects` selects for sending. Then replaces their effects with the
/// results.
async fn send(operations: &Operations, sequence: &[DeadLetter], effects: &mut [RedriveEffect]) {
    let (places, letters): (Vec<usize>, Vec<DeadLetter>) = sequence
        .iter()
        .enumerate()
        .filter(|(place, _)| effects[*place].is_to_be_sent())
        .map(|(place, letter)| (place, letter.clone()))
        .unzip();
    if letters.is_empty() {
        return;
    }
    let results = operations.letters.replay(&letters).await;
    for (place, result) in places.into_iter().zip(results) {
        effects[place] = match result {
            Ok(()) => RedriveEffect::Sent,
            Err(ReplayError::Gone) => RedriveEffect::Gone,
            Err(error @ ReplayError::EarlierFailed) => RedriveEffect::Failed(error.to_string()),
            Err(error @ ReplayError::Unavailable(_)) => RedriveEffect::Failed(format!(
                "{error}; the dead letter may have been sent nevertheless. You can redrive it again: no event is recorded twice"
            )),
        };
    }
}

/// The parked sequences that a request selects, each only once.
struct SelectedSequences<'a> {
    operations: &'a Operations,
    /// The keys of the sequences that were added already. The key is the order id. For a dead letter without an order,
    /// the key is `/` and the id of the dead letter.
    seen: HashSet<String>,
    sequences: Vec<Vec<DeadLetter>>,
    /// The number of dead letters in all sequences so far.
    letters: usize,
    /// Whether any sequence is longer than one request handles.
    is_cut: bool,
    /// The position where the next request continues.
    next: Option<DeadLetterPosition>,
}

impl<'a> SelectedSequences<'a> {
    async fn of(operations: &'a Operations, selection: &RedriveSelection) -> anyhow::Result<Self> {
        let (seen, next) = (HashSet::new(), selection.after.clone());
        let mut selected = Self { operations, seen, sequences: Vec::new(), letters: 0, is_cut: false, next };
        for id in &selection.ids {
            if let Some(letter) = operations.letters.letter(id).await? {
                selected.add(letter).await?;
            }
        }
        let Some(filter) = &selection.filter else {
            selected.next = None;
            return Ok(selected);
        };
        loop {
            let list = operations.letters.letters(filter, selected.next.as_ref(), PAGE).await?;
            for letter in list.letters {
                selected.add(letter).await?;
            }
            selected.next = list.next;
            // A page is always handled as a whole, because the next request continues at the end of the page.
            let is_full = selected.sequences.len() >= MAX_SEQUENCES || selected.letters >= MAX_LETTERS;
            if selected.next.is_none() || is_full {
                return Ok(selected);
            }
        }
    }

    async fn add(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        if letter.state == DeadLetterState::Discarded {
            self.push(vec![letter]);
            return Ok(());
        }
        let name = letter.order_id.as_ref().map_or_else(|| format!("/{}", letter.id), ToString::to_string);
        if !self.seen.insert(name) {
            return Ok(());
        }
        match &letter.order_id {
            Some(order_id) => {
                let limit = MAX_LETTERS.saturating_sub(self.letters).max(MIN_OF_SEQUENCE);
                let sequence = self.operations.letters.sequence(order_id, limit).await?;
                self.is_cut |= sequence.is_longer;
                self.push(sequence.letters);
            }
            None => self.push(vec![letter]),
        }
        Ok(())
    }

    fn push(&mut self, sequence: Vec<DeadLetter>) {
        self.letters += sequence.len();
        self.sequences.extend(Some(sequence).filter(|sequence| !sequence.is_empty()));
    }
}
