//! What operators see of a subscription's deliveries while the service runs. The worker updates it, and the store reads it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use domain::{EventId, EventType, OrderId, Timestamp};

use super::attempt::Attempt;
use super::held::Progress;

/// The number of successful deliveries that are kept in memory for each subscription.
const MAX_RECENT: usize = 1000;
/// The maximum length of the excerpts that are kept with successful deliveries, in characters.
const RECENT_EXCERPT: usize = 100;

/// The current state of a subscription's deliveries.
#[derive(Debug, Default)]
pub struct Monitor(Mutex<Observed>);

/// The state that a [`Monitor`] shows to operators.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The progress of the deliveries. `None` until the worker has started.
    pub progress: Option<Progress>,
    /// The number of held orders.
    pub held_orders: usize,
    /// Whether so many orders are held that no further events are read.
    pub is_full: bool,
    /// When the oldest event whose failed delivery holds an order was recorded.
    pub oldest_held: Option<Timestamp>,
    /// The latest successful deliveries since the start, oldest first.
    pub recent: VecDeque<RecentDelivery>,
}

impl Observed {
    fn next_number(&self) -> u64 {
        self.recent.back().map_or(1, |latest| latest.number + 1)
    }
}

/// A delivery that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentDelivery {
    /// The number of this delivery since the start. The first delivery has number 1.
    pub number: u64,
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The id of the event.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// The number of attempts.
    pub attempts: u32,
    /// The attempt that succeeded.
    pub attempt: Attempt,
}

impl Monitor {
    /// Locks the current state and returns it.
    pub fn observed(&self) -> MutexGuard<'_, Observed> {
        // No code panics while it holds this lock, so the lock is never poisoned.
        self.0.lock().expect("the lock is not poisoned")
    }

    /// Adds a successful delivery, and gives the delivery its number.
    pub(crate) fn add(&self, mut delivery: RecentDelivery) {
        if let Some(excerpt) = &mut delivery.attempt.body_excerpt
            && let Some((end, _)) = excerpt.char_indices().nth(RECENT_EXCERPT)
        {
            excerpt.truncate(end);
        }
        let mut observed = self.observed();
        delivery.number = observed.next_number();
        if observed.recent.len() == MAX_RECENT {
            observed.recent.pop_front();
        }
        observed.recent.push_back(delivery);
    }
}
