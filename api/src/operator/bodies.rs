//! Response bodies of the operator endpoints.

use std::collections::BTreeMap;

use domain::MessageBody;
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, OrderId, Repair, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::{operator_schemas, schemas};
use crate::http::LinkBuilder;
use crate::operations::ParkedSequence;

use super::effects::RedriveEffect;

/// A dead letter, without its body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterSummary)]
pub(crate) struct DeadLetterSummary<'a> {
    #[schema(schema_with = schemas::dead_letter_object)]
    object: &'static str,
    /// The dead letter's id. It does not change when the dead letter is replayed.
    id: &'a str,
    /// The state of the dead letter.
    #[schema(schema_with = operator_schemas::letter_state)]
    state: DeadLetterState,
    /// Why the dead letter was parked, as a code.
    #[schema(schema_with = operator_schemas::park_reason)]
    reason: &'static str,
    /// Why the dead letter was parked, in a sentence.
    detail: &'a str,
    /// The order of the dead letter's event, if the message is readable enough to determine it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    order_id: Option<&'a OrderId>,
    /// The id of the dead letter's event, if the message is readable enough to determine it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    event_id: Option<domain::EventId>,
    /// The `type` in the message, which may be unknown to this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    event_type: Option<&'a str>,
    /// The correlation id of the request that caused the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    correlation_id: Option<&'a str>,
    /// The queue that the message came from.
    origin: &'a str,
    /// The message group on the queue that the message came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<&'a str>,
    /// How often the message was received before it was parked. 0 if unknown.
    receive_count: u32,
    /// When the message was sent to the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    sent_at: Option<Timestamp>,
    /// When the message was received for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    first_received_at: Option<Timestamp>,
    /// When the message was last parked.
    #[schema(value_type = String, format = "date-time")]
    parked_at: Timestamp,
    /// How often the dead letter was sent back to the queue since its last repair. After 5 times, it must be repaired
    /// or discarded.
    replays: u32,
    /// Whether the body was replaced.
    repaired: bool,
    /// Who repaired the dead letter, and when. At most 20 repairs are listed: the first and the latest ones.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(schema_with = operator_schemas::repairs, required = false)]
    repairs: &'a [Repair],
    /// Who discarded the dead letter, when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = operator_schemas::discard, required = false)]
    discarded: Option<&'a Discard>,
    links: DeadLetterLinks,
}

/// Links of a dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterLinks)]
pub(crate) struct DeadLetterLinks {
    /// The link to this dead letter.
    #[serde(rename = "self")]
    own: String,
    /// The link to the order of the dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    order: Option<String>,
}

impl<'a> DeadLetterSummary<'a> {
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
            links: DeadLetterLinks { own: links.dead_letter(&letter.id), order },
        }
    }
}

/// A page of dead letters, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(crate) struct DeadLetterPage<'a> {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    items: Vec<DeadLetterSummary<'a>>,
    /// The cursor of the next page: send it as `cursor`. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl<'a> DeadLetterPage<'a> {
    pub(crate) fn of(items: Vec<DeadLetterSummary<'a>>, next_cursor: Option<String>) -> Self {
        Self { object: schemas::LIST, items, next_cursor }
    }
}

/// A dead letter with its body. The body is in `body` if it is text, and otherwise in `body_base64`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct DeadLetterBody<'a> {
    #[serde(flatten)]
    summary: DeadLetterSummary<'a>,
    #[serde(flatten)]
    #[schema(inline, value_type = operator_schemas::AnyBody)]
    body: &'a MessageBody,
    /// The original body. Present only if the dead letter was repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<operator_schemas::AnyBody>, nullable = false)]
    original: Option<&'a MessageBody>,
    /// The attributes of the message, under the names that the queue uses.
    attributes: &'a BTreeMap<String, String>,
    /// The ids of the first 100 dead letters in the parked sequence of the order, in order. Empty if the dead letter
    /// has no order.
    line: Vec<&'a str>,
    /// Whether the parked sequence has more dead letters than `line` lists.
    line_cut: bool,
    /// What a redrive would do with the dead letter now.
    prediction: RedriveEffectBody,
}

impl<'a> DeadLetterBody<'a> {
    pub(crate) fn of(
        letter: &'a DeadLetter,
        line: &'a ParkedSequence,
        effect: &RedriveEffect,
        links: &LinkBuilder,
    ) -> Self {
        Self {
            summary: DeadLetterSummary::of(letter, links),
            body: &letter.body,
            original: letter.original.as_ref(),
            attributes: &letter.attributes,
            line: line.letters.iter().map(|letter| letter.id.as_str()).collect(),
            line_cut: line.is_longer,
            prediction: RedriveEffectBody::of(effect),
        }
    }
}

/// What a redrive would do, or did, with a dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prediction)]
pub(crate) struct RedriveEffectBody {
    #[schema(schema_with = super::effects::effect_schema)]
    pub(crate) result: &'static str,
    /// The reason for the result, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// If the message cannot be read, the JSON pointer (RFC 6901) of the member that is wrong. If a member is missing, it is the
    /// pointer of that member or of its parent. Absent if the message is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// The version at which the event was recorded or, in a prediction, would be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    version: Option<u64>,
}

impl RedriveEffectBody {
    pub(crate) fn of(effect: &RedriveEffect) -> Self {
        Self {
            result: effect.as_str(),
            detail: effect.detail(),
            pointer: effect.pointer().map(str::to_owned),
            version: effect.version(),
        }
    }
}

/// The result of a redrive, or a prediction of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedriveResult)]
pub(crate) struct RedriveBody {
    /// Whether this is a dry run. In a dry run, nothing was sent, and the results are predictions.
    pub(crate) dry_run: bool,
    /// The results for the dead letters of the selected sequences, in order.
    pub(crate) items: Vec<RedriveItem>,
    /// The number of dead letters with each result.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Whether more dead letters are selected than one request handles. To continue, send `next_cursor` as `cursor`. If
    /// `next_cursor` is `null`, there is nothing to continue.
    pub(crate) remaining: bool,
    /// Whether a parked sequence is longer than one request handles. If so, wait until the dead letters that were sent
    /// are processed, and send the same request again without a cursor.
    pub(crate) lines_cut: bool,
    /// Where the next request continues. `null` if there are no more sequences.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

/// The result, or the prediction, for one dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Redriven)]
pub(crate) struct RedriveItem {
    /// The id of the dead letter.
    pub(crate) id: String,
    /// The order of the dead letter's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) order_id: Option<OrderId>,
    /// The id of the dead letter's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "uuid")]
    pub(crate) event_id: Option<domain::EventId>,
    /// The `type` of the dead letter's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) event_type: Option<String>,
    #[serde(flatten)]
    #[schema(inline)]
    pub(crate) predicted: RedriveEffectBody,
}

impl RedriveItem {
    pub(crate) fn of(letter: &DeadLetter, effect: &RedriveEffect) -> Self {
        Self {
            id: letter.id.clone(),
            order_id: letter.order_id.clone(),
            event_id: letter.event_id,
            event_type: letter.event_type.clone(),
            predicted: RedriveEffectBody::of(effect),
        }
    }
}
