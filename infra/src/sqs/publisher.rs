//! Implements the API's [`EventPublisher`]: publishes events in as few calls as SQS allows.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::anyhow;
use api::ports::{self, EventPublisher, PublishError};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use consumer::backoff::full_jitter;
use consumer::printable::printable_json;
use consumer::rounds::batches_of;
use domain::{Envelope, OrderId};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::repaired::hex;
use crate::sdk::explain;

use super::attempts::CallAttempts;
use super::{MAX_BATCH, MAX_BYTES, Queue, refused};

/// The maximum number of attempts for a valid entry that SQS refuses.
const ATTEMPTS: u32 = 4;
/// The maximum pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The maximum number of concurrent calls of one `publish`.
const CONCURRENCY: usize = 8;

struct OutgoingEntry {
    /// The index of the event among the events to publish.
    place: usize,
    order_id: OrderId,
    entry: SendMessageBatchRequestEntry,
    bytes: usize,
    /// Whether an earlier call may have put the event on the queue.
    in_doubt: bool,
}

pub(super) type PublishResult = Result<ports::Acceptance, PublishError>;

#[async_trait]
impl EventPublisher for Queue {
    async fn publish(&self, events: &[Envelope]) -> Vec<PublishResult> {
        let trace = trace::current().unwrap_or_default();
        self.publish_all(&events.iter().map(|event| (event, &trace)).collect::<Vec<_>>()).await
    }
}

impl Queue {
    /// Publishes events, each with the trace of the request that sent it.
    pub(super) async fn publish_all(&self, events: &[(&Envelope, &TraceContext)]) -> Vec<PublishResult> {
        let mut results: Vec<Option<PublishResult>> = events.iter().map(|_| None).collect();
        let mut pending = Vec::with_capacity(events.len());
        for (place, (event, trace)) in events.iter().enumerate() {
            match self.outgoing(place, event, trace) {
                Ok(outgoing) => pending.push(outgoing),
                Err(error) => results[place] = Some(Err(error)),
            }
        }
        // A FIFO queue delivers messages in the sequence in which it accepted them. If SQS refuses an entry and then
        // accepts it on a retry, a later event of the same order could already be on the queue. So events are sent in
        // waves. A wave has at most one event of each order, and the next wave starts after SQS has answered the
        // previous wave.
        let mut failed = HashSet::new();
        while !pending.is_empty() {
            let (wave, later) = self.next_wave(pending);
            pending = later;
            for (outgoing, result) in self.send(wave).await {
                if result.is_err() {
                    failed.insert(outgoing.order_id);
                }
                results[outgoing.place] = Some(result);
            }
            pending.retain(|outgoing| !failed.contains(&outgoing.order_id));
        }
        let blocked =
            || Err(not_accepted("it is unknown whether an earlier event of the same order was accepted"));
        results.into_iter().map(|result| result.unwrap_or_else(blocked)).collect()
    }

