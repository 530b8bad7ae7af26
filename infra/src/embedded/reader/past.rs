//! Reads that may take long, and orders as they were, which are among them. Called by the reader and by what looks after
//! dead letters.
//!
//! Such reads take the processor: they wait for their turn, so that however many clients ask for them, most of the
//! processor is left to those who place orders.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use api::ports::EVENTS_PER_READ;
use domain::{AsOf, Order, OrderId, Past};
use tokio::sync::Semaphore;

use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::store::views::Rows;

/// The turns of long reads, first come, first served.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    /// As many as half of the processors.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Embedded {
    /// Runs `read` where it may touch the disk, and take its time.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let turn = Arc::clone(&self.0.turns.0).acquire_owned().await.context("the engine is closing")?;
        let engine = self.clone();
        let read = move || {
            // Whoever waits for this may give up before it ends, and the turn still lasts until then.
            let _turn = turn;
            read(&engine)
        };
        tokio::task::spawn_blocking(read).await?
    }

    /// The order as it was. Each page of its log waits for a turn of its own, so that a short log is not read after all of
    /// a long one.
    pub(crate) async fn read_past(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        let mut past = Past::new(as_of);
        let mut is_last = false;
        while !is_last && !past.is_complete() {
            let first = keys::log_key(order_id, past.version().saturating_add(1));
            let end = keys::log_key(order_id, u64::MAX);
            let fold = move |engine: &Self| {
                let mut folded = 0;
                for row in engine.view().range(&engine.0.keys.log, first..=end).take(EVENTS_PER_READ) {
                    past.apply(&engine.decode_entry(&row.value()?)?)?;
                    folded += 1;
                    if past.is_complete() {
                        break;
                    }
                }
                Ok((past, folded < EVENTS_PER_READ))
            };
            (past, is_last) = self.read(fold).await?;
        }
        Ok(past.order())
    }
}

#[cfg(test)]
mod tests {
    use api::ports::{EventPublisher, OrderReader};
    use domain::{Currency, Envelope};

    use super::*;
    use crate::embedded::Options;

    /// Whether the future is not ready yet.
    async fn is_pending(future: impl Future + Unpin) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn long_reads_wait_for_their_turn_and_nothing_else_waits_with_them() {
        let folder = tempfile::TempDir::new().unwrap();
        let currency = Currency::parse("EUR").unwrap();
        let options = Options { inline: true, min_free_bytes: 0, ..Options::new(currency) };
        let engine = Embedded::open(folder.path(), options).unwrap();
        let event = r#"{"type":"order_created","event_id":"0195f5a2-0000-7000-8000-000000000001","schema_version":1,
            "timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","data":{"order_id":"o","customer_id":"c","total":2,
            "currency":"EUR","items":[{"sku":"s","quantity":1,"unit_price":2}]}}"#;
        let event = Envelope::decode(event.as_bytes(), currency).unwrap();
        let turns = Arc::clone(&engine.0.turns.0);
        let all = turns.available_permits();
        assert!(all >= 1);

        let taken = turns.acquire_many(u32::try_from(all).unwrap()).await.unwrap();
        let mut past = Box::pin(engine.order_as_of(&event.order_id, AsOf::Version(1)));
        let mut events = Box::pin(engine.events(&event.order_id, 0, 10));
        assert!(is_pending(&mut past).await && is_pending(&mut events).await);
        assert!(engine.publish(std::slice::from_ref(&event)).await[0].is_ok());
        assert!(engine.order(&event.order_id).await.unwrap().is_some());
        assert!(is_pending(&mut past).await && is_pending(&mut events).await);
        drop(taken);
        assert_eq!(past.await.unwrap().unwrap().version, 1);
        assert_eq!(events.await.unwrap().len(), 1);
        assert_eq!(turns.available_permits(), all);
    }
}
