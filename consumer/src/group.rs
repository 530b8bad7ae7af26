//! Decodes the messages of a batch, and groups the messages that must be handled in order. `execute` calls this module
//! first.

use std::collections::HashMap;

use domain::{Currency, DecodeError, Envelope, OrderId, identify};
use foldhash::fast::RandomState;
use tracing::Span;

use crate::ports::Message;
use crate::spans;

/// A message, together with its event if the event can be read.
#[derive(Debug)]
pub(crate) struct DecodedMessage {
    pub(crate) message: Message,
    pub(crate) event: Result<Envelope, DecodeError>,
    /// The order of the event, which may be known even if the event cannot be read.
    pub(crate) order_id: Option<OrderId>,
    /// The span that covers the handling of the message.
    pub(crate) span: Span,
}

impl DecodedMessage {
    pub(crate) fn decode(mut message: Message, default_currency: Currency) -> Self {
        let event = match message.event.take() {
            Some(event) => Ok(*event),
            None => Envelope::decode(&message.body, default_currency),
        };
        let order_id = match &event {
            Ok(envelope) => Some(envelope.order_id.clone()),
            Err(_) => identify(&message.body).order_id,
        };
        let span = spans::of_event(&message, event.as_ref().ok());
        Self { message, event, order_id, span }
    }
}

/// Messages of one batch that are handled in order.
#[derive(Debug, Default)]
pub(crate) struct MessageGroup {
    pub(crate) messages: Vec<DecodedMessage>,
    /// The position of each message in its batch.
    pub(crate) places: Vec<usize>,
}

/// The key of the group to which a message belongs.
#[derive(PartialEq, Eq, Hash)]
enum GroupKey {
    Group(String),
    Order(OrderId),
    Message(String),
}

/// Groups messages by the queue's ordering group, or by order if the queue has no ordering groups. A message that has
/// neither forms a separate group.
pub(crate) fn group_messages(messages: Vec<Message>, default_currency: Currency) -> Vec<MessageGroup> {
    let mut groups: Vec<MessageGroup> = Vec::new();
    let mut group_of_key: HashMap<GroupKey, usize, RandomState> = HashMap::default();
    for (place, message) in messages.into_iter().enumerate() {
        let decoded = DecodedMessage::decode(message, default_currency);
        let key = match (&decoded.message.group, &decoded.order_id) {
            (Some(group), _) => GroupKey::Group(group.clone()),
            (None, Some(order_id)) => GroupKey::Order(order_id.clone()),
            (None, None) => GroupKey::Message(decoded.message.id.clone()),
        };
        let number = *group_of_key.entry(key).or_insert(groups.len());
        if number == groups.len() {
            groups.push(MessageGroup::default());
        }
        groups[number].messages.push(decoded);
        groups[number].places.push(place);
    }
    groups
}
