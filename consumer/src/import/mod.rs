//! Plans the import of recorded events, which `orders import` reads from an export. [`plan`] finds out which
//! events of a batch are new, which the target already has, and which do not fit. The target writes the new
//! events.
//!
//! Another store has already recorded the events. So an import folds them, and does not judge them again:
//! they keep their ids, versions and times.

mod order;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use domain::{EventId, OrderId, RecordedEvent, Reference};

use crate::decide::reference_of;
use crate::ports::{Append, AppendError, LoadRequest, OrderLog};
use order::{Found, ImportedOrder};

/// A store that events can be imported into.
#[async_trait]
pub trait ImportTarget: OrderLog {
    /// Up to `limit` log entries of an order whose version is greater than `after`, oldest first.
    async fn entries(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>>;

    /// Appends the events of a batch with their derived writes, and counts them in the ledger as accepted and
    /// recorded. Only the last reference of an order is reserved, because other orders may have got its
    /// earlier ones. An append without events completes derived writes that an earlier attempt left out. If
    /// the target can, it writes all appends or none.
    async fn import(&self, appends: &[Append]) -> Result<(), AppendError>;
}

/// A line of an export with an event.
#[derive(Debug, Clone)]
pub struct ImportLine {
    /// The number of the line, from 1.
    pub number: u64,
    /// The event.
    pub event: RecordedEvent,
}

/// A line whose event cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// The number of the line, from 1.
    pub number: u64,
    /// Why the line is refused.
    pub reason: String,
}

/// What to do with a batch of lines.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// The events that are new, order by order.
    pub appends: Vec<Append>,
    /// The lines that are not refused, in the order of the batch.
    pub accepted: Vec<ImportLine>,
    /// The number of accepted lines whose events the target has already.
    pub existing: u64,
    /// The lines that are refused.
    pub refused: Vec<RefusedLine>,
}

/// Decides about a batch of lines. If `stops` is set, no line after the first refused line is planned.
pub async fn plan(
    target: &dyn ImportTarget,
    lines: Vec<ImportLine>,
    stops: bool,
) -> anyhow::Result<ImportPlan> {
    let final_references = final_references(&lines);
    let mut batch = Batch::load(target, &lines).await?;
    let mut plan = ImportPlan::default();
    for line in lines {
        let is_final = final_references.contains(&line.number);
        match batch.add(target, &line, is_final).await? {
            Ok(found) => {
                plan.existing += u64::from(found == Found::Existing);
                plan.accepted.push(line);
            }
            Err(reason) => {
                plan.refused.push(RefusedLine { number: line.number, reason });
                if stops {
                    break;
                }
            }
        }
    }
    plan.appends = batch.into_appends();
    Ok(plan)
}

/// The numbers of the lines that set the final reference of an order in the batch.
fn final_references(lines: &[ImportLine]) -> HashSet<u64> {
    let mut latest: HashMap<&OrderId, u64> = HashMap::new();
    for line in lines {
        if reference_of(&line.event.envelope.event).is_some() {
            latest.insert(&line.event.envelope.order_id, line.number);
        }
    }
    latest.into_values().collect()
}

/// The orders of a batch, after the lines that were added so far.
struct Batch {
    orders: HashMap<OrderId, ImportedOrder>,
    /// The orders, in the order of their first lines.
    sequence: Vec<OrderId>,
    /// The references that the batch gives to orders.
    claimed: HashMap<Reference, OrderId>,
}

impl Batch {
    async fn load(target: &dyn ImportTarget, lines: &[ImportLine]) -> anyhow::Result<Self> {
        let mut requests: Vec<LoadRequest> = Vec::new();
        let mut places: HashMap<&OrderId, usize> = HashMap::new();
        for ImportLine { event: RecordedEvent { envelope, .. }, .. } in lines {
            let place = *places.entry(&envelope.order_id).or_insert_with(|| {
                let (event_ids, references) = (Vec::new(), Vec::new());
                requests.push(LoadRequest { order_id: envelope.order_id.clone(), event_ids, references });
                requests.len() - 1
            });
            requests[place].event_ids.push(envelope.event_id);
            requests[place].references.extend(reference_of(&envelope.event).cloned());
        }
        let loaded = target.load(&requests).await;
        let mut orders = HashMap::new();
        let mut sequence = Vec::new();
        for (LoadRequest { order_id, .. }, loaded) in requests.into_iter().zip(loaded) {
            let loaded = loaded.map_err(|error| error.context(format!("order {order_id} of the target")))?;
            sequence.push(order_id.clone());
            orders.insert(order_id, ImportedOrder::new(loaded));
        }
        Ok(Self { orders, sequence, claimed: HashMap::new() })
    }

    /// Adds the event of a line to its order. The inner error is the reason why the line is refused.
    async fn add(
        &mut self,
        target: &dyn ImportTarget,
        line: &ImportLine,
        is_final_reference: bool,
    ) -> anyhow::Result<Result<Found, String>> {
        let order_id = &line.event.envelope.order_id;
        let Some(order) = self.orders.get_mut(order_id) else {
            return Ok(Err("its order was not loaded".to_owned()));
        };
        if line.event.version <= order.version() {
            return order.compare(target, &line.event).await;
        }
        let reference = reference_of(&line.event.envelope.event).filter(|_| is_final_reference);
        if let Some(reference) = reference {
            let by = self.claimed.get(reference).or_else(|| order.holder(reference));
            if let Some(by) = by.filter(|by| *by != order_id) {
                return Ok(Err(format!("order {by} has the reference {:?}", reference.as_str())));
            }
        }
        if let Err(reason) = order.append(&line.event) {
            return Ok(Err(reason));
        }
        self.claimed.extend(reference.map(|reference| (reference.clone(), order_id.clone())));
        Ok(Ok(Found::New))
    }

    fn into_appends(mut self) -> Vec<Append> {
        let orders = self.sequence.iter().filter_map(|order_id| self.orders.remove(order_id));
        orders.filter_map(ImportedOrder::into_append).collect()
    }
}

/// The ids of events, to find repeated ones.
type EventIds = HashSet<EventId>;

#[cfg(test)]
mod tests;
