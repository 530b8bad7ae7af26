//! Folds every log again and compares the result with the derived writes and the ledger. The rebuild corrects the
//! differences.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use anyhow::{Context, ensure};
use domain::{Order, OrderId, Outcome, Receipt, RecordedEvent};

use super::{RebuildOptions, RebuildReport};
use crate::embedded::log::Log;
use crate::embedded::store::counters::Totals;
use crate::embedded::store::feed::encode::NewFeedEntry;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::NumberedKeyspace;
use crate::embedded::store::records::receipt_row;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;

/// The approximate number of corrections in one commit.
const CORRECTIONS_OF_COMMIT: usize = 1000;

/// A planned correction of one row: its keyspace, its key and its new value. If there is no new value, the row is
/// removed.
type Correction = (NumberedKeyspace, Vec<u8>, Option<Vec<u8>>);

/// Rebuilds the derived writes. `progress` gets the number of events read so far. If `progress` returns `Break`, the
/// rebuild fails.
pub(crate) async fn rebuild(
    log: &Log,
    options: RebuildOptions,
    progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
) -> anyhow::Result<RebuildReport> {
    let (report, corrections, missing_positions) = (RebuildReport::default(), Vec::new(), Vec::new());
    let mut rebuild = Rebuild { log, options, report, corrections, missing_positions };
    let mut entries = OrderEntries::default();
    for row in log.store.keys.log.iter() {
        let (key, entry) = row.into_inner()?;
        let order_id = keys::order_of_log_key(&key)?;
        if entries.order_id.as_ref() != Some(&order_id) {
            rebuild.order(std::mem::take(&mut entries))?;
            entries.order_id = Some(order_id);
            rebuild.commit_full_chunk().await?;
        }
        match log.decode_entry(&entry) {
            Ok(event) => entries.events.push(event),
            Err(error) => entries.error = entries.error.or(Some(error)),
        }
        rebuild.report.events += 1;
        go_on(progress(rebuild.report.events))?;
    }
    rebuild.order(entries)?;
    rebuild.orphans().await?;
    rebuild.commit().await?;
    go_on(progress(rebuild.report.events))?;
    rebuild.stray_index_rows().await?;
    rebuild.commit().await?;
    go_on(progress(rebuild.report.events))?;
    rebuild.feed().await?;
    rebuild.ledger().await?;
    Ok(rebuild.report)
}

fn go_on(flow: ControlFlow<()>) -> anyhow::Result<()> {
    ensure!(flow.is_continue(), "the rebuild was stopped");
    Ok(())
}

/// The log entries of one order, which are read before the order is compared.
#[derive(Default)]
struct OrderEntries {
    /// The order whose entries are being read, or `None` before the first order.
    order_id: Option<OrderId>,
    events: Vec<RecordedEvent>,
    /// The error of the first entry that cannot be read.
    error: Option<anyhow::Error>,
}

pub(super) struct Rebuild<'a> {
    pub(super) log: &'a Log,
    options: RebuildOptions,
    pub(super) report: RebuildReport,
    /// The corrections that the next commit writes.
    corrections: Vec<Correction>,
    /// The events to which the next commit gives a position.
    pub(super) missing_positions: Vec<NewFeedEntry>,
}

