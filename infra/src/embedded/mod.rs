//! Queue and store in one data folder: durable, crash-safe, one process.
//!
//! The path of one event: [`publisher`] hands it to the [`writer`], the one thread that writes, which commits what
//! many requests want in one batch, at its [`pace`], for which [`sync`] has one fsync; only then is it visible in the
//! [`queue`], the in-memory order of what is stored. [`inbox`] takes it from there, and [`log`] appends it. An event that
//! nothing waits before need not go that way: it is appended [`inline`], in the commit that accepts it. [`reader`] answers
//! queries. Journals that are full are [`retired`].
//!
//! What a crash leaves behind:
//!
//! - What is accepted, on the queue or inline, is synced before that is acknowledged, and so are appends and acks before
//!   their effects are shown: readers see a [`view`] of what is on the disk. Receive counts are not synced; they go to the
//!   same journal, in order, so a power cut can only cut off a suffix of it. An ack never survives without the append
//!   before it, and an event whose append was cut off is still on the queue and is recorded again, the same way.
//! - How far the journal is on the disk is kept in a file of its own, the [`extent`], and commits are numbered in a
//!   [`chain`]. Before fjall opens the store, [`continuity`] compares the two with what is there: what was acknowledged and
//!   is missing is an error, and the folder is left as it is.
//! - `kill -9` loses nothing at all that was written, for the operating system holds it.
//! - A write that fails (disk full, broken disk) stops the engine for good ([`Embedded::failed`]): nothing that
//!   follows could be trusted. The process ends; the next start recovers from the journal. What a sync failed to write was
//!   not acknowledged, but the system may show it to that start as written: the start writes it once more.
//!
//! What cannot be processed goes to [`letters`], and from there, by way of [`operate`], back to the queue; those of
//! elsewhere come by [`import`]. [`numbers`] counts what became of everything, and [`alerts`] notifies whoever looks after
//! it. [`recover`] makes a folder usable again that was refused.
//!
//! [`folder`] guards the folder itself, and [`maintenance`] exports and rebuilds.

mod dead_letters;
mod inbox;
mod log;
pub mod maintenance;
mod publish;
mod queue;
mod reader;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Currency;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

pub use dead_letters::alerts;
pub use dead_letters::import::{Imported, Incoming};
pub use publish::{NewMessage, SendError};
pub use store::open_error::OpenError;
pub use store::recover;

use log::waiters::Waiters;
use queue::index::QueueIndex;
use reader::past::Turns;
use store::folder::DataFolder;
use store::keys::Keyspaces;
use store::opening::{self, Opened};
use store::sync::Disk;
use store::views::{Latest, Synced, View};
use store::writer::{Books, SharedTotals, Writer};

/// How an embedded engine behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The currency of article orders, which state none.
    pub default_currency: Currency,
    /// How long a received message stays in flight before it becomes visible again.
    pub visibility_timeout: Duration,
    /// How often a message is received before it goes to the dead letters.
    pub max_receives: u32,
    /// How long a new message waits before it becomes visible.
    pub delay: Duration,
    /// Free bytes on the data folder's disk below which no new event is accepted. What is accepted already is still
    /// processed: that is what the reserve is for.
    pub min_free_bytes: u64,
    /// Whether an event that nothing waits before is recorded in the commit that accepts it. Otherwise, and whatever else
    /// comes, goes by way of the queue, for a consumer.
    pub inline: bool,
    /// Messages on the queue at which no new event is accepted: it bounds the memory that the queue's index takes.
    pub max_queue_depth: usize,
}

impl Options {
    /// The defaults, with the currency for article orders.
    pub fn new(default_currency: Currency) -> Self {
        Self {
            default_currency,
            visibility_timeout: Duration::from_secs(30),
            max_receives: 5,
            delay: Duration::ZERO,
            min_free_bytes: 256 << 20,
            inline: false,
            max_queue_depth: 2_000_000,
        }
    }
}

/// The engine. Cheap to clone; the folder is released when the last clone is dropped.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    // Dropped first: it finishes what was handed to it, and joins its thread.
    writer: Writer,
    keys: Keyspaces,
    queue: Arc<SharedQueue>,
    totals: SharedTotals,
    /// What readers see.
    synced: Arc<Synced>,
    /// Whose turn it is to change dead letters.
    letters: Arc<AsyncMutex<()>>,
    turns: Turns,
    /// Rings when a letter is put aside of which nobody was told.
    alarm: Arc<Notify>,
    waiters: Waiters,
    options: Options,
    /// What tells this folder from others.
    name: Arc<str>,
    path: PathBuf,
    // Dropped last: it holds the folder's lock.
    _folder: DataFolder,
}

/// The queue's in-memory order, and the bell that wakes waiting receivers.
struct SharedQueue {
    index: Mutex<QueueIndex>,
    bell: Notify,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, QueueIndex> {
        // A panic while the lock is held is a bug; going on with a torn index would make it lose messages.
        self.index.lock().expect("the queue index is intact")
    }
}

impl Embedded {
    /// Opens the data folder at `path`, creating it if it does not exist or is empty.
    ///
    /// This reads the whole queue and blocks meanwhile: seconds for a million waiting messages.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let folder = DataFolder::claim(path)?;
        let Opened { keys, index, totals, chain, name, extent } = opening::open(&folder, path, &options)?;
        let synced = Arc::new(Synced::new(View::new(keys.db.snapshot(), totals)));
        let queue = Arc::new(SharedQueue { index: Mutex::new(index), bell: Notify::new() });
        let totals = Arc::new(Mutex::new(totals));
        let disk = Disk::new(&folder.store(), extent, Arc::clone(&synced));
        let writer = disk.and_then(|disk| Writer::start(keys.clone(), Arc::clone(&totals), chain, disk));
        let writer = writer.map_err(|source| OpenError::io(path, source))?;
        Ok(Self(Arc::new(Inner {
            writer,
            keys,
            queue,
            totals,
            synced,
            letters: Arc::default(),
            turns: Turns::default(),
            alarm: Arc::default(),
            waiters: Waiters::default(),
            options,
            name,
            path: path.to_owned(),
            _folder: folder,
        })))
    }

    /// Whether the data folder was empty before.
    pub fn is_new(&self) -> bool {
        self.0._folder.is_new()
    }

    /// Messages on the queue: visible, delayed and in flight.
    pub fn queue_depth(&self) -> usize {
        self.0.queue.lock().depth()
    }

    /// Dead letters that are parked, or on their way back.
    pub fn dead_letter_count(&self) -> u64 {
        self.books().letters
    }

    /// The id of a message. It is no other folder's, whose dead letters may be brought here.
    fn message_id(&self, seq: u64) -> String {
        format!("{seq}-{}", self.0.name)
    }

    fn books(&self) -> Books {
        self.0.totals.lock().unwrap_or_else(PoisonError::into_inner).books
    }

    /// Everything that is committed, synced or not: for the writer and for whoever judges events for it.
    fn latest(&self) -> Latest {
        Latest { letters: self.books().letters }
    }

    /// What is on the disk: for whoever answers a query.
    fn view(&self) -> Arc<View> {
        self.0.synced.view()
    }

    /// Becomes `Some` with the reason once a write has failed; nothing can be written any more then.
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.0.writer.failed()
    }
}
