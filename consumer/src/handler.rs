//! What the poll loop and the Lambda handler call to have a batch handled: the [`crate::Consumer`], or the
//! [`crate::DeadLetterRole`].

use async_trait::async_trait;
use tokio::time::Instant;

use crate::disposition::Disposition;
use crate::ports::Message;

/// A message with its disposition.
#[derive(Debug)]
pub struct HandledMessage {
    /// The message.
    pub message: Message,
    /// What has to happen to it.
    pub disposition: Disposition,
}

/// Handles batches of messages for the part that received them.
#[async_trait]
pub trait BatchHandler: Send + Sync {
    /// Handles a batch to the end.
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage>;

    /// Handles a batch, and returns the disposition of each message at the deadline, in the order given.
    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage>;

    /// Counts a batch. Call it once the messages are acknowledged. A message that could not be acknowledged has to be
    /// [`Disposition::Retry`] by then.
    async fn count(&self, handled: &[HandledMessage]);
}
