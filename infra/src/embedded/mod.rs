//! The embedded engine: a durable, crash-safe queue and store in one data folder, for one process.
//!
//! [`Embedded`] creates the modules of the engine and implements the ports with them ([`ports`]). Each module owns its
//! state and calls only modules above it in this table:
//!
//! | module | owns |
//! |---|---|
//! | [`store`] | the data folder, fjall's database, the threads that write and sync |
//! | [`queue`] | the order of the queued messages, in memory |
//! | [`log`] | the order log, with the requests that wait for outcomes |
//! | [`dead_letters`] | the parked sequences, and pending alerts |
//! | [`reader`] | the queries |
//! | [`feed`] | the recorded events of all orders, in the order of their positions |
//! | [`export`] | the export of all log entries |
//! | [`webhooks`] | the webhook subscriptions and the state of their deliveries |
//! | [`due`] | the list of orders that may be past their deadline |
//! | [`inbox`] | the deliveries to the consumer |
//! | [`publish`] | the acceptance of events, inline or queued |
//! | [`backup`] | the reading of everything that a backup contains |
//! | [`maintenance`] | work on a folder that no service is using |
//! | [`restore`] | the restore of a folder from a backup |
//! | [`inspect`] | descriptions of a folder, without changing it |
//!
//! An event takes one of two paths. [`publish`] judges the event. If no event of its order is queued, the commit that
//! accepts the event also records it. Otherwise the commit puts the event on the [`queue`]. The [`inbox`] delivers
//! queued events to the consumer, which appends them to the [`log`] and acknowledges them. On both paths, [`store`]
//! commits the work of many callers in one batch with one sync. Each caller gets its answer after the sync.
//!
//! What a crash leaves:
//!
//! - Accepted events, log entries and acknowledgements are synced before callers get answers and before readers see
//!   them. Receive counts are not synced. All writes go to one journal, in order, and a power cut can only cut off its
//!   end. So an acknowledgement never survives without the earlier log entry. If a log entry was cut off, its event is
//!   still queued, and is recorded again with the same result.
//! - The file `EXTENT` records how far the journal is on the disk, and commits are numbered. Before fjall opens the
//!   store, the start compares the journal with `EXTENT` and the commit numbers. If an acknowledged commit is missing,
//!   the start fails and changes nothing.
//! - `kill -9` loses no completed write, because the operating system still writes the data to the disk.
//! - A write that fails (disk full, broken disk) stops the engine permanently ([`Embedded::failed`]), because no later
//!   write could be trusted. The process ends, and the next start recovers from the journal. Data whose sync failed was
//!   not acknowledged, but the next start may still read it from the operating system's cache. So the next start writes
//!   the data again.

pub mod backup;
mod dead_letters;
mod due;
mod export;
mod feed;
mod fence;
mod inbox;
pub mod inspect;
mod log;
pub mod maintenance;
mod ports;
pub mod priority;
mod publish;
mod queue;
mod reader;
pub mod restore;
mod store;
#[cfg(test)]
mod testing;
pub mod webhooks;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::{Currency, RecordedEvent};
use tokio::sync::watch;

pub use dead_letters::alerts;
pub use dead_letters::import::{Imported, Incoming};
pub use publish::{NewMessage, SendError};
pub use store::backfill::{BackfillProgress, BackfillTask};
pub use store::open_error::OpenError;
pub use store::recover;

use backup::continuous::BackupStatus;
use dead_letters::DeadLetters;
use feed::FeedReader;
use inbox::Inbox;
use log::Log;
use maintenance::{RebuildOptions, RebuildReport};
use publish::Publisher;
use queue::EmbeddedQueue;
use queue::index::QueueIndex;
use reader::Reader;
use store::Store;
use store::backfill::BackfillOptions;
use store::folder::DataFolder;
use store::opening::{OpenedStore, Opening};
use store::writer::WriterThreads;

/// How an embedded engine behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The currency of orders whose events contain no currency (schema version 0).
    pub default_currency: Currency,
    /// How long a received message stays in flight before it becomes visible again.
    pub visibility_timeout: Duration,
    /// How often a message is received before it is parked.
    pub max_receives: u32,
    /// How long a new message stays invisible.
    pub delay: Duration,
    /// The free disk space, in bytes, below which no new event is accepted. The remaining space is reserved for
    /// processing events that were accepted earlier.
    pub min_free_bytes: u64,
    /// Whether events are committed inline: the commit that accepts an event also records it, if no event of its order
    /// is queued. If `false`, every event is queued.
    pub inline: bool,
    /// The maximum number of queued messages. At this number, no new event is accepted. The limit bounds the memory of
    /// the queue's index.
    pub max_queue_depth: usize,
    /// The keys of orders' metadata by which orders can be found. `None` keeps the keys that the folder already has.
    pub searchable_metadata: Option<BTreeSet<String>>,
}

impl Options {
    /// The default options, with the given currency.
    pub fn new(default_currency: Currency) -> Self {
        Self {
            default_currency,
            visibility_timeout: Duration::from_secs(30),
            max_receives: 5,
            delay: Duration::ZERO,
            min_free_bytes: 256 << 20,
            inline: false,
            max_queue_depth: 2_000_000,
            searchable_metadata: None,
        }
    }
}

/// The engine. Cheap to clone. When the last clone is dropped, the engine finishes its writes and releases the folder.
#[derive(Clone)]
pub struct Embedded(Arc<Rooms>);

