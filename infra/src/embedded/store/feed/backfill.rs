//! Gives positions to the events of a folder of an earlier format. [`opening`](crate::embedded::store::opening) runs
//! the backfill before any other code can write.
//!
//! Events get positions in the order of the times at which they were recorded. The keyspace `feed` sorts the events, so
//! the backfill needs little memory:
//!
//! 1. Each log entry gets a row in the scratch range of `feed`. The key of the row contains the time, the order and the
//!    version.
//! 2. The scratch rows are read in the order of their keys. Each commit gives some events the next positions, and removes
//!    their scratch rows.
//!
//! A row of `meta` contains the current step and its progress. Each commit updates the row. So after a crash, the
//! backfill continues where the last commit ended.

use anyhow::{Context, ensure};
use domain::OrderId;
use serde::{Deserialize, Serialize};

use super::FIRST_SCRATCH_KEY;
use super::encode::NewFeedEntry;
use super::from_log::OrderInLog;
use crate::embedded::store::backfill::{BackfillOptions, BackfillProgress, BackfillTask};
use crate::embedded::store::commit::Committer;
use crate::embedded::store::index_keys::sortable;
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::{FEED_BACKFILL, Keyspaces};
use crate::embedded::store::stage::Stage;

/// The approximate number of events that one commit processes. The number is small in tests, so that tests need few
/// events.
const EVENTS_OF_COMMIT: usize = if cfg!(test) { 50 } else { 5000 };

/// The state of a backfill that is not complete, stored in the row `feed_backfill` of `meta`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Cursor {
    /// The first step, which writes the scratch rows.
    Sort {
        /// The id of the order that was processed last. `None` at the beginning.
        after: Option<OrderId>,
        /// The number of events of the processed orders.
        events: u64,
    },
    /// The second step, which gives the events their positions.
    Number {
        /// The number of all events.
        events: u64,
    },
}

/// A backfill that is due.
pub(crate) struct FeedBackfill(Option<Cursor>);

impl FeedBackfill {
    /// Stages the cursor of a backfill of all events in the log.
    pub(crate) fn announce(keys: &Keyspaces, stage: &mut Stage) {
        put_cursor(keys, stage, &Cursor::Sort { after: None, events: 0 });
    }

    /// Determines which backfill is due, and stages its cursor. `is_upgrade` states whether the folder has an earlier
    /// format.
    pub(crate) fn plan(keys: &Keyspaces, stage: &mut Stage, is_upgrade: bool) -> anyhow::Result<Self> {
        if is_upgrade {
            // After an interrupted upgrade, an earlier version of the program may have recorded more events. Therefore
            // the backfill starts from the beginning.
            Self::announce(keys, stage);
            return Ok(Self(Some(Cursor::Sort { after: None, events: 0 })));
        }
        let row = keys.meta.get(FEED_BACKFILL)?;
        let cursor = row
            .map(|row| serde_json::from_slice(&row).context("cannot read the cursor of the feed's backfill"));
        Ok(Self(cursor.transpose()?))
    }

    /// Gives a position to each event of the log that has none. The caller must commit the staged cursor first.
    pub(crate) fn run(self, committer: &mut Committer, options: &BackfillOptions<'_>) -> anyhow::Result<()> {
        let events = match self.0 {
            None => return Ok(()),
            Some(Cursor::Number { events }) => events,
            Some(Cursor::Sort { after, events }) => {
                let about = committer.keys.log.approximate_len() as u64;
                let mut sort = Sort { committer, options, after, events, about };
                sort.run()?;
                sort.events
            }
        };
        number(committer, options, events)
    }
}

fn put_cursor(keys: &Keyspaces, stage: &mut Stage, cursor: &Cursor) {
    let row = serde_json::to_vec(cursor).expect("a cursor always serializes");
    stage.put(&keys.meta, FEED_BACKFILL, row);
}

/// The progress of both steps together. `halves` counts each event once per step, because each step processes every
/// event.
fn progress(halves: u64, about: u64) -> BackfillProgress {
    BackfillProgress { task: BackfillTask::Feed, events: halves / 2, about }
}

