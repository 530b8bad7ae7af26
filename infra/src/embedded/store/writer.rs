//! The one thread that writes. It takes whatever jobs wait, commits them as one atomic batch, and then tells each how it
//! went: group commit. Those who want their commit on the disk are told by the thread that waits for the disk ([`sync`]),
//! while this one goes on with the next commit.
//!
//! A job runs on this thread, so what it reads of the store does not change under it but through earlier jobs of the
//! same batch; those it sees through [`Stage::has_staged`]: the [`stage`] is what the jobs of a commit want written.
//!
//! [`sync`]: super::sync
//! [`stage`]: super::stage

use std::mem::take;
use std::sync::mpsc::{SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, anyhow};
use domain::Ledger;
use fjall::AbstractTree;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::chain::{Chain, Link};
use super::keys::{self, Keyspaces};
use super::pace::Pace;
use super::stage::Stage;
use super::sync::{self, Disk, Waiting};
use super::views::View;

/// At most this many jobs, and about this many bytes, in one commit.
const MAX_JOBS: usize = 1024;
const MAX_BYTES: usize = 8 << 20;
/// Jobs that may wait before those who hand them in have to.
const WAITING_JOBS: usize = 4096;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Nothing of it is written, nor will be.
    #[error("{0:#}")]
    NotWritten(anyhow::Error),
    /// The commit or its sync failed after the job was staged: the next start may find it or not.
    #[error("{0:#}; what was being written may be there after a restart, or not")]
    Unknown(anyhow::Error),
}

/// Why nothing can be written any more, if so.
pub(crate) type Failure = Option<Arc<str>>;
/// What is to be done once a commit has reached what it must, or cannot.
pub(crate) type Completion = Box<dyn FnOnce(&Failure) + Send>;

/// What is handed in to be committed.
struct Job {
    durability: Durability,
    /// The runtime of whoever waits for it.
    runtime: Option<Handle>,
    work: Box<dyn FnOnce(&mut Stage) -> Completion + Send>,
}

/// What a commit must have reached before its job is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The operating system: survives `kill -9`.
    Written,
    /// The disk: survives a power cut.
    Synced,
}

/// The ledger, with what is counted beside it. It is written in the same commits as what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Books {
    #[serde(flatten)]
    pub(crate) ledger: Ledger,
    /// Dead letters that are parked or on their way back.
    pub(crate) letters: u64,
}

/// The numbers of the store, as of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) books: Books,
    /// Messages on the queue.
    pub(crate) queued: u64,
}

/// The numbers as of the latest commit.
pub(crate) type SharedTotals = Arc<Mutex<Totals>>;

pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    /// The one that writes, and the one that waits for the disk, which ends after it.
    threads: Vec<JoinHandle<()>>,
    failed: watch::Receiver<Failure>,
    pace: Arc<Pace>,
}

/// Where the commits go.
struct Store {
    keys: Keyspaces,
    totals: SharedTotals,
    disk: Sender<Waiting>,
    failed: watch::Sender<Failure>,
}

