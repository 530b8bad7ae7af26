//! Counts the events and messages of the pipeline, for operators and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::operations::PipelineCounters;

use super::EmbeddedQueue;
use crate::embedded::store::counters::Totals;
use crate::embedded::store::records::StoredMessage;
use crate::now;

impl EmbeddedQueue {
    /// The counters of the pipeline. The ledger and the depth come from the same commit. The visible, delayed and
    /// in-flight messages are counted separately, a moment later, because counting them reads every message.
    pub(crate) async fn pipeline_counters(self: &Arc<Self>) -> anyhow::Result<PipelineCounters> {
        let Totals { counters, queued: depth } = self.store.view().totals;
        let queue = Arc::clone(self);
        let count = move || {
            let statistics = queue.lock().statistics(Instant::now());
            let in_flight = statistics.in_flight.min(depth);
            let delayed = statistics.delayed.min(depth - in_flight);
            Ok(PipelineCounters {
                ledger: counters.ledger,
                visible: depth - in_flight - delayed,
                in_flight,
                delayed,
                oldest: statistics.oldest.map(|oldest| queue.age(oldest)).transpose()?.flatten(),
                dead_letters: counters.letters,
                exact: true,
                counts_accepted: true,
            })
        };
        self.store.read_turns.read(count).await
    }

    /// How long ago the message was sent, or `None` if the message no longer exists. If the clock was set back, the
    /// result is the time since the message became visible.
    fn age(&self, (seq, visible): (u64, Duration)) -> anyhow::Result<Option<Duration>> {
        let Some(row) = self.store.keys.queue.get(seq.to_be_bytes())? else { return Ok(None) };
        let sent = StoredMessage::decode(&row)?.header.enqueued_at;
        let age = Duration::from_micros(u64::try_from(now().micros() - sent).unwrap_or(0));
        Ok(Some(age.max(visible)))
    }
}
