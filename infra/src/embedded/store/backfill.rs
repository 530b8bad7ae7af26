//! Fills the indexes from the log: when a folder of an earlier format is upgraded, and when keys of the metadata become
//! searchable. [`opening`](super::opening) runs the backfills before any other code can write.
//!
//! The first commit of a backfill puts a cursor into `meta`. Each later commit writes the rows of some orders and moves
//! the cursor past these orders. After a crash, the backfill continues at the cursor. The last commit removes the
//! cursor. The backfill of an upgrade also recomputes every projection, because schema version 2 adds members to
//! projections.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, ensure};
use domain::{Currency, Order, OrderId, RecordedEvent};
use serde::{Deserialize, Serialize};

use super::commit::Committer;
use super::index_keys::metadata_key_of;
use super::indexes::{Index, rows_of};
use super::keyspaces::{self, Keyspaces};
use super::stage::Stage;
use super::{keys, records};

/// The approximate number of events whose rows one commit contains. The number is small in tests, so that tests need
/// few orders.
const EVENTS_OF_COMMIT: u64 = if cfg!(test) { 50 } else { 5000 };
/// How many commits are prepared while another commit is written.
const PREPARED_COMMITS: usize = 2;

/// The data that a backfill fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillTask {
    /// The indexes by which orders are found.
    Indexes,
    /// The feed.
    Feed,
}

/// The progress of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackfillProgress {
    /// The data that the backfill fills.
    pub task: BackfillTask,
    /// The number of events that were processed.
    pub events: u64,
    /// The approximate number of all events in the log.
    pub about: u64,
}

/// The inputs of a backfill.
pub(crate) struct BackfillOptions<'a> {
    /// The searchable keys of the metadata. `None` keeps the keys that the folder already has.
    pub(crate) searchable: Option<&'a BTreeSet<String>>,
    pub(crate) default_currency: Currency,
    /// Called after each commit. If the function returns `Break`, the folder is not opened, and the next start
    /// continues the backfill.
    pub(crate) progress: &'a dyn Fn(BackfillProgress) -> ControlFlow<()>,
}

/// The data that a backfill of the indexes fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    /// All indexes and all projections.
    Everything,
    /// The index by metadata.
    Metadata,
}

/// The state of a backfill that is not complete, stored in the row `backfill` of `meta`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    scope: Scope,
    /// The id of the order that was processed last. `None` at the beginning.
    after: Option<OrderId>,
    /// The number of events of the processed orders.
    events: u64,
}

/// The backfill that is due, if any, and the searchable keys.
pub(crate) struct Backfill {
    cursor: Option<Cursor>,
    pub(crate) searchable: BTreeSet<String>,
}

/// Stages the cursor of a full backfill, which fills all indexes and projections. A folder whose format has no indexes
/// needs a full backfill.
pub(crate) fn announce(keys: &Keyspaces, stage: &mut Stage) {
    put_cursor(keys, stage, &Cursor { scope: Scope::Everything, after: None, events: 0 });
}

fn put_cursor(keys: &Keyspaces, stage: &mut Stage, cursor: &Cursor) {
    let row = serde_json::to_vec(cursor).expect("a cursor always serializes");
    stage.put(&keys.meta, keyspaces::BACKFILL, row);
}

impl Backfill {
    /// Determines which backfill is due, and stages its cursor. `lacks_indexes` states whether the folder's format has
    /// no indexes.
    pub(crate) fn plan(
        keys: &Keyspaces,
        stage: &mut Stage,
        declared: Option<&BTreeSet<String>>,
        lacks_indexes: bool,
    ) -> anyhow::Result<Self> {
        let stored = keys.meta.get(keyspaces::SEARCHABLE)?;
        let stored: BTreeSet<String> = stored
            .map(|row| serde_json::from_slice(&row).context("the searchable keys"))
            .transpose()?
            .unwrap_or_default();
        let cursor = keys.meta.get(keyspaces::BACKFILL)?;
        let mut cursor: Option<Cursor> = cursor
            .map(|row| serde_json::from_slice(&row).context("cannot read the cursor of a backfill"))
            .transpose()?;
        let start = |scope| Some(Cursor { scope, after: None, events: 0 });
        let searchable = declared.cloned().unwrap_or_else(|| stored.clone());
        if searchable != stored {
            stage.put(&keys.meta, keyspaces::SEARCHABLE, serde_json::to_vec(&searchable)?);
            cursor = start(cursor.map_or(Scope::Metadata, |cursor| cursor.scope));
        }
        if lacks_indexes {
            cursor = start(Scope::Everything);
        }
        if let Some(cursor) = &cursor {
            put_cursor(keys, stage, cursor);
        }
        Ok(Self { cursor, searchable })
    }