fn report(options: &BackfillOptions<'_>, halves: u64, about: u64) -> anyhow::Result<()> {
    ensure!(
        (options.progress)(progress(halves, about)).is_continue(),
        "not all events have their place in the feed; the next start continues"
    );
    Ok(())
}

/// The first step of the backfill, which writes the scratch rows.
struct Sort<'a> {
    committer: &'a mut Committer,
    options: &'a BackfillOptions<'a>,
    after: Option<OrderId>,
    events: u64,
    about: u64,
}

impl Sort<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        report(self.options, self.events, self.about)?;
        let keys = self.committer.keys.clone();
        loop {
            let mut stage = self.committer.stage();
            if self.read_portion(&keys, &mut stage)? {
                self.commit(stage)?;
                continue;
            }
            put_cursor(&keys, &mut stage, &Cursor::Number { events: self.events });
            self.committer.commit(stage)?;
            return report(self.options, self.events, self.events);
        }
    }

    /// Stages the scratch rows of the next orders. Returns whether there are more orders. Each portion is a separate
    /// read, because the engine keeps new writes in memory while a read is open.
    fn read_portion(&mut self, keys: &Keyspaces, stage: &mut Stage) -> anyhow::Result<bool> {
        let start = self.after.as_ref().map(|order_id| keys::log_key(order_id, u64::MAX)).unwrap_or_default();
        let mut order: Option<OrderInLog> = None;
        for (of_commit, row) in keys.log.range(start..).enumerate() {
            let (key, entry) = row.into_inner()?;
            let mut current = match order.take().filter(|order| order.has(&key)) {
                Some(order) => order,
                None if of_commit >= EVENTS_OF_COMMIT => return Ok(true),
                None => OrderInLog::new(&key)?,
            };
            let (_, version) = keys::split_log_key(&key).context("a malformed key of a log entry")?;
            let feed = current.next(version, &entry, self.options.default_currency);
            stage.put(&keys.feed, scratch_key(feed.recorded_at_micros, &key), feed.bytes);
            self.after = Some(current.order_id.clone());
            self.events += 1;
            order = Some(current);
        }
        Ok(false)
    }

    /// Commits the scratch rows of complete orders, and moves the cursor past these orders.
    fn commit(&mut self, mut stage: Stage) -> anyhow::Result<()> {
        let cursor = Cursor::Sort { after: self.after.clone(), events: self.events };
        put_cursor(&self.committer.keys, &mut stage, &cursor);
        self.committer.commit_portion(stage)?;
        report(self.options, self.events, self.about)
    }
}

/// The key of a log entry's scratch row. Scratch rows are sorted by time, and events of one time by their keys in the
/// log.
fn scratch_key(time: i64, log_key: &[u8]) -> Vec<u8> {
    [&FIRST_SCRATCH_KEY, &sortable(time)[..], log_key].concat()
}

/// The second step of the backfill, which gives the events their positions.
fn number(committer: &mut Committer, options: &BackfillOptions<'_>, events: u64) -> anyhow::Result<()> {
    let keys = committer.keys.clone();
    report(options, events + committer.feed.position, events)?;
    let mut start = FIRST_SCRATCH_KEY.to_vec();
    let mut stage = loop {
        let mut stage = committer.stage();
        let mut of_commit = 0;
        // Each portion is a separate read, as in the first step.
        for row in keys.feed.range(start.clone()..).take(EVENTS_OF_COMMIT) {
            let (key, entry) = row.into_inner()?;
            let time =
                key.get(1..9).and_then(|time| time.try_into().ok()).context("a malformed scratch key")?;
            let recorded_at_micros = (u64::from_be_bytes(time) ^ (1 << 63)) as i64;
            stage.record(NewFeedEntry { recorded_at_micros, bytes: entry.to_vec() });
            start = [&key, &[0][..]].concat();
            stage.remove(&keys.feed, key);
            of_commit += 1;
        }
        if of_commit < EVENTS_OF_COMMIT {
            break stage;
        }
        committer.commit_portion(stage)?;
        report(options, events + committer.feed.position, events)?;
    };
    stage.remove(&keys.meta, FEED_BACKFILL);
    committer.commit(stage)?;
    // The backfill is complete, so a `Break` is ignored.
    let _ = (options.progress)(progress(2 * events, events));
    Ok(())
}

#[cfg(test)]
mod tests;
