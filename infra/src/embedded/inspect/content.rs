//! Reads the content of a store through a mirror, with the code that a start uses. The parent module calls [`read`].

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use domain::Timestamp;

use super::{ContentSummary, mirror};
use crate::embedded::queue;
use crate::embedded::queue::index::QueueIndex;
use crate::embedded::store::feed::decode::FeedRow;
use crate::embedded::store::feed::{FIRST_SCRATCH_KEY, FeedEnd};
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::{self, Keyspaces, NAMES};
use crate::embedded::store::open_error::OpenError;
use crate::embedded::store::opening::{Opening, stored_chain, stored_counters};

pub(super) struct StoreContent {
    pub(super) summary: ContentSummary,
    /// The approximate number of rows of each keyspace, by name.
    pub(super) about_rows: HashMap<&'static str, u64>,
    /// The data that a start would continue to fill, if an earlier start was interrupted.
    pub(super) unfinished: Option<&'static str>,
}

/// Reads the store of the folder at `path`. Returns the error with which a start would fail.
pub(super) fn read(path: &Path) -> Result<StoreContent, OpenError> {
    let mirror = mirror::mirror(path).map_err(|error| OpenError::io(path, error))?;
    // The error names the folder, because a start would find the mirror's flaws in the folder too.
    read_mirror(mirror.path()).map_err(|error| error.of_folder(path))
}

fn read_mirror(path: &Path) -> Result<StoreContent, OpenError> {
    let mut opening = Opening::begin(path)?;
    // The index is only needed to read the messages, so its settings do not matter.
    let mut index = QueueIndex::new(Duration::ZERO, u32::MAX);
    let queued = queue::restore(&opening.keys, &mut opening.stage, &mut index);
    queued.map_err(|error| opening.damaged(&error))?;
    let queued = index.depth() as u64;
    opening.check_totals(queued)?;
    summarize(&opening.keys, queued).map_err(|error| opening.damaged(&error))
}

fn summarize(keys: &Keyspaces, queued: u64) -> anyhow::Result<StoreContent> {
    let counters = stored_counters(keys)?;
    let (mut orders, mut events) = (0, 0);
    for row in keys.log.iter() {
        let key = row.key()?;
        events += 1;
        orders += u64::from(keys::split_log_key(&key).is_some_and(|(_, version)| version == 1));
    }
    let end = FeedEnd::stored(keys)?;
    let oldest = match keys.feed.range(..FIRST_SCRATCH_KEY.to_vec()).next() {
        Some(row) => {
            let (key, value) = row.into_inner()?;
            FeedRow::decode(&key, &value).ok().map(|row| row.time)
        }
        None => None,
    };
    let folder_name = keys.meta.get(keyspaces::FOLDER)?;
    let summary = ContentSummary {
        folder_name: folder_name.map(|name| String::from_utf8_lossy(&name).into_owned()),
        commit: stored_chain(keys)?.commit,
        ledger: counters.ledger,
        orders,
        events,
        queued,
        dead_letters: counters.letters,
        position: end.position,
        oldest_event: oldest.and_then(Timestamp::from_micros),
        newest_event: oldest.and_then(|_| Timestamp::from_micros(end.time)),
    };
    let unfinished = match () {
        () if keys.meta.contains_key(keyspaces::BACKFILL)? => Some("the indexes"),
        () if keys.meta.contains_key(keyspaces::FEED_BACKFILL)? => Some("the feed"),
        () => None,
    };
    let rows = NAMES.into_iter().zip(keys.all());
    let about_rows = rows.map(|(name, keyspace)| (name, keyspace.approximate_len() as u64)).collect();
    Ok(StoreContent { summary, about_rows, unfinished })
}
