//! The one thread that writes. It takes whatever jobs wait, commits them as one atomic batch, with one fsync if any
//! of them asks for it, and then tells each how it went: group commit.
//!
//! A job runs on this thread, so what it reads of the store does not change under it but through earlier jobs of the
//! same batch; those it sees through [`Stage::has_staged`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use domain::Ledger;
use fjall::{Database, Keyspace, PersistMode};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::keys;

/// At most this many jobs, and about this many bytes, in one commit.
const MAX_JOBS: usize = 1024;
const MAX_BYTES: usize = 8 << 20;
/// How long to wait for more jobs before a commit, once they come several at a time: a fsync costs more than that.
const LINGER: Duration = Duration::from_micros(300);
/// Jobs that may wait before those who hand them in have to.
const WAITING_JOBS: usize = 4096;

type Failure = Option<Arc<str>>;
type Completion = Box<dyn FnOnce(&Failure) + Send>;
type Job = Box<dyn FnOnce(&mut Stage) -> Completion + Send>;

/// What a commit must have reached before its job is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The operating system: survives `kill -9`.
    Written,
    /// The disk: survives a power cut.
    Synced,
}

/// The ledger, with what is counted beside it. It is written in the same commits as what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Books {
    #[serde(flatten)]
    pub(super) ledger: Ledger,
    /// Dead letters that are parked or on their way back.
    pub(super) letters: u64,
}

/// The books as of the latest commit.
pub(super) type SharedBooks = Arc<Mutex<Books>>;

/// What the jobs of one commit want written.
#[derive(Default)]
pub(super) struct Stage {
    /// The books after the commit.
    pub(super) books: Books,
    operations: Vec<(Keyspace, Vec<u8>, Option<Vec<u8>>)>,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    staged: HashSet<Vec<u8>>,
    bytes: usize,
    sync: bool,
}

impl Stage {
    /// Writes a value.
    pub(super) fn put(&mut self, keyspace: &Keyspace, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.operations.push((keyspace.clone(), key, Some(value)));
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, keyspace: &Keyspace, key: Vec<u8>) {
        self.bytes += key.len();
        self.operations.push((keyspace.clone(), key, None));
    }

    /// Runs once the commit has succeeded, before anybody is told of it, even if nobody waits any more.
    pub(super) fn after_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(effect));
    }

    /// Notes that this commit takes `key`, for later jobs of the same commit.
    pub(super) fn claim(&mut self, key: Vec<u8>) {
        self.staged.insert(key);
    }

    /// Whether an earlier job of this commit has claimed `key`.
    pub(super) fn has_staged(&self, key: &[u8]) -> bool {
        self.staged.contains(key)
    }
}

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    failed: watch::Receiver<Failure>,
}

/// Where the commits go.
struct Store {
    db: Database,
    meta: Keyspace,
    books: SharedBooks,
}

impl Writer {
    /// Starts the thread, which keeps `books` in `meta`.
    pub(super) fn start(db: Database, meta: Keyspace, books: SharedBooks) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
        let (failed_sender, failed) = watch::channel(None);
        let thread = thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || run(&Store { db, meta, books }, waiting, &failed_sender))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), failed })
    }

    pub(super) fn failed(&self) -> watch::Receiver<Failure> {
        self.failed.clone()
    }

    /// Runs `job` on the writing thread and answers once what it staged is committed. If `job` fails, nothing of it
    /// may be staged. If the caller stops waiting, the job is carried out all the same.
    pub(super) async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |stage| {
            let result = job(stage);
            stage.sync |= durability == Durability::Synced;
            Box::new(move |failure| {
                let result = match failure {
                    Some(reason) => Err(anyhow!("the data folder cannot be written: {reason}")),
                    None => result,
                };
                // Nobody may be waiting any more; the work is done all the same.
                let _ = reply.send(result);
            })
        });
        let jobs = self.jobs.as_ref().context("the writer has stopped")?;
        jobs.send(job).await.map_err(|_| anyhow!("the writer has stopped"))?;
        answer.await.context("the writer has stopped")?
    }
}

impl Writer {
    /// Runs `look` on the writing thread when everything that was committed has taken its effect, and nothing else is
    /// under way: so what it sees belongs together.
    pub(super) async fn at_rest<R: Send + 'static>(
        &self,
        look: impl FnOnce() -> R + Send + 'static,
    ) -> anyhow::Result<R> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |_| {
            Box::new(move |_| {
                // Nobody may be waiting any more.
                let _ = reply.send(look());
            })
        });
        let jobs = self.jobs.as_ref().context("the writer has stopped")?;
        jobs.send(job).await.map_err(|_| anyhow!("the writer has stopped"))?;
        answer.await.context("the writer has stopped")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, mut waiting: mpsc::Receiver<Job>, failed: &watch::Sender<Failure>) {
    let mut busy = false;
    while let Some(first) = waiting.blocking_recv() {
        if busy {
            thread::sleep(LINGER);
        }
        let before = *store.books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stage = Stage { books: before, ..Stage::default() };
        let mut completions = vec![first(&mut stage)];
        while completions.len() < MAX_JOBS && stage.bytes < MAX_BYTES {
            let Ok(job) = waiting.try_recv() else { break };
            completions.push(job(&mut stage));
        }
        busy = completions.len() > 1;
        if failed.borrow().is_none() {
            match commit(store, before, stage) {
                Ok(effects) => effects.into_iter().for_each(|effect| effect()),
                Err(error) => {
                    failed.send_replace(Some(describe(&error).into()));
                }
            }
        }
        let failure = failed.borrow().clone();
        completions.into_iter().for_each(|complete| complete(&failure));
    }
}

fn commit(store: &Store, before: Books, mut stage: Stage) -> fjall::Result<Vec<Box<dyn FnOnce() + Send>>> {
    let books = stage.books;
    if books != before {
        let row = serde_json::to_vec(&books).expect("numbers always serialize");
        stage.put(&store.meta, keys::LEDGER.to_vec(), row);
    }
    let mode = if stage.sync { PersistMode::SyncData } else { PersistMode::Buffer };
    let mut batch = store.db.batch().durability(Some(mode));
    for (keyspace, key, value) in stage.operations {
        match value {
            Some(value) => batch.insert(&keyspace, key, value),
            None => batch.remove(&keyspace, key),
        }
    }
    batch.commit()?;
    *store.books.lock().unwrap_or_else(PoisonError::into_inner) = books;
    Ok(stage.after_commit)
}

/// The engine's error as operators know it: the operating system's words where there are some.
fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(source) => source.to_string(),
        fjall::Error::Poisoned => "an earlier write of the store failed; the log above says how".to_owned(),
        other => other.to_string(),
    }
}
