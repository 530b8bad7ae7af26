//! A message that could not be processed, with all that is known about it. The archive stores dead letters, operators
//! read them, and a redrive sends them again. The JSON of a dead letter is the same on every backend.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::body::MessageBody;
use crate::event_kinds::EventType;
use crate::identify::{MessageIdentity, identify};
use crate::ids::{CorrelationId, EventId, OrderId};
use crate::outcome::{Outcome, Receipt};
use crate::reasons::{ParkReason, RejectReason};
use crate::repair::{MAX_REPAIRS, Repair};
use crate::value::Timestamp;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The id of the original message, which stays the same through all redrives.
    pub id: String,
    /// The state of the dead letter.
    #[serde(default)]
    pub state: DeadLetterState,
    /// Why the message was parked.
    pub reason: ParkReason,
    /// Describes what is wrong and where, in one sentence.
    pub detail: String,
    /// The order of the event, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The id of the event, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The `type` of the event, which may be unknown to this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The request that caused the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
    /// The queue that the message comes from.
    #[serde(default)]
    pub origin: String,
    /// The ordering group of the message on its queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How often the message was received. The number is 0 if unknown.
    #[serde(default)]
    pub receive_count: u32,
    /// When the message was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When the message was first received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_received_at: Option<Timestamp>,
    /// When the message was parked for the last time.
    pub parked_at: Timestamp,
    /// How often the dead letter was redriven since its last repair.
    #[serde(default)]
    pub replays: u32,
    /// The other attributes of the message, under the names that the queue uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The body to redrive: the repaired body if there is one, and otherwise the original body.
    #[serde(flatten)]
    pub body: MessageBody,
    /// The original body, if an operator repaired the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<MessageBody>,
    /// The repairs, oldest first. Older versions of this program did not write this field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
    /// Who discarded the dead letter, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<Discard>,
}

/// The state of a dead letter. A dead letter is removed when its event is recorded or rejected after a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// The dead letter is kept until an operator acts.
    #[default]
    Parked,
    /// The message was sent back to the queue, and is not handled yet.
    Replaying,
    /// An operator discarded the dead letter. The dead letter is kept for reference.
    Discarded,
}

impl DeadLetterState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Parked, Self::Replaying, Self::Discarded];

    /// The state as JSON contains it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Replaying => "replaying",
            Self::Discarded => "discarded",
        }
    }
}

/// Who discarded a dead letter, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    /// The reason, in free text.
    pub reason: String,
    /// When the dead letter was discarded.
    pub at: Timestamp,
    /// Who discarded the dead letter, if requests are authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl DeadLetter {
    /// Creates the dead letter of a message with the given body. The caller sets the fields that the body
    /// does not contain.
    pub fn new(
        id: impl Into<String>,
        body: Vec<u8>,
        reason: ParkReason,
        detail: String,
        at: Timestamp,
    ) -> Self {
        let MessageIdentity { order_id, event_id, event_type, correlation_id, .. } = identify(&body);
        Self {
            id: id.into(),
            state: DeadLetterState::Parked,
            reason,
            detail,
            order_id,
            event_id,
            event_type,
            correlation_id,
            origin: String::new(),
            group: None,
            receive_count: 0,
            sent_at: None,
            first_received_at: None,
            parked_at: at,
            replays: 0,
            attributes: BTreeMap::new(),
            body: MessageBody(body),
            original: None,
            repairs: Vec::new(),
            discarded: None,
        }
    }

    /// Replaces the body to redrive. Keeps the original body and adds the repair to the list. A known order id is never
    /// replaced, because later events of that order are parked after this dead letter. The other ids are taken from the
    /// new body.
    pub fn repair(&mut self, body: Vec<u8>, repair: Repair) {
        if self.body.0 == body {
            return;
        }
        let MessageIdentity { order_id, event_id, event_type, correlation_id, .. } = identify(&body);
        let old = std::mem::replace(&mut self.body, MessageBody(body));
        self.original.get_or_insert(old);
        if self.repairs.len() >= MAX_REPAIRS {
            self.repairs.remove(1);
        }
        self.repairs.push(repair);
        self.order_id = self.order_id.take().or(order_id);
        self.event_id = event_id.or(self.event_id);
        self.event_type = event_type;
        self.correlation_id = correlation_id.or(self.correlation_id.take());
        // A repair resets the count of redrives, because the repair may have removed the cause of the failures.
        self.replays = 0;
    }

    /// Discards the dead letter, and returns the new receipt of its event: rejected, with the reason. Returns `None` if
    /// the type, the id or the order of the event is unknown, because then no client holds a receipt.
    pub fn discard(&mut self, discard: Discard) -> Option<Receipt> {
        let outcome = Outcome::Rejected {
            reason: RejectReason::Discarded,
            detail: discard.reason.clone(),
            at_version: None,
            violation: None,
        };
        self.state = DeadLetterState::Discarded;
        self.discarded = Some(discard);
        Some(Receipt {
            order_id: self.order_id.clone()?,
            event_id: self.event_id?,
            event_type: EventType::from_name(self.event_type.as_deref()?)?,
            outcome: Some(outcome),
            request_hash: self.request_hash(),
            message: Some(self.id.clone()),
        })
    }

    /// The hash of the request that proposed the event, if the request had an idempotency key.
    fn request_hash(&self) -> Option<String> {
        let bodies = [Some(&self.body), self.original.as_ref()].into_iter().flatten();
        let of_event = bodies.map(|body| identify(&body.0)).filter(|found| found.event_id == self.event_id);
        of_event.filter_map(|found| found.request_hash).next()
    }
}
