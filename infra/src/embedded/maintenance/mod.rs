//! Work on a data folder that no service uses meanwhile: exporting its events, and rebuilding from them everything
//! that follows from them.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use domain::{Order, OrderId, Outcome, Receipt, RecordedEvent};

use crate::embedded::Embedded;
use crate::embedded::inbox::receipt_row;
use crate::embedded::store::continuity;
use crate::embedded::store::folder::DataFolder;
use crate::embedded::store::keys::{self, Numbered};
use crate::embedded::store::open_error::OpenError;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::{Durability, Totals};

/// What a rebuild found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Orders in the log.
    pub orders: u64,
    /// Events in the log.
    pub events: u64,
    /// Projections, index entries and receipts that did not follow from the log.
    pub differences: Findings,
    /// Logs that cannot be folded. They are left as they are.
    pub broken: Findings,
    /// What is projected of orders that have no log. It may be the last trace of them, so it stays unless it is asked to
    /// be removed.
    pub orphans: Findings,
}

/// What a rebuild is to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct RebuildOptions {
    /// Only compare, and change nothing.
    pub check_only: bool,
    /// Remove what is projected of orders that have no log.
    pub remove_orphans: bool,
}

/// Reads every table of the folder at `path` and compares it with its checksum. `progress` gets the number of bytes read so
/// far. Returns how many there are.
pub fn verify(path: &Path, progress: &dyn Fn(u64)) -> Result<u64, OpenError> {
    let folder = DataFolder::claim(path)?;
    continuity::verify_tables(&folder.store(), progress).map_err(|flaw| folder.explain(flaw))
}

/// How many things were found, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many.
    pub count: u64,
    /// The first [`Findings::EXAMPLES`], a sentence each.
    pub examples: Vec<String>,
}

impl Findings {
    /// The most examples that are kept.
    pub const EXAMPLES: usize = 20;

    fn add(&mut self, what: String) {
        self.count += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(what);
        }
    }
}

