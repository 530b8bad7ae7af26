//! The bodies that operators get.

use std::collections::BTreeMap;

use domain::dead_letter::{Body, Discard};
use domain::{DeadLetter, LetterState, OrderId, Repair, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::{operator_schemas, schemas};
use crate::http::LinkBuilder;
use crate::operations::Line;

use super::plan::Fate;

/// A dead letter, without its body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterSummary)]
pub(crate) struct LetterSummary<'a> {
    #[schema(schema_with = schemas::dead_letter_object)]
    object: &'static str,
    /// Names it, through all replays.
    id: &'a str,
    /// Where it stands.
    #[schema(schema_with = operator_schemas::letter_state)]
    state: LetterState,
    /// Why it was put aside: the code.
    #[schema(schema_with = operator_schemas::park_reason)]
    reason: &'static str,
    /// Why it was put aside, in a sentence.
    detail: &'a str,
    /// The order it is about, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    order_id: Option<&'a OrderId>,
    /// The event it was meant to be, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    event_id: Option<domain::EventId>,
    /// Its `type`, known or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    event_type: Option<&'a str>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    correlation_id: Option<&'a str>,
    /// The queue it comes from.
    origin: &'a str,
    /// Its ordering group there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<&'a str>,
    /// How often it was received before it was put aside; 0 if that is not known.
    receive_count: u32,
    /// When it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    sent_at: Option<Timestamp>,
    /// When it was received for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    first_received_at: Option<Timestamp>,
    /// When it was put aside, the last time.
    #[schema(value_type = String, format = "date-time")]
    parked_at: Timestamp,
    /// How often it was replayed since it was last repaired.
    replays: u32,
    /// Whether its body is not the one that was sent.
    repaired: bool,
    /// Who repaired it, and when: the first and the latest ones of at most 20.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(schema_with = operator_schemas::repairs, required = false)]
    repairs: &'a [Repair],
    /// Who decided that it is not to happen, when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = operator_schemas::discard, required = false)]
    discarded: Option<&'a Discard>,
    links: LetterLinks,
}

/// Where to go from a dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterLinks)]
pub(crate) struct LetterLinks {
    /// This letter.
    #[serde(rename = "self")]
    own: String,
    /// The order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    order: Option<String>,
}

impl<'a> LetterSummary<'a> {
    pub(crate) fn of(letter: &'a DeadLetter, links: &LinkBuilder) -> Self {
        let order = letter.order_id.as_ref().map(|order_id| links.order(order_id));
        Self {
            object: schemas::DEAD_LETTER,
            id: &letter.id,
            state: letter.state,
            reason: letter.reason.as_str(),
            detail: &letter.detail,
            order_id: letter.order_id.as_ref(),
            event_id: letter.event_id,
            event_type: letter.event_type.as_deref(),
            correlation_id: letter.correlation_id.as_ref().map(|id| id.as_str()),
            origin: &letter.origin,
            group: letter.group.as_deref(),
            receive_count: letter.receive_count,
            sent_at: letter.sent_at,
            first_received_at: letter.first_received_at,
            parked_at: letter.parked_at,
            replays: letter.replays,
            repaired: letter.original.is_some(),
            repairs: &letter.repairs,
            discarded: letter.discarded.as_ref(),
            links: LetterLinks { own: links.dead_letter(&letter.id), order },
        }
    }
}

/// A page of dead letters, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(crate) struct LetterPage<'a> {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    items: Vec<LetterSummary<'a>>,
    /// Where the next page begins: give it as `cursor`. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl<'a> LetterPage<'a> {
    pub(crate) fn of(items: Vec<LetterSummary<'a>>, next_cursor: Option<String>) -> Self {
        Self { object: schemas::LIST, items, next_cursor }
    }
}

/// A dead letter with everything that is known of it. Its body is `body`, or `body_base64` if it is not text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct LetterBody<'a> {
    #[serde(flatten)]
    summary: LetterSummary<'a>,
    #[serde(flatten)]
    #[schema(inline, value_type = operator_schemas::AnyBody)]
    body: &'a Body,
    /// What was sent, if the letter was repaired since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<operator_schemas::AnyBody>, nullable = false)]
    original: Option<&'a Body>,
    /// What came with it: attributes of the message, as the queue names them.
    attributes: &'a BTreeMap<String, String>,
    /// The first 100 letters that hold its order, in line, by their ids. Empty if it holds none.
    line: Vec<&'a str>,
    /// Whether more letters than these hold its order.
    line_cut: bool,
    /// What a redrive would do with it now.
    prediction: Predicted,
}

impl<'a> LetterBody<'a> {
    pub(crate) fn of(letter: &'a DeadLetter, line: &'a Line, fate: &Fate, links: &LinkBuilder) -> Self {
        Self {
            summary: LetterSummary::of(letter, links),
            body: &letter.body,
            original: letter.original.as_ref(),
            attributes: &letter.attributes,
            line: line.letters.iter().map(|letter| letter.id.as_str()).collect(),
            line_cut: line.is_longer,
            prediction: Predicted::of(fate),
        }
    }
}

/// What a redrive would do, or has done, with a dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prediction)]
pub(crate) struct Predicted {
    /// `would_record`: it is legal after those before it in line. `already_recorded`: its event is in the log.
    /// `illegal`: the rules say no. `unreadable`: it still cannot be read. `behind`: one before it in its order's line
    /// would not leave the dead letters. `replayed_too_often`: it was replayed 5 times, and has to be repaired or
    /// discarded. `discarded`: nobody wants it to happen. `not_predicted`: more letters stand before it in its order's
    /// line than are looked at. `sent`: it is on its way back. `gone`: it was dealt with meanwhile. `failed`: it could not be sent, and may be tried again.
    #[schema(schema_with = operator_schemas::fates)]
    pub(crate) result: &'static str,
    /// Why, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The version that it would be recorded as, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    version: Option<u64>,
}

impl Predicted {
    pub(crate) fn of(fate: &Fate) -> Self {
        Self { result: fate.as_str(), detail: fate.detail(), version: fate.version() }
    }
}

/// What a redrive did, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedriveResult)]
pub(crate) struct RedriveBody {
    /// Whether nothing was done.
    pub(crate) dry_run: bool,
    /// The letters of the lines that were looked at, in line: of a long line, the first.
    pub(crate) items: Vec<Redriven>,
    /// How many there are of each result.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Whether more letters are selected than one request looks at: go on with `next_cursor` as `cursor`, if it is there.
    pub(crate) remaining: bool,
    /// Whether a line is longer than one request looks at. Once the letters that were sent are handled, send the same
    /// request again, without a cursor.
    pub(crate) lines_cut: bool,
    /// Where to go on; `null` if this was all.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

/// What became, or would become, of one letter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redriven {
    /// The letter.
    pub(crate) id: String,
    /// Its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) order_id: Option<OrderId>,
    /// The event in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    pub(crate) event_id: Option<domain::EventId>,
    /// Its `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) event_type: Option<String>,
    #[serde(flatten)]
    #[schema(inline)]
    pub(crate) predicted: Predicted,
}

impl Redriven {
    pub(crate) fn of(letter: &DeadLetter, fate: &Fate) -> Self {
        Self {
            id: letter.id.clone(),
            order_id: letter.order_id.clone(),
            event_id: letter.event_id,
            event_type: letter.event_type.clone(),
            predicted: Predicted::of(fate),
        }
    }
}
