//! The interface that the poll loop and the Lambda handler call with a batch. The [`crate::Consumer`] and the
//! [`crate::DeadLetterRole`] implement it.

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
}

/// Handles batches of messages for the caller that received them.
#[async_trait]
pub trait BatchHandler: Send + Sync {
    /// Handles a batch without a deadline.
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage>;

    /// Handles a batch, and returns the disposition of each message at the deadline, in the order given.
    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage>;

    /// Counts a batch. The caller must acknowledge the messages first, and set the disposition of a message that could
    /// not be acknowledged to [`Disposition::Retry`].
    async fn count(&self, handled: &[HandledMessage]);
}