    /// Fills the indexes. The caller must commit the staged cursor first.
    pub(crate) fn run(&self, committer: &mut Committer, options: &BackfillOptions<'_>) -> anyhow::Result<()> {
        let Some(cursor) = &self.cursor else { return Ok(()) };
        let about = committer.keys.log.approximate_len() as u64;
        report(options, BackfillProgress { task: BackfillTask::Indexes, events: cursor.events, about })?;
        self.remove_undeclared(committer)?;
        let keys = committer.keys.clone();
        thread::scope(|scope| {
            let (sender, portions) = sync_channel(PREPARED_COMMITS);
            let currency = options.default_currency;
            let reader = scope.spawn(move || self.prepare(&keys, cursor, currency, &sender));
            // This loop owns the receiver of the channel. If the closure returns early, the receiver is dropped. The
            // sending thread then fails to send, and ends.
            for Portion { rows, cursor, .. } in portions {
                let mut stage = committer.stage();
                rows.into_iter().for_each(|row| row.stage(&mut stage, &committer.keys));
                put_cursor(&committer.keys, &mut stage, &cursor);
                committer.commit_portion(stage)?;
                report(
                    options,
                    BackfillProgress { task: BackfillTask::Indexes, events: cursor.events, about },
                )?;
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let mut stage = committer.stage();
        stage.remove(&committer.keys.meta, keyspaces::BACKFILL);
        committer.commit(stage)?;
        Ok(())
    }

    /// Removes the rows of keys that are no longer searchable.
    fn remove_undeclared(&self, committer: &mut Committer) -> anyhow::Result<()> {
        let keys = committer.keys.clone();
        let mut stage = committer.stage();
        for row in keys.by_metadata.iter() {
            let row = row.key()?;
            if !self.searchable.contains(metadata_key_of(&row)?.0) {
                stage.remove(&keys.by_metadata, row);
            }
            if stage.bytes() > 1 << 20 {
                let full = std::mem::replace(&mut stage, committer.stage());
                committer.commit(full)?;
            }
        }
        committer.commit(stage)?;
        Ok(())
    }

    /// Reads the log after the cursor, folds each order, and sends the rows in portions.
    fn prepare(
        &self,
        keys: &Keyspaces,
        cursor: &Cursor,
        currency: Currency,
        portions: &SyncSender<Portion>,
    ) -> anyhow::Result<()> {
        let mut next =
            Some(cursor.after.as_ref().map(|order_id| keys::log_key(order_id, u64::MAX)).unwrap_or_default());
        let mut cursor = cursor.clone();
        while let Some(start) = next {
            let mut portion = Portion { rows: Vec::new(), events: 0, cursor };
            next = self.read_portion(keys, start, currency, &mut portion)?;
            cursor = portion.cursor.clone();
            if portions.send(portion).is_err() {
                // Sending fails only if a commit has failed. The caller returns the error of that commit.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads orders into the portion until it is full. Returns the key at which the next portion begins. Each portion
    /// is a separate read, because the engine keeps new writes in memory while a read is open.
    fn read_portion(
        &self,
        keys: &Keyspaces,
        start: Vec<u8>,
        currency: Currency,
        portion: &mut Portion,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let mut fold = Fold::default();
        for row in keys.log.range(start..) {
            let (key, entry) = row.into_inner()?;
            // Comparing the bytes of each key is faster than parsing the order id in it.
            if key.strip_prefix(fold.prefix.as_slice()).is_none_or(|version| version.len() != 8) {
                self.add(keys, std::mem::replace(&mut fold, Fold::of(&key)?), portion)?;
                if portion.events >= EVENTS_OF_COMMIT {
                    return Ok(Some(key.to_vec()));
                }
            }
            fold.add(&entry, currency);
        }
        self.add(keys, fold, portion)?;
        Ok(None)
    }

    /// Adds the rows of an order. An order whose log cannot be folded gets no rows. `orders rebuild` reports such a
    /// log.
    fn add(&self, keys: &Keyspaces, fold: Fold, portion: &mut Portion) -> anyhow::Result<()> {
        let Some(order_id) = fold.order_id else { return Ok(()) };
        portion.events += fold.events;
        portion.cursor.events += fold.events;
        portion.cursor.after = Some(order_id.clone());
        let order = match fold.order {
            Ok(Some(order)) => order,
            Ok(None) => return Ok(()),
            Err(error) => {
                let order_id = order_id.as_str();
                tracing::warn!(
                    order_id,
                    "the order is in no index, because its log cannot be folded: {error:#}"
                );
                return Ok(());
            }
        };
        let rows = rows_of(&order, &self.searchable);
        let is_everything = portion.cursor.scope == Scope::Everything;
        let rows = rows.into_iter().filter(|(index, _)| is_everything || *index == Index::Metadata);
        portion.rows.extend(rows.map(|(index, key)| PreparedRow::Index(index, key, order_id.clone())));
        if is_everything {
            if crate::is_projected(&order) {
                portion.rows.push(PreparedRow::Projection(order_id, Some(order.encode())));
            } else if keys.orders.contains_key(order_id.as_str())? {
                // Early versions of this program also wrote projections for orders with one event.
                portion.rows.push(PreparedRow::Projection(order_id, None));
            }
        }
        Ok(())
    }
}

fn report(options: &BackfillOptions<'_>, progress: BackfillProgress) -> anyhow::Result<()> {
    ensure!(
        (options.progress)(progress).is_continue(),
        "the indexes are not complete; the next start continues to fill them"
    );
    Ok(())
}

/// The rows and the cursor that one commit of a backfill writes.
struct Portion {
    rows: Vec<PreparedRow>,
    events: u64,
    cursor: Cursor,
}

enum PreparedRow {
    Index(Index, Vec<u8>, OrderId),
    /// A projection, or `None` to remove it.
    Projection(OrderId, Option<Vec<u8>>),
}

impl PreparedRow {
    fn stage(self, stage: &mut Stage, keys: &Keyspaces) {
        match self {
            Self::Index(index, key, order_id) => index.put(stage, keys, key, &order_id),
            Self::Projection(order_id, Some(row)) => stage.put(&keys.orders, order_id.as_str(), row),
            Self::Projection(order_id, None) => stage.remove(&keys.orders, order_id.as_str()),
        }
    }
}

/// The order whose log is being read, folded from the entries so far.
struct Fold {
    /// The id of the order. `None` before the first order.
    order_id: Option<OrderId>,
    /// The prefix of the keys of the order's log entries.
    prefix: Vec<u8>,
    events: u64,
    order: anyhow::Result<Option<Order>>,
}

impl Default for Fold {
    fn default() -> Self {
        Self { order_id: None, prefix: Vec::new(), events: 0, order: Ok(None) }
    }
}

impl Fold {
    fn of(key: &[u8]) -> anyhow::Result<Self> {
        let order_id = keys::order_of_log_key(key)?;
        Ok(Self { prefix: keys::log_prefix(&order_id), order_id: Some(order_id), ..Self::default() })
    }

    fn add(&mut self, entry: &[u8], currency: Currency) {
        self.events += 1;
        let (event, _) = records::split_log_entry(entry);
        let order = std::mem::replace(&mut self.order, Ok(None));
        self.order = order.and_then(|order| {
            let event = RecordedEvent::decode(event, currency).context("a log entry")?;
            Ok(Some(Order::apply(order, &event)?))
        });
    }
}

#[cfg(test)]
mod tests;