impl Writer {
    /// Starts the threads for the store of these keyspaces, which goes on after the latest commit of `chain`. What reaches
    /// the `disk` is shown to readers.
    pub(crate) fn start(
        keys: Keyspaces,
        totals: SharedTotals,
        chain: Chain,
        disk: Disk,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
        let (failed_sender, failed) = watch::channel(None);
        let (disk, syncing) = sync::start(disk, failed_sender.clone())?;
        let store = Store { keys, totals, disk, failed: failed_sender };
        let pace = Arc::new(Pace::default());
        let paced = Arc::clone(&pace);
        let work = move || run(&store, chain, waiting, &paced);
        let writing = thread::Builder::new().name("writer".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), threads: vec![writing, syncing], failed, pace })
    }

    pub(crate) fn failed(&self) -> watch::Receiver<Failure> {
        self.failed.clone()
    }

    /// Runs `job` on the writing thread and answers once what it staged is committed. If `job` fails, nothing of it
    /// may be staged. If the caller stops waiting, the job is carried out all the same. Once a write has failed, no job is
    /// run any more.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        Ok(self.try_write(durability, job).await?)
    }

    /// Like `write`, for callers that report whether the outcome is known.
    pub(crate) async fn try_write<R: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> Result<R, WriteError> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |stage: &mut Stage| -> Completion {
            let result = match &stage.failure {
                Some(reason) => Err(unwritable(reason)),
                None => job(stage),
            };
            Box::new(move |failure| {
                let result = match (result, failure) {
                    (Err(error), _) => Err(WriteError::NotWritten(error)),
                    (Ok(_), Some(reason)) => Err(WriteError::Unknown(unwritable(reason))),
                    (Ok(result), None) => Ok(result),
                };
                // Nobody may be waiting any more; the work is done all the same.
                let _ = reply.send(result);
            })
        });
        let job = Job { durability, runtime: Handle::try_current().ok(), work };
        self.hand_in(job).await.map_err(WriteError::NotWritten)?;
        // A reply that is dropped means that the thread has panicked, and nobody knows how far it had come.
        answer.await.unwrap_or_else(|_| Err(WriteError::Unknown(anyhow!("the writer has stopped"))))
    }

    async fn hand_in(&self, job: Job) -> anyhow::Result<()> {
        let jobs = self.jobs.as_ref().context("the writer has stopped")?;
        jobs.send(job).await.map_err(|_| anyhow!("the writer has stopped"))?;
        self.pace.handed_in(jobs.max_capacity() - jobs.capacity(), self.threads[0].thread());
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        let here = thread::current().id();
        if self.threads.iter().any(|thread| thread.thread().id() == here) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn unwritable(reason: &str) -> anyhow::Error {
    anyhow!("the data folder cannot be written: {reason}")
}

fn run(store: &Store, mut chain: Chain, mut waiting: mpsc::Receiver<Job>, pace: &Pace) {
    let (mut before_it, mut latest) = (0, Instant::now());
    while let Some(first) = waiting.blocking_recv() {
        pace.rest(before_it, latest, || waiting.len());
        latest = Instant::now();
        let before = *store.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stage = Stage::new(&store.keys.db, before);
        stage.failure.clone_from(&store.failed.borrow());
        let mut written = Vec::new();
        let mut next = Some(first);
        while let Some(Job { durability, runtime, work }) = next {
            let complete = work(&mut stage);
            match durability {
                Durability::Written => written.push(complete),
                Durability::Synced => stage.waiting.replies.push((runtime, complete)),
            }
            before_it = written.len() + stage.waiting.replies.len();
            let is_full = before_it >= MAX_JOBS || stage.bytes() >= MAX_BYTES;
            next = if is_full { None } else { waiting.try_recv().ok() };
        }
        let mut for_disk = take(&mut stage.waiting);
        if store.failed.borrow().is_none() {
            match commit(&store.keys, &store.totals, &mut chain, before, stage) {
                Ok(view) => for_disk.commit = Some((chain, view)),
                Err(error) => drop(store.failed.send_replace(Some(describe(&error).into()))),
            }
        }
        tell(store, written, for_disk);
    }
}

/// Tells those who need the commit written, and leaves the others to the disk.
fn tell(store: &Store, written: Vec<Completion>, for_disk: Waiting) {
    let failure = store.failed.borrow().clone();
    written.into_iter().for_each(|complete| complete(&failure));
    if !for_disk.replies.is_empty()
        && let Err(SendError(unsent)) = store.disk.send(for_disk)
    {
        // The thread that waits for the disk is gone, which only a bug can bring about.
        let failure = failure.or_else(|| Some("the disk is not waited for any more".into()));
        store.failed.send_replace(failure.clone());
        unsent.tell(&failure);
    }
}

/// Commits what is staged as the next one of the chain, and counts it in `totals`.
pub(crate) fn commit(
    keys: &Keyspaces,
    totals: &Mutex<Totals>,
    chain: &mut Chain,
    before: Totals,
    mut stage: Stage,
) -> fjall::Result<View> {
    let after = Totals { books: stage.books, queued: stage.queued };
    if after.books != before.books {
        let row = serde_json::to_vec(&after.books).expect("numbers always serialize");
        stage.put(&keys.meta, keys::LEDGER, row);
    }
    if let Some(next) = stage.next_seq {
        stage.put(&keys.meta, keys::NEXT_SEQ, next.to_be_bytes());
    }
    stage.touched.add(keys::META);
    let link = chain.next(stage.touched);
    stage.put(&keys.meta, Link::KEY, link.encode());
    stage.commit(|| *totals.lock().unwrap_or_else(PoisonError::into_inner) = after)?;
    // Nobody else writes, so the latest write is this one.
    let seqno = keys.meta.tree.get_highest_seqno().expect("a commit was written");
    *chain = Chain::after(&link, seqno);
    Ok(View::new(keys.db.snapshot(), after))
}

/// The engine's error as operators know it: the operating system's words where there are some.
fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(source) => source.to_string(),
        fjall::Error::Poisoned => "an earlier write of the store failed; the log above says how".to_owned(),
        other => other.to_string(),
    }
}
