//! Loads what a decision about an event needs: the order, its first dead letters and earlier outcomes of its events.
//! The consumer and the inline commit load orders with this module.

use consumer::ports::{EventOutcome, LoadRequest, LoadedOrder};

use crate::embedded::dead_letters::DeadLetters;
use crate::embedded::log::Log;

pub(crate) fn load(
    log: &Log,
    dead_letters: &DeadLetters,
    wanted: &LoadRequest,
) -> anyhow::Result<LoadedOrder> {
    let order_id = &wanted.order_id;
    // Reads the outcomes before the order. So if an event is recorded between the two reads, the order contains the
    // event.
    let mut outcomes = Vec::new();
    for event_id in &wanted.event_ids {
        if let Some(receipt) = log.latest_receipt(order_id, *event_id)? {
            let (event_id, message) = (*event_id, receipt.message);
            outcomes.push(EventOutcome { event_id, outcome: receipt.outcome, message });
        }
    }
    let order = log.order_in(&log.store.latest(), order_id)?;
    // The load reads one dead letter more than there are wanted events, because each wanted event may be among the dead
    // letters. An additional dead letter shows that another event of the order is parked.
    let max = wanted.event_ids.len() + 1;
    let parked = dead_letters.first_of_sequence(&log.store.latest(), order_id, max)?;
    let parked = parked.into_iter().map(|letter| letter.id).collect();
    let mut reference_holders = Vec::new();
    for reference in &wanted.references {
        let holder = log.reference_holder(&log.store.latest(), reference)?;
        reference_holders.extend(holder.map(|holder| (reference.clone(), holder)));
    }
    Ok(LoadedOrder { order, parked, outcomes, reference_holders })
}
