//! Loads what a decision about an event needs: the order, its first dead letters, and earlier outcomes. The consumer and the
//! inline commit call it.

use consumer::ports::{EventOutcome, LoadRequest, LoadedOrder};

use crate::embedded::dead_letters::DeadLetters;
use crate::embedded::log::Log;

pub(crate) fn load(
    log: &Log,
    dead_letters: &DeadLetters,
    wanted: &LoadRequest,
) -> anyhow::Result<LoadedOrder> {
    let order_id = &wanted.order_id;
    // Outcomes first: what is recorded after this look is in the order too.
    let mut outcomes = Vec::new();
    for event_id in &wanted.event_ids {
        if let Some(receipt) = log.latest_receipt(order_id, *event_id)? {
            let (event_id, message) = (*event_id, receipt.message);
            outcomes.push(EventOutcome { event_id, outcome: receipt.outcome, message });
        }
    }
    let order = log.order_in(&log.store.latest(), order_id)?;
    // Each wanted event takes at most one dead letter out of the sequence; one more shows whether any is left then.
    let max = wanted.event_ids.len() + 1;
    let parked = dead_letters.first_of_sequence(&log.store.latest(), order_id, max)?;
    Ok(LoadedOrder { order, parked: parked.into_iter().map(|letter| letter.id).collect(), outcomes })
}
