//! What an engine starts from: reads the store that was opened, checks it against its ledger, and makes the first commit.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fjall::{AbstractTree, PersistMode};
use uuid::Uuid;

use super::chain::{Chain, LastWrites, Link};
use super::extent::{Extent, ExtentFile};
use super::folder::DataFolder;
use super::keys::{self, FirstReceives, Keyspaces, MessageHeader, Numbered, Receives, StoredMessage};
use super::open_error::OpenError;
use super::stage::Stage;
use super::sync;
use super::writer::{self, Books, Totals};
use crate::embedded::Options;
use crate::embedded::queue::index::QueueIndex;
use crate::now;

/// A store, and what is kept of it in memory.
pub(crate) struct Opened {
    pub(crate) keys: Keyspaces,
    pub(crate) index: QueueIndex,
    pub(crate) totals: Totals,
    pub(crate) chain: Chain,
    pub(crate) name: Arc<str>,
    pub(crate) extent: ExtentFile,
}

/// Opens the store of the folder at `path`. Nothing is written before it is found to be whole.
pub(crate) fn open(folder: &DataFolder, path: &Path, options: &Options) -> Result<Opened, OpenError> {
    let damaged = |error: anyhow::Error| OpenError::damaged(path, format!("{error:#}"));
    let (keys, promised) = folder.open_store()?;
    let mut index = QueueIndex::new(options.visibility_timeout, options.max_receives);
    let books = stored_books(&keys).map_err(damaged)?;
    let mut stage = Stage::new(&keys.db, Totals { books, queued: 0 });
    let received = stored_receives(&keys, &mut stage).map_err(damaged)?;
    restore(&keys, &received, &mut index).map_err(damaged)?;
    stage.queued = index.depth() as u64;
    let totals = Totals { books, queued: stage.queued };
    if let Some(promised) = &promised {
        check_balance(&totals).map_err(damaged)?;
        report_clock(promised);
    }
    let name = stored_name(&keys, &mut stage).map_err(damaged)?;
    let mut chain = stored_chain(&keys).map_err(damaged)?;
    let extent = first_commit(folder, &keys, &mut chain, totals, stage);
    let extent = extent.map_err(|error| OpenError::io(path, error))?;
    Ok(Opened { keys, index, totals, chain, name, extent })
}

/// Commits what opening the store changes, and records that everything in it is on the disk.
fn first_commit(
    folder: &DataFolder,
    keys: &Keyspaces,
    chain: &mut Chain,
    totals: Totals,
    stage: Stage,
) -> std::io::Result<ExtentFile> {
    let io = |error: fjall::Error| std::io::Error::other(error.to_string());
    if stage.bytes() > 0 || chain.commit == 0 {
        let shared = Mutex::new(totals);
        writer::commit(keys, &shared, chain, totals, stage).map_err(io)?;
    }
    // What a process that was killed had written may be in memory only.
    keys.db.persist(PersistMode::SyncAll).map_err(io)?;
    let Books { ledger, .. } = totals.books;
    folder.complete(&Extent {
        commit: chain.commit,
        journal: sync::newest(&folder.store())?,
        at: now().micros(),
        accepted: ledger.accepted,
        recorded: ledger.recorded,
        last: chain.last,
    })
}

/// What was accepted and has come to no end is on the queue. If less is there, messages are missing.
fn check_balance(totals: &Totals) -> anyhow::Result<()> {
    let (in_flight, queued) = (totals.books.ledger.missing(), i128::from(totals.queued));
    ensure!(
        in_flight <= queued,
        "store: by its ledger {in_flight} accepted events are on the queue, and it holds {queued}: a table of the queue is \
         missing or out of date"
    );
    Ok(())
}

/// Times of events follow the clock, so whoever looks after it should know that it was set back.
fn report_clock(promised: &Extent) {
    let behind = promised.at.saturating_sub(now().micros());
    if behind > 1_000_000 {
        let seconds = behind / 1_000_000;
        tracing::warn!(
            seconds,
            "the clock is behind the time of the last write to the data folder: it was set back"
        );
    }
}

