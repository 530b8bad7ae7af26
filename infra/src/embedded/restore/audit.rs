//! Reads a restored folder again, and compares the content with the backup. The parent calls [`check`] before the
//! restore marks the folder as complete.

use anyhow::Context;

use super::RestoreError;
use super::log_writer::WrittenLog;
use super::moment::Moment;
use crate::backup::record::EventRecord;
use crate::backup::running_hash::RunningHash;
use crate::embedded::store::commit::Committer;
use crate::embedded::store::counters::Counters;
use crate::embedded::store::feed::FIRST_SCRATCH_KEY;
use crate::embedded::store::feed::decode::{FeedItem, FeedRow};
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::Keyspaces;

/// The content that was read from the restored folder.
#[derive(Default)]
struct Found {
    position: u64,
    events_in_feed: u64,
    events_in_log: u64,
    queued: u64,
    hash: RunningHash,
}

/// Compares the log, the feed, the ledger and the queue with the backup. Returns the running hash over the events of
/// the folder. `show` gets the number of events read so far.
pub(super) fn check(
    committer: &Committer,
    moment: &Moment,
    log: &WrittenLog,
    counters: &Counters,
    is_queued_again: bool,
    show: &dyn Fn(u64) -> Result<(), RestoreError>,
) -> Result<RunningHash, RestoreError> {
    let unreadable = |error: anyhow::Error| RestoreError::Differs(format!("{error:#}"));
    let mut found = Found::default();
    for row in committer.keys.feed.range(..FIRST_SCRATCH_KEY.to_vec()) {
        found.add_row(&committer.keys, row).map_err(unreadable)?;
        show(found.events_in_feed)?;
    }
    found.count(&committer.keys).map_err(unreadable)?;
    match found.difference(moment, log, counters, is_queued_again) {
        None => Ok(found.hash),
        Some(what) => Err(RestoreError::Differs(what)),
    }
}

impl Found {
    /// Adds the events of a row of the feed. The events must be in the log.
    fn add_row(&mut self, keys: &Keyspaces, row: fjall::Guard) -> anyhow::Result<()> {
        let (key, value) = row.into_inner()?;
        for item in FeedRow::decode(&key, &value)?.items() {
            let item = item?;
            if let FeedItem::Event(entry) = item {
                let (order_id, version, position) = (entry.order_id()?, entry.version, entry.position);
                let entry = keys.log.get(keys::log_key(&order_id, version))?.with_context(|| {
                    format!(
                        "version {version} of order {order_id}, at position {position}, is not in the log"
                    )
                })?;
                // The hash covers neither times nor receipts.
                let (time, receipt, entry) = (0, None, entry.to_vec());
                self.hash.add(&EventRecord { position, time, order_id, version, entry, receipt });
                self.events_in_feed += 1;
            }
            self.position = item.last_position();
        }
        Ok(())
    }

    fn count(&mut self, keys: &Keyspaces) -> anyhow::Result<()> {
        for row in keys.log.iter() {
            row.key()?;
            self.events_in_log += 1;
        }
        for row in keys.queue.iter() {
            row.key()?;
            self.queued += 1;
        }
        Ok(())
    }

    /// Returns the first difference from the backup, if any.
    fn difference(
        &self,
        moment: &Moment,
        log: &WrittenLog,
        counters: &Counters,
        is_queued_again: bool,
    ) -> Option<String> {
        let differs = |what: &str, found: u64, expected: u64| {
            (found != expected).then(|| format!("{what}: {found} instead of {expected}"))
        };
        let (events, ledger) = (expected_events(moment).unwrap_or(log.events), &counters.ledger);
        differs("the end of the feed", self.position, moment.position)
            .or_else(|| differs("events in the feed", self.events_in_feed, events))
            .or_else(|| differs("events in the log", self.events_in_log, events))
            .or_else(|| differs("recorded events in the ledger", ledger.recorded, events))
            .or_else(|| {
                let (found, expected) = (self.hash, log.hash);
                (found != expected).then(|| format!("the running hash: {found} instead of {expected}"))
            })
            .or_else(|| {
                let (missing, queued) = (ledger.missing(), self.queued);
                let agrees = missing == i128::from(queued);
                (!agrees)
                    .then(|| format!("the ledger counts {missing} events in flight; {queued} are queued"))
            })
            .or_else(|| {
                let state = moment.state.as_ref().filter(|state| moment.is_at(state) && is_queued_again)?;
                differs("accepted events in the ledger", ledger.accepted, state.folder.ledger.accepted)
            })
    }
}

/// The number of events up to the moment, if the backup states that number.
fn expected_events(moment: &Moment) -> Option<u64> {
    let newest = &moment.newest;
    match &moment.state {
        _ if moment.is_at(newest) => Some(newest.events()),
        Some(state) if moment.is_at(state) => Some(state.events()),
        _ => None,
    }
}