impl Rebuild<'_> {
    fn order(&mut self, entries: OrderEntries) -> anyhow::Result<()> {
        let Some(order_id) = entries.order_id else { return Ok(()) };
        self.report.orders += 1;
        let folded = match entries.error {
            None => Order::fold(&entries.events).map_err(anyhow::Error::from),
            Some(error) => Err(error),
        };
        match folded {
            Ok(Some(order)) => {
                self.projection(&order_id, &order)?;
                self.index_rows(&order)?;
                entries.events.iter().try_for_each(|event| self.receipt(event))?;
            }
            Ok(None) => {}
            Err(error) => self.report.broken.add(format!("order {order_id}: {error:#}")),
        }
        Ok(())
    }

    /// Compares the stored projection and list entry of an order with the order that its log folds to.
    fn projection(&mut self, order_id: &OrderId, order: &Order) -> anyhow::Result<()> {
        let keys = &self.log.store.keys;
        let row = keys.orders.get(order_id.as_str())?;
        let projected = row.as_ref().and_then(|row| serde_json::from_slice::<Order>(row).ok());
        // Earlier versions of this program did not project the time of the latest event. A missing time is not a
        // difference, because the next event adds the time.
        let recorded_at = order.recorded_at;
        let projected = projected.map(|old| Order { recorded_at: old.recorded_at.or(recorded_at), ..old });
        // Earlier versions of this program also wrote projections for orders with one event.
        let is_needed = crate::is_projected(order);
        if projected.as_ref() != Some(order) && (is_needed || row.is_some()) {
            let found = projected.map_or("is missing or unreadable".to_owned(), |old| {
                format!("differs from the log in {}", differing_members(&old, order).join(", "))
            });
            let finding = format!("order {order_id}: the projection {found}");
            let value = is_needed.then(|| order.encode());
            self.differs(finding, &keys.orders, order_id.as_str().into(), value);
        }
        let entry = keys::customer_key(&order.customer_id, order.created_at.micros(), order_id);
        if !keys.customers.contains_key(&entry)? {
            let finding =
                format!("order {order_id}: it is missing from the list of customer {}", order.customer_id);
            self.differs(finding, &keys.customers, entry, Some(Vec::new()));
        }
        Ok(())
    }

    fn receipt(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let receipts = &self.log.store.keys.receipts;
        let (order_id, event_id) = (&event.envelope.order_id, event.envelope.event_id);
        let outcome = Outcome::Recorded { version: event.version };
        let stored = self.log.latest_receipt(order_id, event_id).ok().flatten();
        if stored.is_none_or(|stored| stored.outcome != outcome) {
            let (key, row) = receipt_row(&Receipt::of(&event.envelope, Some(outcome)))?;
            let finding =
                format!("order {order_id}: the receipt of event {event_id} does not show it as recorded");
            self.differs(finding, receipts, key, Some(row));
        }
        Ok(())
    }

    /// Looks for projections and list entries of orders that are not in the log.
    async fn orphans(&mut self) -> anyhow::Result<()> {
        let keys = &self.log.store.keys;
        for row in keys.orders.iter() {
            let key = row.key()?;
            let order_id =
                OrderId::parse(std::str::from_utf8(&key)?).context("the key of a projection is malformed")?;
            if !keys.log.contains_key(keys::log_key(&order_id, 1))? {
                let finding = format!("order {order_id}: it has a projection, but no log");
                self.orphan(finding, &keys.orders, &key);
            }
        }
        for row in keys.customers.iter() {
            let key = row.key()?;
            let order_id = keys::customer_key_position(&key)?.order_id;
            let Some(first) = keys.log.get(keys::log_key(&order_id, 1))? else {
                let finding = format!("order {order_id}: it is in a list, but has no log");
                self.orphan(finding, &keys.customers, &key);
                continue;
            };
            // If a log cannot be folded, neither the log nor the order's list entry is changed.
            let Ok(Ok(Some(order))) = self.log.decode_entry(&first).map(|event| Order::fold([&event])) else {
                continue;
            };
            if keys::customer_key(&order.customer_id, order.created_at.micros(), &order.order_id) != *key {
                let finding =
                    format!("order {order_id}: it is in the list of a customer it does not belong to");
                self.differs(finding, &keys.customers, key.to_vec(), None);
            }
            self.commit_full_chunk().await?;
        }
        Ok(())
    }

    fn orphan(&mut self, finding: String, keyspace: &NumberedKeyspace, key: &[u8]) {
        if self.options.remove_orphans {
            self.differs(finding, keyspace, key.to_vec(), None);
        } else {
            self.report.orphans.add(finding);
        }
    }

    async fn ledger(&mut self) -> anyhow::Result<()> {
        let (events, Totals { counters, queued }) = (self.report.events, self.log.store.view().totals);
        let ledger = counters.ledger;
        if ledger.recorded != events {
            let finding =
                format!("ledger: it counts {} recorded events; the log holds {events}", ledger.recorded);
            self.report.differences.add(finding);
        }
        if ledger.missing() != i128::from(queued) {
            let missing = ledger.missing();
            let finding = format!("ledger: it counts {missing} events in flight; the queue holds {queued}");
            self.report.differences.add(finding);
        }
        if self.options.check_only {
            return Ok(());
        }
        let job = move |stage: &mut Stage| {
            let ledger = &mut stage.counters.ledger;
            ledger.recorded = events;
            ledger.accepted = ledger.settled() + queued;
            Ok(())
        };
        self.log.store.writer.write(Durability::Synced, job).await
    }

    /// Reports a difference, and plans its correction.
    pub(super) fn differs(
        &mut self,
        finding: String,
        keyspace: &NumberedKeyspace,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) {
        self.report.differences.add(finding);
        self.correct(keyspace, key, value);
    }

    /// Plans the correction of a difference that was already reported.
    pub(super) fn correct(&mut self, keyspace: &NumberedKeyspace, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.corrections.push((keyspace.clone(), key, value));
    }

    pub(super) async fn commit_full_chunk(&mut self) -> anyhow::Result<()> {
        if self.corrections.len() + self.missing_positions.len() < CORRECTIONS_OF_COMMIT {
            return Ok(());
        }
        self.commit().await
    }

    pub(super) async fn commit(&mut self) -> anyhow::Result<()> {
        let corrections = std::mem::take(&mut self.corrections);
        let missing_positions = std::mem::take(&mut self.missing_positions);
        if self.options.check_only || (corrections.is_empty() && missing_positions.is_empty()) {
            return Ok(());
        }
        let job = move |stage: &mut Stage| {
            for (keyspace, key, value) in corrections {
                match value {
                    Some(value) => stage.put(&keyspace, key, value),
                    None => stage.remove(&keyspace, key),
                }
            }
            missing_positions.into_iter().for_each(|entry| stage.record(entry));
            Ok(())
        };
        self.log.store.writer.write(Durability::Synced, job).await
    }
}

/// The names of the members that differ between two states of an order.
fn differing_members(one: &Order, other: &Order) -> Vec<String> {
    let members = |order: &Order| match serde_json::to_value(order) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (members(one), members(other));
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}
