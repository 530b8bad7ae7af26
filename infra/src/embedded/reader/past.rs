//! Reads past states of orders, at a version or at a time, for the reader's queries.

use std::sync::Arc;

use api::ports::EVENTS_PER_READ;
use domain::{AsOf, Order, OrderId, Past};

use super::Reader;
use crate::embedded::store::keys;
use crate::embedded::store::views::ReadStore;

impl Reader {
    /// The order as of a version or a time. Each page of the log takes a separate turn among long reads, so that
    /// reading a short log need not wait for all pages of a long log.
    pub(crate) async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        let mut past = Past::new(as_of);
        let mut is_last = false;
        while !is_last && !past.is_complete() {
            let first = keys::log_key(order_id, past.version().saturating_add(1));
            let end = keys::log_key(order_id, u64::MAX);
            let log = Arc::clone(&self.log);
            let fold = move || {
                let mut folded = 0;
                for entry in log.store.view().range(&log.store.keys.log, first..=end).take(EVENTS_PER_READ) {
                    past.apply(&log.decode_entry(&entry.value()?)?)?;
                    folded += 1;
                    if past.is_complete() {
                        break;
                    }
                }
                Ok((past, folded < EVENTS_PER_READ))
            };
            (past, is_last) = self.store.read_turns.read(fold).await?;
        }
        Ok(past.order())
    }
}

#[cfg(test)]
mod tests {
    use api::ports::{EventPublisher, OrderReader};

    use super::*;
    use crate::embedded::testing::{created, open_inline};

    async fn is_pending(future: impl Future + Unpin) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn long_reads_take_turns_and_hold_up_nothing_else() {
        let (_folder, engine) = open_inline();
        let event = created("o");
        let turns = Arc::clone(&engine.store().read_turns.0);
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
