//! Limits the streams of events that are open at the same time. The command that serves the API makes an [`EventStreams`],
//! and the feed's handler takes a [`StreamSlot`] for each stream.
//!
//! The slots for streams are divided by the same rules as the slots for connections ([`FairShare`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;

use crate::http::fair_share::FairShare;
use crate::problem::Problem;

/// The slots for streams of events.
#[derive(Debug, Clone)]
pub struct EventStreams(Arc<StreamSlots>);

#[derive(Debug)]
struct StreamSlots {
    share: FairShare,
    table: Mutex<StreamTable>,
}

#[derive(Debug, Default)]
struct StreamTable {
    count: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One stream's slot. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct StreamSlot {
    slots: Arc<StreamSlots>,
    network: Option<IpAddr>,
}

impl EventStreams {
    /// Allows `max` streams. While only an eighth of the slots is free, an address that already has `per_address` streams
    /// gets no further stream.
    pub fn new(max: usize, per_address: usize) -> Self {
        // The gauge exists from the start, so that an alarm on the gauge works before the first stream.
        gauge!("orders_event_streams").set(0.0);
        Self(Arc::new(StreamSlots { share: FairShare::new(max, per_address), table: Mutex::default() }))
    }

    /// Takes a slot for a client of `network`.
    pub(crate) fn take(&self, network: Option<IpAddr>) -> Result<StreamSlot, Problem> {
        let slots = &self.0;
        let mut table = slots.table();
        let held = network.and_then(|network| table.by_network.get(&network)).copied().unwrap_or(0);
        if !slots.share.has_room(table.count, held) {
            return Err(Problem::too_many_streams());
        }
        table.count += 1;
        if let Some(network) = network {
            *table.by_network.entry(network).or_default() += 1;
        }
        gauge!("orders_event_streams").increment(1.0);
        Ok(StreamSlot { slots: Arc::clone(slots), network })
    }
}

impl StreamSlots {
    fn table(&self) -> MutexGuard<'_, StreamTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.count -= 1;
        if let Some(network) = self.network
            && let Some(held) = table.by_network.get_mut(&network)
        {
            *held -= 1;
            if *held == 0 {
                table.by_network.remove(&network);
            }
        }
        gauge!("orders_event_streams").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_eighth_is_for_addresses_with_less_than_their_share() {
        let streams = EventStreams::new(16, 4);
        let [greedy, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().ok());
        let held: Vec<_> = std::iter::from_fn(|| streams.take(greedy).ok()).collect();
        assert_eq!(held.len(), 14, "two slots are reserved");
        let two: Vec<_> = std::iter::from_fn(|| streams.take(other).ok()).collect();
        assert_eq!(two.len(), 2);
        drop(held);
        assert!(streams.take(greedy).is_ok());
        drop(two);
        assert_eq!(streams.0.table().count, 0);
        assert!(streams.0.table().by_network.is_empty());
    }

    #[test]
    fn one_address_may_have_all_if_its_share_is_the_maximum() {
        let streams = EventStreams::new(3, 3);
        let held: Vec<_> = std::iter::from_fn(|| streams.take("192.0.2.1".parse().ok()).ok()).collect();
        assert_eq!(held.len(), 3);
        assert!(EventStreams::new(0, 1).take(None).is_err());
    }
}
