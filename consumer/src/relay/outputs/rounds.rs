//! Publishes a window of events to one output. A batch has at most one event of each order, and events that
//! the output refuses are tried again. `outputs` calls this module.

use std::time::Duration;

use anyhow::anyhow;

use super::{ATTEMPTS, EventOutput, FIRST_PAUSE, MAX_BATCH, MAX_BYTES, OutgoingEvent};
use crate::backoff::full_jitter;
use crate::rounds::{Batch, batches_of, send_in_rounds};

/// Publishes the events, and returns one result for each. After a failure, no later event of the order is published.
pub(super) async fn publish(output: &dyn EventOutput, events: &[OutgoingEvent]) -> Vec<anyhow::Result<()>> {
    let orders: Vec<_> = events.iter().map(|event| &event.order_id).collect();
    let bytes = |place: &usize| output.bytes(&events[*place]);
    let split = |round| batches_of(round, bytes, MAX_BATCH, MAX_BYTES);
    send_in_rounds(&orders, split, |batch| send(output, events, batch)).await
}

/// Sends a batch, and sends the events that the output refuses again. A call that fails as a whole is not
/// repeated here, because the output has already repeated it.
async fn send(
    output: &dyn EventOutput,
    events: &[OutgoingEvent],
    batch: Batch,
) -> Vec<(usize, anyhow::Result<()>)> {
    let (mut done, mut left) = (Vec::with_capacity(batch.len()), batch);
    for attempt in 1..=ATTEMPTS {
        let sending: Vec<_> = left.iter().map(|place| &events[*place]).collect();
        let results = match output.send(&sending).await {
            Ok(results) => results,
            Err(error) => {
                done.extend(left.into_iter().map(|place| (place, Err(anyhow!("{error:#}")))));
                return done;
            }
        };
        let mut refused = Vec::new();
        for (place, result) in left.into_iter().zip(results) {
            match result {
                Err(error) if attempt < ATTEMPTS => {
                    tracing::debug!(
                        output = output.name(),
                        "an event was not published, trying again: {error:#}"
                    );
                    refused.push(place);
                }
                result => done.push((place, result)),
            }
        }
        left = refused;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, Duration::MAX)).await;
    }
    done
}
