//! The interface that the poll loop and the Lambda handler call with a batch. The [`crate::Consumer`] and the
//! [`crate::DeadLetterRole`] implement it.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::disposition::Disposition;
use crate::ports::Message;

/// A message with its disposition.
#[derive(Debug)]
pub struct HandledMessage {
    /// The message.
    pub message: Message,
    /// What must happen to the message.
    pub disposition: Disposition,
    /// When the message is received again, if it must be retried. `None`: after the usual backoff.
    pub delay: Option<Duration>,
}

/// Handles batches of messages for the caller that received them.
#[async_trait]
pub trait BatchHandler: Send + Sync {
    /// Handles a batch without a deadline.
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage>;

    /// Handles a batch until the deadline at the latest. Returns the disposition of each message, in the given order.
    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage>;

    /// Counts the messages of a batch that are to be acknowledged. The caller acknowledges them afterwards. A message that
    /// cannot be counted gets the disposition [`Disposition::Retry`].
    async fn count(&self, handled: &mut [HandledMessage]);
}
