//! The store on disk: the data folder, fjall's database in it, and the threads that write and sync. Every other module
//! of the engine holds the [`Store`]. Code outside of this module does not depend on fjall's layout, and only
//! [`layout`] reads fjall's private file formats.
//!
//! - Opening: [`folder`] locks the data folder. [`continuity`] compares its journals with the [`extent`] and the commit
//!   [`chain`] before [`database`] lets fjall open them. [`opening`] makes the first commit, and [`backfill`] fills the
//!   indexes of an older folder. [`recover`] makes a refused folder usable again.
//! - Writing: [`writer`] queues jobs, which fill a [`stage`]. [`commit`] writes the stage, and [`sync`] syncs the
//!   [`journal_file`]. [`pace`] joins jobs under load, and [`reclaim`] frees full journals.
//! - The feed: the committer gives each recorded event a position, which it writes with [`feed`].
//! - Reading: queries read [`views`], and long reads wait for their [`read_turns`]. [`changes`] records which commit last
//!   changed an order, for the reader's cache. [`keyspaces`] lists what is stored.

pub(crate) mod backfill;
pub(crate) mod chain;
pub(crate) mod changes;
pub(crate) mod commit;
pub(crate) mod continuity;
pub(crate) mod counters;
pub(crate) mod database;
pub(crate) mod extent;
pub(crate) mod feed;
pub(crate) mod folder;
pub(crate) mod folder_state;
pub(crate) mod index_keys;
pub(crate) mod indexes;
pub(crate) mod journal_file;
pub(crate) mod keys;
pub(crate) mod keyspaces;
pub(crate) mod layout;
pub(crate) mod open_error;
pub(crate) mod opening;
pub(crate) mod pace;
pub(crate) mod read_turns;
pub(crate) mod reclaim;
pub(crate) mod records;
pub mod recover;
pub(crate) mod stage;
pub(crate) mod sync;
pub(crate) mod views;
pub(crate) mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use changes::OrderChanges;
use counters::{Counters, LatestTotals};
use feed::waiters::FeedWaiters;
use keyspaces::Keyspaces;
use read_turns::ReadTurns;
use views::{LatestCommit, SyncedView, View};
use writer::WriterHandle;

/// An open store. All modules of the engine share it.
pub(crate) struct Store {
    // The keyspaces are declared before the writer's handle, so that they are dropped first. Dropping the last handle
    // ends the threads and releases the folder.
    pub(crate) keys: Keyspaces,
    totals: LatestTotals,
    synced: Arc<SyncedView>,
    pub(crate) changes: Arc<OrderChanges>,
    pub(crate) read_turns: ReadTurns,
    pub(crate) feed_waiters: Arc<FeedWaiters>,
    folder_name: Arc<str>,
    pub(crate) path: PathBuf,
    pub(crate) writer: WriterHandle,
}

impl Store {
    /// The counters as of the latest commit, even if that commit is not synced yet.
    pub(crate) fn counters(&self) -> Counters {
        self.totals.get().counters
    }

    /// The latest commit, even if it is not synced yet. Used on the writing thread, and for decisions that the writing
    /// thread verifies later.
    pub(crate) fn latest(&self) -> LatestCommit {
        LatestCommit { dead_letters: self.counters().letters }
    }

    /// The latest synced commit. Used for queries.
    pub(crate) fn view(&self) -> Arc<View> {
        self.synced.view()
    }

    /// The name of the data folder, which is part of the ids of messages.
    pub(crate) fn folder_name(&self) -> &str {
        &self.folder_name
    }

    /// The id of the message with the sequence number `seq`. The id contains the folder's name, so that it differs from
    /// the ids of dead letters that are imported from other folders.
    pub(crate) fn message_id(&self, seq: u64) -> String {
        format!("{seq}-{}", self.folder_name)
    }
}
