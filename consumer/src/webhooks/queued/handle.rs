//! Handles batches of jobs. The poll loop and the Lambda handler call [`QueuedDeliveries`].

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{Job, MAX_RECEIVES, QueuedParts};
use crate::disposition::Disposition;
use crate::handler::{BatchHandler, HandledMessage};
use crate::ports::Message;

/// Handles the jobs of queued deliveries: posts events to receivers, and repeats failed deliveries.
#[derive(Clone)]
pub struct QueuedDeliveries(pub QueuedParts);

/// What happens to the message of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// The message is acknowledged.
    Done,
    /// The message is received again after the given time.
    Later(Duration),
}

#[async_trait]
impl BatchHandler for QueuedDeliveries {
    async fn handle(&self, messages: Vec<Message>) -> Vec<HandledMessage> {
        self.handle_groups(messages, None).await
    }

    async fn handle_until(&self, messages: Vec<Message>, deadline: Instant) -> Vec<HandledMessage> {
        self.handle_groups(messages, Some(deadline)).await
    }

    async fn count(&self, _: &mut [HandledMessage]) {}
}

impl QueuedDeliveries {
    /// Handles the groups of a batch concurrently, and the messages of a group in order. If a message is retried, the later
    /// messages of its group are retried too.
    async fn handle_groups(&self, messages: Vec<Message>, deadline: Option<Instant>) -> Vec<HandledMessage> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: HashMap<&str, usize> = HashMap::new();
        for (place, message) in messages.iter().enumerate() {
            let key = message.group.as_deref().unwrap_or(&message.id);
            let group = *group_of.entry(key).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(place);
        }
        let messages = &messages;
        let handled = groups.iter().map(|places| async move {
            let (mut ends, mut is_stopped) = (Vec::with_capacity(places.len()), None);
            for place in places {
                let (disposition, delay) = match is_stopped {
                    Some(delay) => {
                        (Disposition::Retry("an earlier job of its group is retried first".to_owned()), delay)
                    }
                    None => self.handle_one(&messages[*place], deadline).await,
                };
                if matches!(disposition, Disposition::Retry(_)) {
                    is_stopped = Some(delay);
                }
                ends.push((*place, disposition, delay));
            }
            ends
        });
        let mut handled: Vec<_> = join_all(handled).await.into_iter().flatten().collect();
        handled.sort_unstable_by_key(|(place, ..)| *place);
        let handled = handled.into_iter().map(|(place, disposition, delay)| {
            let message = messages[place].clone();
            HandledMessage { message, disposition, delay }
        });
        handled.collect()
    }

    async fn handle_one(
        &self,
        message: &Message,
        deadline: Option<Instant>,
    ) -> (Disposition, Option<Duration>) {
        let work = async {
            let job: Job =
                serde_json::from_slice(&message.body).context("the message is not a webhook job")?;
            let end = self.run(&job).await?;
            self.renew_if_old(&job, message.receive_count, end).await
        };
        let end = match deadline {
            Some(deadline) => {
                timeout_at(deadline, work).await.unwrap_or_else(|_| Err(anyhow::anyhow!("out of time")))
            }
            None => work.await,
        };
        match end {
            Ok(JobEnd::Done) => (Disposition::Completed, None),
            Ok(JobEnd::Later(delay)) => {
                (Disposition::Retry("the delivery is tried again".to_owned()), Some(delay))
            }
            Err(error) => {
                tracing::error!(
                    message_id = message.id,
                    "cannot handle a webhook job, trying again: {error:#}"
                );
                (Disposition::Retry(format!("{error:#}")), None)
            }
        }
    }

    /// Replaces an old message by a new one, before the queue moves it to its dead-letter queue. A schedule
    /// of some days can need more receives than the queue allows for one message.
    async fn renew_if_old(&self, job: &Job, receives: u32, end: JobEnd) -> anyhow::Result<JobEnd> {
        if end == JobEnd::Done || receives < MAX_RECEIVES {
            return Ok(end);
        }
        self.send(job.renewed()).await?;
        Ok(JobEnd::Done)
    }
}
