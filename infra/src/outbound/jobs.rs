//! Sends jobs to the queue of webhook deliveries. The relay sends a job for each event that a subscription selects. The
//! webhook sender and operators send jobs for catch-ups, sweeps and replays.

use async_trait::async_trait;
use consumer::relay::{FeedEntry, WebhookOutbox};
use consumer::webhooks::queued::{DeliveryQueue, Job};
use domain::{EventType, Subscription};
use uuid::Uuid;

use crate::sqs::Queue;
use crate::sqs::ordered::OrderedMessage;

use super::OutboundTable;

/// The queue of jobs.
#[derive(Debug, Clone)]
pub struct JobQueue(pub Queue);

#[async_trait]
impl DeliveryQueue for JobQueue {
    async fn send(&self, jobs: &[Job]) -> Vec<anyhow::Result<()>> {
        let message = |job: &Job| {
            let deduplication_id = job.deduplication_id().unwrap_or_else(|| Uuid::now_v7().to_string());
            let body = serde_json::to_string(job).expect("a job is an object with texts and numbers");
            OrderedMessage { group: job.group(), deduplication_id, body }
        };
        self.0.send_in_order(&jobs.iter().map(message).collect::<Vec<_>>()).await
    }
}

/// Sends jobs for recorded events.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// The subscriptions.
    pub table: OutboundTable,
    /// The queue.
    pub queue: JobQueue,
}

#[async_trait]
impl WebhookOutbox for Outbox {
    async fn send(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>> {
        // Subscriptions are read for each batch, because an event must reach every subscription that is older than the event.
        let subscriptions = match self.table.subscriptions().await {
            Ok(subscriptions) => subscriptions,
            Err(error) => return entries.iter().map(|_| Err(anyhow::anyhow!("{error:#}"))).collect(),
        };
        let (mut jobs, mut places) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            for subscription in subscriptions.iter().filter(|subscription| selects(subscription, entry)) {
                let (subscription_id, order_id) = (subscription.id, entry.order_id.clone());
                jobs.push(Job::Deliver { subscription_id, order_id, version: entry.version });
                places.push(place);
            }
        }
        let mut results: Vec<_> = entries.iter().map(|_| Ok(())).collect();
        for (place, sent) in places.into_iter().zip(self.queue.send(&jobs).await) {
            if sent.is_err() {
                results[place] = sent;
            }
        }
        results
    }
}

/// Whether the subscription gets the event. A subscription gets the events that are recorded after its creation, even
/// while it is paused.
fn selects(subscription: &Subscription, entry: &FeedEntry) -> bool {
    let is_later = entry.recorded_at >= subscription.created_at;
    is_later && subscription.selects(EventType::from_name(&entry.event_type), &entry.customer_id)
}
