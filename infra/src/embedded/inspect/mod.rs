//! Describes a data folder without changing anything in it. `orders inspect` calls [`inspect`].
//!
//! The files of the folder are read directly ([`files`]). The content of the store is read through a [`mirror`],
//! because fjall would change a store that it opens. While a service uses the folder, only the files are read. A mirror
//! cannot be made, because the service may remove files of the store at the same time.

mod content;
mod files;
mod mirror;

use std::path::Path;

use domain::{Ledger, Timestamp};
use serde::Serialize;

use super::store::folder::{DataFolder, FolderUse};
use super::store::open_error::OpenError;

/// What a data folder contains.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The text of the file `FORMAT`, or `None` if there is no such file.
    pub format: Option<String>,
    /// Whether a process uses the folder.
    pub in_use: bool,
    /// The commits that are known to be on the disk, or `None` if no extent can be read.
    pub synced: Option<SyncedExtent>,
    /// The journals, oldest first.
    pub journals: Vec<JournalSummary>,
    /// The keyspaces, by number.
    pub keyspaces: Vec<KeyspaceSummary>,
    /// The content of the store. `None` if a process uses the folder, or if the store cannot be opened.
    pub content: Option<ContentSummary>,
    /// What the next start of a service would do.
    pub next_start: NextStart,
}

/// Describes how far the journals are known to be on the disk.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SyncedExtent {
    /// The number of the latest commit.
    pub commit: u64,
    /// The number of the journal that contains the commit.
    pub journal: u64,
    /// When the commit was synced.
    pub at: Option<Timestamp>,
    /// The number of accepted events, as of the commit.
    pub accepted: u64,
    /// The number of recorded events, as of the commit.
    pub recorded: u64,
}

/// The size and the commits of a journal.
#[derive(Debug, Clone, Serialize)]
pub struct JournalSummary {
    /// The name of the file in the folder `store`.
    pub name: String,
    /// The space that the file takes on the disk.
    pub allocated_bytes: u64,
    /// The size of the readable commits.
    pub used_bytes: u64,
    /// The number of readable commits.
    pub commits: u64,
    /// The number of the latest readable commit, if the commits have numbers.
    pub latest_commit: Option<u64>,
}

/// The size of a keyspace.
#[derive(Debug, Clone, Serialize)]
pub struct KeyspaceSummary {
    /// The name of the keyspace.
    pub name: &'static str,
    /// The number of tables of the keyspace. Rows that are only in journals are not in a table yet.
    pub tables: u64,
    /// The size of the tables.
    pub table_bytes: u64,
    /// The approximate number of rows, if the store was opened.
    pub about_rows: Option<u64>,
}

/// The content of a store.
#[derive(Debug, Clone, Serialize)]
pub struct ContentSummary {
    /// The name of the data folder, which is part of the ids of messages.
    pub folder_name: Option<String>,
    /// The number of the latest commit.
    pub commit: u64,
    /// The ledger.
    pub ledger: Ledger,
    /// The number of orders in the log.
    pub orders: u64,
    /// The number of events in the log.
    pub events: u64,
    /// The number of messages on the queue.
    pub queued: u64,
    /// The number of dead letters that are parked or being redriven.
    pub dead_letters: u64,
    /// The latest position of the feed.
    pub position: u64,
    /// When the first event of the feed was recorded.
    pub oldest_event: Option<Timestamp>,
    /// When the latest event of the feed was recorded.
    pub newest_event: Option<Timestamp>,
}

impl ContentSummary {
    /// Whether the ledger agrees with the log and the queue.
    ///
    /// An event is counted as recorded when its message is acknowledged, shortly after the event is in the log. Until
    /// the acknowledgement, the message is on the queue.
    pub fn agrees(&self) -> bool {
        let recorded = self.ledger.recorded;
        (recorded..=recorded.saturating_add(self.queued)).contains(&self.events)
            && self.ledger.missing() == i128::from(self.queued)
    }
}

/// What the next start of a service would do with the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum NextStart {
    /// The start would use the folder as it is.
    Open,
    /// The start would create a store, because the folder is empty or a first start was interrupted.
    Create,
    /// The start would convert the folder to the current format.
    Upgrade,
    /// The start would first continue to fill the indexes or the feed.
    Continue {
        /// The data that is not complete.
        fill: &'static str,
    },
    /// The start would fail.
    Refuse {
        /// The error of the start.
        reason: String,
    },
}

/// Describes the folder at `path`. Fails if the folder cannot be read, or is not a data folder.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let (folder, usage) = DataFolder::examine(path)?;
    let in_use = usage == FolderUse::InUse;
    let mut found = files::read(path, &folder)?;
    if in_use {
        let reason = OpenError::InUse(path.to_owned()).to_string();
        return Ok(Inspection { in_use, next_start: NextStart::Refuse { reason }, ..found });
    }
    if folder.is_new() {
        return Ok(found);
    }
    let content = folder.check().and_then(|_| content::read(path));
    match content {
        Ok(read) => {
            for keyspace in &mut found.keyspaces {
                keyspace.about_rows = read.about_rows.get(keyspace.name).copied();
            }
            found.next_start = match read.unfinished {
                _ if folder.is_upgrade() => NextStart::Upgrade,
                Some(fill) => NextStart::Continue { fill },
                None => NextStart::Open,
            };
            found.content = Some(read.summary);
        }
        Err(error) => found.next_start = NextStart::Refuse { reason: error.to_string() },
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
