//! The numbers of the pipeline, all of one moment.

use std::time::{Duration, Instant};

use api::operations::{Pipeline, PipelineCounters};
use async_trait::async_trait;

use crate::embedded::Embedded;
use crate::embedded::store::keys::StoredMessage;
use crate::embedded::store::writer::Totals;
use crate::now;

#[async_trait]
impl Pipeline for Embedded {
    async fn counters(&self) -> anyhow::Result<PipelineCounters> {
        // The ledger and the depth are of one commit. How the depth divides is as of a moment later, for that takes a look
        // at every message.
        let Totals { books, queued: depth } = self.view().totals;
        self.read(move |engine| {
            let standing = engine.0.queue.lock().standing(Instant::now());
            let in_flight = standing.in_flight.min(depth);
            let delayed = standing.delayed.min(depth - in_flight);
            Ok(PipelineCounters {
                ledger: books.ledger,
                visible: depth - in_flight - delayed,
                in_flight,
                delayed,
                oldest: standing.oldest.map(|oldest| engine.age(oldest)).transpose()?.flatten(),
                dead_letters: books.letters,
                exact: true,
            })
        })
        .await
    }
}

impl Embedded {
    /// How long ago the message was sent, at least since it is visible; `None` if it is not on the queue any more. If the clock
    /// was set back meanwhile, it was sent in the future.
    fn age(&self, (seq, visible): (u64, Duration)) -> anyhow::Result<Option<Duration>> {
        let Some(row) = self.0.keys.queue.get(seq.to_be_bytes())? else { return Ok(None) };
        let sent = StoredMessage::decode(&row)?.header.enqueued_at;
        let age = Duration::from_micros(u64::try_from(now().micros() - sent).unwrap_or(0));
        Ok(Some(age.max(visible)))
    }
}
