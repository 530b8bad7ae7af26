//! Publishes recorded events to an EventBridge bus: an output of the relay.
//!
//! The detail of an EventBridge event is the CloudEvents JSON, and the detail type is the CloudEvents `type`.
//! EventBridge delivers events in any order.

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use consumer::relay::outputs::{EventOutput, OutgoingEvent};

use crate::sdk::explain;

/// The number of bytes that EventBridge counts for the time of an event ([entry
/// size](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html)).
const TIME_BYTES: usize = 14;

/// A client for an EventBridge bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: Client,
    bus: String,
    source: String,
}

impl EventBus {
    /// Creates a client for the bus with the given name or ARN. Events are published with `source`.
    pub fn new(client: Client, bus: impl Into<String>, source: impl Into<String>) -> Self {
        Self { client, bus: bus.into(), source: source.into() }
    }

    /// Returns an error if the bus does not exist or EventBridge does not answer. Publishing cannot replace this check,
    /// because EventBridge can report success for a bus that does not exist.
    pub async fn exists(&self) -> anyhow::Result<()> {
        let Err(error) = Box::pin(self.client.describe_event_bus().name(&self.bus).send()).await else {
            return Ok(());
        };
        if error.code() == Some("ResourceNotFoundException") || error.raw_response().is_none() {
            return Err(explain(error)).with_context(|| format!("the event bus {} cannot be used", self.bus));
        }
        // Any answer except a missing bus shows that EventBridge is reachable. Usually the permission to describe the
        // bus is missing.
        tracing::warn!(bus = self.bus, "cannot check that the event bus exists: {:#}", explain(error));
        Ok(())
    }

    async fn put_events(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<PutEventsResultEntry>> {
        let mut call = self.client.put_events();
        for event in batch {
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(&self.source)
                .detail_type(&event.cloud_type)
                .time(DateTime::from_nanos(i128::from(event.recorded_at.micros()) * 1000)?)
                .detail(&event.body);
            call = call.entries(entry.build());
        }
        let answer = Box::pin(call.send()).await.map_err(explain);
        let answer = answer.with_context(|| format!("publishing to the event bus {}", self.bus))?;
        let entries = answer.entries.unwrap_or_default();
        if entries.len() != batch.len() {
            bail!("EventBridge answered for {} of {} events", entries.len(), batch.len());
        }
        Ok(entries)
    }
}

#[async_trait]
impl EventOutput for EventBus {
    fn name(&self) -> &'static str {
        "event_bus"
    }

    fn bytes(&self, event: &OutgoingEvent) -> usize {
        TIME_BYTES + self.source.len() + event.cloud_type.len() + event.body.len()
    }

    async fn send(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<anyhow::Result<()>>> {
        Ok(self.put_events(batch).await?.iter().map(accepted).collect())
    }
}

/// Returns the error of an entry that EventBridge refused. The answer has an entry for each event, in order.
fn accepted(entry: &PutEventsResultEntry) -> anyhow::Result<()> {
    if entry.event_id.is_some() {
        return Ok(());
    }
    let (code, message) = (entry.error_code().unwrap_or("no code"), entry.error_message());
    bail!("EventBridge refuses the event: {code}: {}", message.unwrap_or("no message"))
}
