//! A message that could not be processed, with everything that is known of it. This is what the archive keeps, what
//! operators read, and what a replay starts from; its JSON is the same everywhere.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::EventType;
use crate::identify::{Identity, identify};
use crate::ids::{CorrelationId, EventId, OrderId};
use crate::outcome::{Outcome, ParkReason, Receipt, RejectReason};
use crate::repair::{MAX_REPAIRS, Repair};
use crate::value::Timestamp;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Names it: the id of the message that came first, through all replays.
    pub id: String,
    /// Where it stands.
    #[serde(default)]
    pub state: LetterState,
    /// Why it is here.
    pub reason: ParkReason,
    /// What was wrong and where, in a sentence.
    pub detail: String,
    /// The order it is about, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The event it was meant to be, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// Its `type`, known or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
    /// The queue it comes from.
    #[serde(default)]
    pub origin: String,
    /// Its ordering group on that queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How often it was received; 0 if that is not known.
    #[serde(default)]
    pub receive_count: u32,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it was first received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_received_at: Option<Timestamp>,
    /// When it was put aside, the last time: it was last received right before.
    pub parked_at: Timestamp,
    /// How often it was replayed.
    #[serde(default)]
    pub replays: u32,
    /// What else came with it: attributes of the message, as the queue names them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What is replayed: what was sent, or what it was repaired to.
    #[serde(flatten)]
    pub body: Body,
    /// What was sent, if it was repaired since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Body>,
    /// Who repaired it, and when, in that order. Older versions of this program wrote none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
    /// Who decided that it is not to happen, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<Discard>,
}

/// Where a dead letter stands. One whose event was recorded, or rejected, after a replay is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Put aside, until somebody does something about it.
    #[default]
    Parked,
    /// Back on the queue; what becomes of it is not known yet.
    Replaying,
    /// Not to happen. It is kept all the same.
    Discarded,
}

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Parked, Self::Replaying, Self::Discarded];

    /// The state as JSON writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Replaying => "replaying",
            Self::Discarded => "discarded",
        }
    }
}

/// Who decided against a dead letter, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Who, if requests are authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl DeadLetter {
    /// A dead letter of a message about which nothing is known but its id, its bytes and why it is put aside.
    pub fn new(
        id: impl Into<String>,
        body: Vec<u8>,
        reason: ParkReason,
        detail: String,
        at: Timestamp,
    ) -> Self {
        let Identity { order_id, event_id, event_type, correlation_id, .. } = identify(&body);
        Self {
            id: id.into(),
            state: LetterState::Parked,
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
            body: Body(body),
            original: None,
            repairs: Vec::new(),
            discarded: None,
        }
    }

    /// Replaces what is to be replayed; what was sent first is kept, and who replaced it. The order stays the one that waits for it, unless
    /// none was known; the other ids are those of the new body.
    pub fn repair(&mut self, body: Vec<u8>, repair: Repair) {
        if self.body.0 == body {
            return;
        }
        let Identity { order_id, event_id, event_type, correlation_id, .. } = identify(&body);
        let old = std::mem::replace(&mut self.body, Body(body));
        self.original.get_or_insert(old);
        if self.repairs.len() >= MAX_REPAIRS {
            self.repairs.remove(1);
        }
        self.repairs.push(repair);
        self.order_id = self.order_id.take().or(order_id);
        self.event_id = event_id.or(self.event_id);
        self.event_type = event_type;
        self.correlation_id = correlation_id.or(self.correlation_id.take());
        // What made it fail is not there any more.
        self.replays = 0;
    }

    /// Decides that its event is not to happen, and gives its receipt from now on: that it is rejected, and why. Without
    /// one, if it is none of the known types, or not known which event it is, or whose: nobody holds a receipt of it.
    pub fn discard(&mut self, discard: Discard) -> Option<Receipt> {
        let outcome = Outcome::Rejected {
            reason: RejectReason::Discarded,
            detail: discard.reason.clone(),
            at_version: None,
        };
        self.state = LetterState::Discarded;
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

    /// The hash of the request that proposed its event, if that had an idempotency key.
    fn request_hash(&self) -> Option<String> {
        let bodies = [Some(&self.body), self.original.as_ref()].into_iter().flatten();
        let of_event = bodies.map(|body| identify(&body.0)).filter(|found| found.event_id == self.event_id);
        of_event.filter_map(|found| found.request_hash).next()
    }
}

/// Any bytes. In JSON they are a member `body` where they are text, and else a member `body_base64`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Body(pub Vec<u8>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
struct WireBody<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match std::str::from_utf8(&self.0) {
            Ok(text) => WireBody { body: Some(text.into()), body_base64: None },
            Err(_) => WireBody { body: None, body_base64: Some(BASE64_STANDARD.encode(&self.0)) },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WireBody::deserialize(deserializer)? {
            WireBody { body: Some(text), body_base64: None } => Ok(Self(text.into_owned().into_bytes())),
            WireBody { body: None, body_base64: Some(coded) } => {
                BASE64_STANDARD.decode(coded).map(Self).map_err(|error| {
                    de::Error::custom(format!("body_base64 is not base64 (RFC 4648 section 4): {error}"))
                })
            }
            _ => Err(de::Error::custom("there must be either `body` or `body_base64`")),
        }
    }
}