struct Rooms {
    log: Arc<Log>,
    queue: Arc<EmbeddedQueue>,
    dead_letters: Arc<DeadLetters>,
    reader: Arc<Reader>,
    feed: Arc<FeedReader>,
    inbox: Inbox,
    publisher: Arc<Publisher>,
    /// The status of the continuous backup. Empty until a continuous backup starts.
    backup: OnceLock<Arc<BackupStatus>>,
    store: Arc<Store>,
    // The threads are dropped after the modules. Dropping them waits until they end, and they end only after all
    // modules are dropped.
    _threads: WriterThreads,
    // The folder is dropped last, because it holds the lock.
    folder: DataFolder,
}

impl Embedded {
    /// Opens the data folder at `path`. Creates the folder if it does not exist or is empty.
    ///
    /// This call blocks while it reads the whole queue, which takes seconds for a million messages.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_showing(path, options, &|_| ControlFlow::Continue(()))
    }

    /// Like [`Embedded::open`]. Calls `progress` while a folder of an earlier format is upgraded, or while keys of the
    /// metadata become searchable. Both take about half a minute for a million orders. If the work is interrupted, or
    /// `progress` returns `Break`, the next start continues the work.
    #[expect(clippy::needless_pass_by_value, reason = "callers build the options only for this call")]
    pub fn open_showing(
        path: &Path,
        options: Options,
        progress: &dyn Fn(BackfillProgress) -> ControlFlow<()>,
    ) -> Result<Self, OpenError> {
        let mut opening = Opening::begin(path)?;
        let mut index = QueueIndex::new(options.visibility_timeout, options.max_receives);
        let restored = queue::restore(&opening.keys, &mut opening.stage, &mut index);
        restored.map_err(|error| opening.damaged(&error))?;
        let backfill = BackfillOptions {
            searchable: options.searchable_metadata.as_ref(),
            default_currency: options.default_currency,
            progress,
        };
        let OpenedStore { store, threads, searchable, folder } =
            opening.finish(index.depth() as u64, &backfill)?;
        let store = Arc::new(store);
        let log = Arc::new(Log::new(&store, options.default_currency, Arc::new(searchable)));
        let queue = Arc::new(EmbeddedQueue::new(&store, index, &options));
        let dead_letters = Arc::new(DeadLetters::new(&log, &queue));
        let reader = Reader::new(&log, &queue, &dead_letters);
        // If events are delayed, none of them is committed inline: a delayed event must be queued.
        let commits_inline = options.inline && options.delay.is_zero();
        let feed = FeedReader::new(&log);
        let publisher = Publisher::new(&log, &queue, &dead_letters, commits_inline);
        let inbox = Inbox::new(&queue, &dead_letters);
        Ok(Self(Arc::new(Rooms {
            log,
            queue,
            dead_letters,
            reader: Arc::new(reader),
            feed: Arc::new(feed),
            inbox,
            publisher: Arc::new(publisher),
            backup: OnceLock::new(),
            store,
            _threads: threads,
            folder,
        })))
    }

    /// Whether the data folder was empty when this process opened it.
    pub fn is_new(&self) -> bool {
        self.0.folder.is_new()
    }

    /// The name of the data folder. A restored folder has the name of its source.
    pub fn folder_name(&self) -> &str {
        self.0.store.folder_name()
    }

    /// The number of messages on the queue: visible, delayed and in flight.
    pub fn queue_depth(&self) -> usize {
        self.0.queue.depth()
    }

    /// The number of dead letters that are parked or being redriven.
    pub fn dead_letter_count(&self) -> u64 {
        self.0.store.counters().letters
    }

    /// The reason why the store can no longer be written, once a write has failed.
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.store.writer.failed()
    }

    /// Puts messages with any content on the queue, all of them or none.
    pub async fn send(&self, messages: Vec<NewMessage>) -> Result<(), SendError> {
        self.0.publisher.send(messages).await
    }

    /// Imports dead letters in the order in which they were parked. If the store already has the same dead letter in
    /// the state *parked*, the imported body repairs the stored dead letter. `progress` gets the number of dead letters
    /// processed so far.
    pub async fn import(
        &self,
        letters: Vec<Incoming>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<Imported> {
        self.0.dead_letters.import(letters, progress).await
    }

    /// The approximate number of events in the log, to show progress.
    pub fn approximate_events(&self) -> u64 {
        self.0.store.keys.log.approximate_len() as u64
    }

    /// Folds every log again and compares the result with the derived writes and the ledger. Corrects differences,
    /// unless the options ask for a check only. `progress` gets the number of events read so far.
    pub async fn rebuild(
        &self,
        options: RebuildOptions,
        progress: &(dyn Fn(u64) + Sync),
    ) -> anyhow::Result<RebuildReport> {
        let progress = |events| {
            progress(events);
            ControlFlow::Continue(())
        };
        maintenance::rebuild(&self.0.log, options, &progress).await
    }

    /// Compares like [`Embedded::rebuild`], but corrects nothing. If `progress` returns `Break`, the comparison fails.
    pub(crate) async fn compare(
        &self,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> anyhow::Result<RebuildReport> {
        let options = RebuildOptions { check_only: true, ..RebuildOptions::default() };
        maintenance::rebuild(&self.0.log, options, progress).await
    }

    /// Puts an event into the log without its derived writes, for the conformance suite. On a backend that writes
    /// events and projections separately, a crash between the two writes leaves such a log.
    #[doc(hidden)]
    pub async fn append_without_projecting(&self, event: RecordedEvent) -> anyhow::Result<()> {
        self.0.log.append_without_projecting(event).await
    }

    #[cfg(test)]
    fn store(&self) -> &Store {
        &self.0.store
    }

    fn dead_letters(&self) -> Arc<DeadLetters> {
        Arc::clone(&self.0.dead_letters)
    }
}