    fn outgoing(
        &self,
        place: usize,
        event: &Envelope,
        trace: &TraceContext,
    ) -> Result<OutgoingEntry, PublishError> {
        let body = printable_json(event.encode());
        let attributes = [
            ("correlation_id", Some(event.correlation_id.as_str())),
            ("traceparent", trace.traceparent.as_deref()),
            ("tracestate", trace.tracestate.as_deref()),
        ];
        let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let bytes =
            body.len() + attributes.clone().map(|(name, value)| attribute_bytes(name, value)).sum::<usize>();
        if bytes > MAX_BYTES {
            return Err(PublishError::TooLarge { bytes, limit: MAX_BYTES });
        }
        let mut entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body);
        for (name, value) in attributes {
            entry = entry.message_attributes(name, text_attribute(value));
        }
        if let Some(xray) = &trace.xray {
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(xray).build();
            entry = entry
                .message_system_attributes(name, value.map_err(|error| not_accepted(&error.to_string()))?);
        }
        if self.fifo {
            entry = entry
                .message_group_id(event.order_id.as_str())
                .message_deduplication_id(event.event_id.to_string());
        } else if self.fair {
            entry = entry.message_group_id(fair_group(event));
        }
        let entry = entry.build().map_err(|error| not_accepted(&error.to_string()))?;
        Ok(OutgoingEntry { place, order_id: event.order_id.clone(), entry, bytes, in_doubt: false })
    }

    /// Splits the events into the next wave and the events of later waves.
    fn next_wave(&self, pending: Vec<OutgoingEntry>) -> (Vec<OutgoingEntry>, Vec<OutgoingEntry>) {
        if !self.fifo {
            return (pending, Vec::new());
        }
        let mut orders = HashSet::new();
        pending.into_iter().partition(|outgoing| orders.insert(outgoing.order_id.clone()))
    }

    async fn send(&self, wave: Vec<OutgoingEntry>) -> Vec<(OutgoingEntry, PublishResult)> {
        let calls = batches_of(wave, |outgoing| outgoing.bytes, MAX_BATCH, MAX_BYTES)
            .into_iter()
            .map(|batch| self.send_batch(batch));
        futures_util::stream::iter(calls)
            .buffer_unordered(CONCURRENCY)
            .flat_map(futures_util::stream::iter)
            .collect()
            .await
    }

    /// Sends a batch. Valid entries that SQS refuses are sent again after a pause.
    async fn send_batch(&self, mut left: Vec<OutgoingEntry>) -> Vec<(OutgoingEntry, PublishResult)> {
        let mut done = Vec::with_capacity(left.len());
        for attempt in 1..=ATTEMPTS {
            let entries = left.iter().map(|outgoing| outgoing.entry.clone()).collect();
            let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let attempts = CallAttempts::default();
            let answer = match call.customize().interceptor(attempts.clone()).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    let error = explain(error);
                    done.extend(left.into_iter().map(|mut outgoing| {
                        outgoing.in_doubt |= attempts.lost_an_answer();
                        let error = outgoing.failed(anyhow!("{error:#}"));
                        (outgoing, Err(error))
                    }));
                    return done;
                }
            };
            // If the SDK has retried the call, the last answer may refuse an entry that an earlier attempt has put on
            // the queue.
            left.iter_mut().for_each(|outgoing| outgoing.in_doubt |= attempts.lost_an_answer());
            let sent: HashSet<_> = answer.successful().iter().map(|entry| entry.id()).collect();
            let mut again = Vec::new();
            for mut outgoing in left {
                let refusal = answer.failed().iter().find(|entry| entry.id() == outgoing.entry.id());
                match refusal {
                    // The event counts as new even if it is a duplicate, because SQS accepts and drops a second message
                    // with the same deduplication id.
                    _ if sent.contains(outgoing.entry.id()) => {
                        done.push((outgoing, Ok(ports::Acceptance::New)));
                    }
                    Some(entry) if entry.sender_fault() || attempt == ATTEMPTS => {
                        let error = outgoing.failed(refused(entry));
                        done.push((outgoing, Err(error)));
                    }
                    None => {
                        outgoing.in_doubt = true;
                        again.push(outgoing);
                    }
                    Some(_) => again.push(outgoing),
                }
            }
            left = again;
            if left.is_empty() || attempt == ATTEMPTS {
                break;
            }
            tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, Duration::MAX)).await;
        }
        done.extend(left.into_iter().map(|outgoing| {
            let error = outgoing.failed(anyhow!("the answer of SQS does not contain the event"));
            (outgoing, Err(error))
        }));
        done
    }
}

impl OutgoingEntry {
    /// The error for an event that was not published. The error shows whether the event may be on the queue.
    fn failed(&self, error: anyhow::Error) -> PublishError {
        if self.in_doubt { PublishError::Unknown(error) } else { PublishError::NotAccepted(error) }
    }
}

pub(super) fn text_attribute(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
    attribute.build().expect("the type is set, and nothing else is required")
}

/// The group of an event on a fair queue: whose backlog it belongs to. SQS shows group ids in metrics and allows few characters,
/// so the group is a hash.
fn fair_group(event: &Envelope) -> String {
    // An event of another producer may have no actor. Then each order has its own share.
    let owner = event.actor.as_deref().unwrap_or(event.order_id.as_str());
    hex(&Sha256::digest(owner)[..16])
}

/// The size of an attribute: SQS counts its name, its type and its value.
pub(super) fn attribute_bytes(name: &str, value: &str) -> usize {
    name.len() + "String".len() + value.len()
}

fn not_accepted(why: &str) -> PublishError {
    PublishError::NotAccepted(anyhow!("{why}"))
}
