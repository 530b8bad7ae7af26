//! The outputs of the relay: an EventBridge bus or an SNS topic. The relay publishes every recorded event to
//! them, as the CloudEvents JSON that webhooks have. The relay calls [`Outputs`]; `infra` implements the port
//! [`EventOutput`].
//!
//! Events of an order are published in order, even if an output accepts only a part of a batch. A batch has
//! at most one event of an order, and after a failure no later event of the order is published. Nothing is
//! skipped. An event that is too large is published with a reference instead of its data, so that it does not
//! stop the relay.
//!
//! The relay passes entries in windows, which begin small. The change stream delivers a failed event and all
//! later events again, so the events of a window can be published repeatedly.

mod rounds;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Currency, CustomerId, EventId, OrderId, RecordedEvent, Timestamp};
use metrics::counter;

use super::{FeedEntry, RelayFailure, first_failure};
use crate::printable::printable_json;
use crate::webhooks::EventPayload;
use crate::webhooks::payload::cloud_type;

/// The maximum number of events of a call, which is the limit of both services.
pub const MAX_BATCH: usize = 10;
/// The maximum size of an event and of a call, in bytes. Both services take 256 KiB. The rest is room for the envelope that the
/// services put around an event before they pass it to a target with the same limit.
pub const MAX_BYTES: usize = 255 * 1024;
/// The maximum number of attempts for an event.
const ATTEMPTS: u32 = 4;
/// The maximum pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An event, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The id of the order.
    pub order_id: OrderId,
    /// The customer of the order.
    pub customer_id: CustomerId,
    /// The id of the event.
    pub event_id: EventId,
    /// The CloudEvents `type`.
    pub cloud_type: String,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
    /// The event as CloudEvents JSON.
    pub body: String,
}

/// A bus or a topic that takes batches of events.
#[async_trait]
pub trait EventOutput: Send + Sync {
    /// The name of the output in metrics and logs.
    fn name(&self) -> &'static str;

    /// The size of an event, as the service counts it.
    fn bytes(&self, event: &OutgoingEvent) -> usize;

    /// Sends up to [`MAX_BATCH`] events of different orders, with at most [`MAX_BYTES`] together, in one call. Returns a result for
    /// each event. An error means that the call failed as a whole and that repeating it immediately has not helped.
    async fn send(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<anyhow::Result<()>>>;
}

/// Where the relay publishes, and how it encodes events.
pub struct Outputs {
    outputs: Vec<Arc<dyn EventOutput>>,
    source: String,
    default_currency: Currency,
}

/// An event in the two forms in which it can be published.
struct EncodedEvent {
    whole: OutgoingEvent,
    /// The body with a reference instead of the data.
    reference: String,
}

impl Outputs {
    /// Publishes with the given CloudEvents `source`. `default_currency` applies to log entries without a
    /// currency.
    pub fn new(outputs: Vec<Arc<dyn EventOutput>>, source: String, default_currency: Currency) -> Self {
        Self { outputs, source, default_currency }
    }

    /// Publishes a window of entries in order to every output. If an entry cannot be read, no later entry is
    /// published. A newer program may have recorded the entry, and a relay of that program's version can read
    /// it.
    pub(super) async fn publish(&self, window: &[FeedEntry]) -> Result<(), RelayFailure> {
        let (mut events, mut failed) = (Vec::with_capacity(window.len()), None);
        for (first, entry) in window.iter().enumerate() {
            match self.encode(entry) {
                Ok(event) => events.push(event),
                Err(cause) => {
                    failed = Some(RelayFailure { first, cause });
                    break;
                }
            }
        }
        for output in &self.outputs {
            // After a failure, the later events are published again to every output. So the other outputs
            // need not get them now.
            if let Err(failure) = publish_to(output.as_ref(), &events).await {
                events.truncate(failure.first);
                failed = Some(failure);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn encode(&self, entry: &FeedEntry) -> anyhow::Result<EncodedEvent> {
        let event = RecordedEvent::decode(entry.json.as_bytes(), self.default_currency).map_err(|error| {
            let FeedEntry { order_id, version, .. } = entry;
            anyhow::anyhow!("version {version} of order {order_id} cannot be read: {error}")
        })?;
        let reference = printable_json(EventPayload::reference(&self.source, &event)?);
        let cloud_type = cloud_type(event.envelope.event.event_type());
        let EventPayload { event_id, recorded_at, body, .. } = EventPayload::of(&self.source, event)?;
        let (order_id, customer_id) = (entry.order_id.clone(), entry.customer_id.clone());
        let body = printable_json(body);
        let whole = OutgoingEvent { order_id, customer_id, event_id, cloud_type, recorded_at, body };
        Ok(EncodedEvent { whole, reference })
    }
}

async fn publish_to(output: &dyn EventOutput, events: &[EncodedEvent]) -> Result<(), RelayFailure> {
    let (fitting, forms): (Vec<_>, Vec<_>) = events.iter().map(|event| fitting(output, event)).unzip();
    let results = rounds::publish(output, &fitting).await;
    for (result, form) in results.iter().zip(forms) {
        let label = if result.is_ok() { form } else { "failed" };
        counter!("orders_output_events_total", "output" => output.name(), "result" => label).increment(1);
    }
    first_failure(results).map_or(Ok(()), Err)
}

/// The form of the event that fits the output, and the label of that form in metrics.
fn fitting(output: &dyn EventOutput, event: &EncodedEvent) -> (OutgoingEvent, &'static str) {
    let bytes = output.bytes(&event.whole);
    if bytes <= MAX_BYTES {
        return (event.whole.clone(), "published");
    }
    let OutgoingEvent { order_id, event_id, .. } = &event.whole;
    tracing::warn!(
        output = output.name(), %order_id, %event_id, bytes,
        "the event is too large to be published; a reference to it in the log of its order is published instead"
    );
    (OutgoingEvent { body: event.reference.clone(), ..event.whole.clone() }, "reference")
}