/// Reads the stored queue into `index`. A message that was in flight is visible again: whoever held it is gone.
fn restore(
    keys: &Keyspaces,
    received: &HashMap<u64, Receives>,
    index: &mut QueueIndex,
) -> anyhow::Result<()> {
    let (now, now_micros) = (Instant::now(), now().micros());
    for row in keys.queue.iter() {
        let (key, value) = row.into_inner()?;
        let seq = keys::seq_of(&key)?;
        let message = StoredMessage::decode(&value)?;
        let receives = received.get(&seq).copied();
        let visible_at = now + delay_left(&message.header, now_micros);
        index.restore(seq, &message.header.group, message.header.dedup, visible_at, receives);
    }
    if let Some(next) = keys.meta.get(keys::NEXT_SEQ)? {
        index.advance_to(keys::seq_of(&next)?);
    }
    Ok(())
}

/// How long the message stays invisible. It was sent with a delay, and where the clock was set back meanwhile, no more than
/// that is left of it.
fn delay_left(header: &MessageHeader, now_micros: i64) -> Duration {
    let sent_with = header.visible_at.saturating_sub(header.enqueued_at);
    let left = header.visible_at.saturating_sub(now_micros).min(sent_with);
    Duration::from_micros(u64::try_from(left).unwrap_or(0))
}

/// How often each message was received. Rows that count many together are replaced, in the commit that opens the store, by
/// one for each of those that are still there: the numbers of deliveries begin anew.
fn stored_receives(keys: &Keyspaces, stage: &mut Stage) -> anyhow::Result<HashMap<u64, Receives>> {
    let mut received = HashMap::new();
    for row in keys.receives.iter() {
        let (key, value) = row.into_inner()?;
        received.insert(keys::seq_of(&key)?, Receives::decode(&value)?);
    }
    for row in keys.first_receives.iter() {
        let (key, value) = row.into_inner()?;
        let FirstReceives { at: first, seqs } = FirstReceives::decode(&value)?;
        for seq in seqs {
            if !received.contains_key(&seq) && keys.queue.contains_key(seq.to_be_bytes())? {
                let once = Receives { count: 1, first };
                stage.put(&keys.receives, seq.to_be_bytes(), once.encode());
                received.insert(seq, once);
            }
        }
        stage.remove(&keys.first_receives, key);
    }
    Ok(received)
}

/// The folder's name, which it gets in the commit that opens it first.
fn stored_name(keys: &Keyspaces, stage: &mut Stage) -> anyhow::Result<Arc<str>> {
    if let Some(name) = keys.meta.get(keys::FOLDER)? {
        return Ok(std::str::from_utf8(&name).context("the name of the folder")?.into());
    }
    // The last digits of it are random.
    let name = &Uuid::now_v7().simple().to_string()[24..];
    stage.put(&keys.meta, keys::FOLDER, name);
    Ok(name.into())
}

/// The latest commit; before the first one that is numbered, what was written until then.
pub(crate) fn stored_chain(keys: &Keyspaces) -> anyhow::Result<Chain> {
    let latest = |keyspace: &Numbered| keyspace.tree.get_highest_seqno().unwrap_or(0);
    Ok(match keys.meta.get(Link::KEY)? {
        // Every commit has such a row, so the latest write is this one.
        Some(row) => Chain::after(&Link::decode(&row)?, latest(&keys.meta)),
        None => Chain { commit: 0, last: LastWrites([&keys.log, &keys.receipts, &keys.meta].map(latest)) },
    })
}

pub(crate) fn stored_books(keys: &Keyspaces) -> anyhow::Result<Books> {
    let row = keys.meta.get(keys::LEDGER)?;
    Ok(row.map(|row| serde_json::from_slice(&row)).transpose().context("the ledger")?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_clock_that_was_set_back_makes_no_delay_longer() {
        const SECOND: i64 = 1_000_000;
        let sent = 1_000_000 * SECOND;
        let header = |delay: i64| MessageHeader {
            group: "g".to_owned(),
            dedup: Uuid::nil(),
            enqueued_at: sent,
            visible_at: sent + delay * SECOND,
            attributes: BTreeMap::new(),
        };
        let left = |delay, now: i64| delay_left(&header(delay), sent + now * SECOND).as_secs();
        assert_eq!((left(60, 0), left(60, 20), left(60, 100)), (60, 40, 0));
        let two_days_back = -2 * 86_400;
        assert_eq!((left(60, two_days_back), left(0, two_days_back)), (60, 0));
    }
}