/// The members in which two states of an order differ.
fn differing_members(one: &Order, other: &Order) -> Vec<String> {
    let members = |order: &Order| match serde_json::to_value(order) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (members(one), members(other));
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// A write that puts something right; no value: a removal.
type Repair = (Numbered, Vec<u8>, Option<Vec<u8>>);

/// Repairs in one commit.
const CHUNK: usize = 1000;

impl Embedded {
    /// About how many events the log holds, for progress.
    pub fn approximate_events(&self) -> u64 {
        self.0.keys.log.approximate_len() as u64
    }

    /// Writes every recorded event as a line of JSON, order by order, each in order. Tells how many.
    pub fn export(&self, out: &mut dyn Write) -> anyhow::Result<u64> {
        let mut events = 0;
        for row in self.0.keys.log.iter() {
            let (key, entry) = row.into_inner()?;
            let order_id = keys::log_order(&key)?;
            let event = self.decode_entry(&entry).with_context(|| format!("order {order_id}"))?;
            out.write_all(&event.encode())?;
            out.write_all(b"\n")?;
            events += 1;
        }
        out.flush()?;
        Ok(events)
    }

    /// Folds every log again and compares what is projected with it, and the ledger; unless asked to check only, puts right
    /// what differs. `progress` gets the number of events read so far.
    pub async fn rebuild(
        &self,
        options: RebuildOptions,
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<Rebuilt> {
        let check_only = options.check_only;
        let mut rebuild = Rebuild { engine: self, options, report: Rebuilt::default(), repairs: Vec::new() };
        let mut log = Log::default();
        for row in self.0.keys.log.iter() {
            let (key, entry) = row.into_inner()?;
            let order_id = keys::log_order(&key)?;
            if log.order_id.as_ref() != Some(&order_id) {
                rebuild.log(std::mem::take(&mut log))?;
                log.order_id = Some(order_id);
                if rebuild.repairs.len() >= CHUNK {
                    rebuild.flush(check_only).await?;
                }
            }
            match self.decode_entry(&entry) {
                Ok(event) => log.events.push(event),
                Err(error) => log.fault = log.fault.or(Some(error)),
            }
            rebuild.report.events += 1;
            progress(rebuild.report.events);
        }
        rebuild.log(log)?;
        rebuild.orphans().await?;
        rebuild.flush(check_only).await?;
        rebuild.ledger(check_only).await?;
        Ok(rebuild.report)
    }
}

/// What the log has of an order.
#[derive(Default)]
struct Log {
    /// `None` before the first.
    order_id: Option<OrderId>,
    events: Vec<RecordedEvent>,
    /// Why an entry of it cannot be read, if so.
    fault: Option<anyhow::Error>,
}

struct Rebuild<'a> {
    engine: &'a Embedded,
    options: RebuildOptions,
    report: Rebuilt,
    repairs: Vec<Repair>,
}

impl Rebuild<'_> {
    fn log(&mut self, log: Log) -> anyhow::Result<()> {
        let Some(order_id) = log.order_id else { return Ok(()) };
        self.report.orders += 1;
        let folded = match log.fault {
            None => Order::fold(&log.events).map_err(anyhow::Error::from),
            Some(fault) => Err(fault),
        };
        match folded {
            Ok(Some(order)) => {
                self.order(&order_id, &order)?;
                log.events.iter().try_for_each(|event| self.receipt(event))?;
            }
            Ok(None) => {}
            Err(error) => self.report.broken.add(format!("order {order_id}: {error:#}")),
        }
        Ok(())
    }

    fn order(&mut self, order_id: &OrderId, order: &Order) -> anyhow::Result<()> {
        let keys = &self.engine.0.keys;
        let row = keys.orders.get(order_id.as_str())?;
        let projected = row.as_ref().and_then(|row| serde_json::from_slice::<Order>(row).ok());
        // Earlier builds did not project when the latest event was recorded; it is put in with the next one.
        let recorded_at = order.recorded_at;
        let projected = projected.map(|old| Order { recorded_at: old.recorded_at.or(recorded_at), ..old });
        // Where none is needed, an earlier build has written one all the same.
        let is_needed = crate::is_projected(order);
        if projected.as_ref() != Some(order) && (is_needed || row.is_some()) {
            let found = projected.map_or("is missing or unreadable".to_owned(), |old| {
                format!("differs from the log in {}", differing_members(&old, order).join(", "))
            });
            let what = format!("order {order_id}: the projection {found}");
            self.differs(what, &keys.orders, order_id.as_str().into(), is_needed.then(|| order.encode()));
        }
        let entry = keys::customer_key(&order.customer_id, order.created_at.micros(), order_id);
        if !keys.customers.contains_key(&entry)? {
            let what = format!("order {order_id}: missing in the list of customer {}", order.customer_id);
            self.differs(what, &keys.customers, entry, Some(Vec::new()));
        }
        Ok(())
    }

    fn receipt(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let receipts = &self.engine.0.keys.receipts;
        let (order_id, event_id) = (&event.envelope.order_id, event.envelope.event_id);
        let outcome = Outcome::Recorded { version: event.version };
        let stored = self.engine.stored_receipt(order_id, event_id).ok().flatten();
        if stored.is_none_or(|stored| stored.outcome != outcome) {
            let (key, row) = receipt_row(&Receipt::of(&event.envelope, Some(outcome)))?;
            let what =
                format!("order {order_id}: the receipt of event {event_id} does not say it is recorded");
            self.differs(what, receipts, key, Some(row));
        }
        Ok(())
    }

    /// What is projected of orders that are not in the log.
    async fn orphans(&mut self) -> anyhow::Result<()> {
        let keys = &self.engine.0.keys;
        for row in keys.orders.iter() {
            let key = row.key()?;
            let order_id = OrderId::parse(std::str::from_utf8(&key)?).context("the key of a projection")?;
            if !keys.log.contains_key(keys::log_key(&order_id, 1))? {
                self.orphan(
                    format!("order {order_id}: there is a projection, but no log"),
                    &keys.orders,
                    &key,
                );
            }
        }
        for row in keys.customers.iter() {
            let key = row.key()?;
            let order_id = keys::customer_key_position(&key)?.order_id;
            let Some(first) = keys.log.get(keys::log_key(&order_id, 1))? else {
                self.orphan(
                    format!("order {order_id}: it is in a list, but has no log"),
                    &keys.customers,
                    &key,
                );
                continue;
            };
            // A log that is broken is left as it is, and so is what leads to it.
            let Ok(Ok(Some(order))) = self.engine.decode_entry(&first).map(|event| Order::fold([&event]))
            else {
                continue;
            };
            if keys::customer_key(&order.customer_id, order.created_at.micros(), &order.order_id) != *key {
                let what = format!("order {order_id}: listed for a customer it does not belong to");
                self.differs(what, &keys.customers, key.to_vec(), None);
            }
            if self.repairs.len() >= CHUNK {
                self.flush(self.options.check_only).await?;
            }
        }
        Ok(())
    }

    fn orphan(&mut self, what: String, keyspace: &Numbered, key: &[u8]) {
        if self.options.remove_orphans {
            self.differs(what, keyspace, key.to_vec(), None);
        } else {
            self.report.orphans.add(what);
        }
    }

    /// Compares the ledger with what the log and the queue hold.
    async fn ledger(&mut self, check_only: bool) -> anyhow::Result<()> {
        let (events, Totals { books, queued }) = (self.report.events, self.engine.view().totals);
        let ledger = books.ledger;
        if ledger.recorded != events {
            let what =
                format!("ledger: it counts {} recorded events; the log holds {events}", ledger.recorded);
            self.report.differences.add(what);
        }
        if ledger.missing() != i128::from(queued) {
            let missing = ledger.missing();
            let what = format!("ledger: it counts {missing} events in flight; the queue holds {queued}");
            self.report.differences.add(what);
        }
        if check_only {
            return Ok(());
        }
        let job = move |stage: &mut Stage| {
            let ledger = &mut stage.books.ledger;
            ledger.recorded = events;
            ledger.accepted = ledger.settled() + queued;
            Ok(())
        };
        self.engine.0.writer.write(Durability::Synced, job).await
    }

    fn differs(&mut self, what: String, keyspace: &Numbered, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.report.differences.add(what);
        self.repairs.push((keyspace.clone(), key, value));
    }

    async fn flush(&mut self, check_only: bool) -> anyhow::Result<()> {
        let repairs = std::mem::take(&mut self.repairs);
        if check_only || repairs.is_empty() {
            return Ok(());
        }
        let job = move |stage: &mut Stage| {
            for (keyspace, key, value) in repairs {
                match value {
                    Some(value) => stage.put(&keyspace, key, value),
                    None => stage.remove(&keyspace, key),
                }
            }
            Ok(())
        };
        self.engine.0.writer.write(Durability::Synced, job).await
    }
}

#[cfg(test)]
mod tests;
