//! The writing thread, the only thread that writes to the store. Callers queue jobs with a [`WriterHandle`]. The thread
//! takes the queued jobs, lets them fill one [`Stage`], and commits the stage, which is a group commit. Jobs that are
//! [`Durability::Written`] get their results after the commit. Jobs that are [`Durability::Synced`] get their results
//! later from the syncing thread ([`sync`]), while the writing thread continues with the next commit.
//!
//! While a job runs, nothing else changes the store. But the writes of earlier jobs of the same commit are not in the
//! store yet. So earlier jobs claim keys, and later jobs check the claims with [`Stage::is_claimed`].
//!
//! The threads end when the last handle is dropped and every job is finished. A job's own handle is dropped together
//! with the job.

use std::mem::take;
use std::sync::Arc;
use std::sync::mpsc::{SendError, Sender};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

use anyhow::anyhow;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::commit::{Committed, Committer};
use super::feed::waiters::FeedWaiters;
use super::pace::CommitPace;
use super::stage::{Stage, if_synced};
use super::sync::{self, AwaitingSync, Completion, Disk, Failure};

/// The number of jobs, or the approximate number of bytes, at which a commit takes no further job.
const MAX_JOBS_OF_COMMIT: usize = 1024;
const MAX_COMMIT_BYTES: usize = 8 << 20;
/// The maximum number of queued jobs. At the maximum, further callers wait until the queue has space for their jobs.
const MAX_QUEUED_JOBS: usize = 4096;

/// The error of a job whose writes were not made or may not be durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// None of the job's writes were made, and none will be made.
    #[error("{0:#}")]
    NotWritten(anyhow::Error),
    /// The commit of the job or its sync failed, so it is unknown whether the job's writes exist after the next start.
    #[error("{0:#}; after a restart, the data that was being written may or may not exist")]
    Unknown(anyhow::Error),
}

struct Job {
    durability: Durability,
    /// The runtime of the caller that waits for the job.
    runtime: Option<Handle>,
    work: Box<dyn FnOnce(&mut Stage) -> Completion + Send>,
}

/// How durable a commit must be before its job gets a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The commit is written to the operating system, so it survives `kill -9`.
    Written,
    /// The commit is synced to the disk, so it survives a power cut.
    Synced,
}

/// Queues jobs for the writing thread.
pub(crate) struct WriterHandle {
    jobs: mpsc::Sender<Job>,
    pace: Arc<CommitPace>,
    thread: Thread,
    failed: watch::Receiver<Failure>,
}

/// The writing thread and the syncing thread. Dropping `WriterThreads` waits for both threads to end, so all handles
/// must be dropped first.
pub(crate) struct WriterThreads(Vec<JoinHandle<()>>);

/// The state of the writing thread.
struct Writer {
    committer: Committer,
    disk: Sender<AwaitingSync>,
    failed: watch::Sender<Failure>,
    pace: Arc<CommitPace>,
    feed_waiters: Arc<FeedWaiters>,
}

/// Starts the writing thread and the syncing thread. The syncing thread uses `disk` to sync commits and to show them to
/// readers, and wakes the readers that wait in `feed_waiters` afterwards.
pub(crate) fn start(
    committer: Committer,
    disk: Disk,
    feed_waiters: Arc<FeedWaiters>,
) -> std::io::Result<(WriterHandle, WriterThreads)> {
    let (jobs, queued) = mpsc::channel(MAX_QUEUED_JOBS);
    let (failed_sender, failed) = watch::channel(None);
    let (disk, syncing) = sync::start(disk, failed_sender.clone())?;
    let pace = Arc::new(CommitPace::default());
    let writer = Writer { committer, disk, failed: failed_sender, pace: Arc::clone(&pace), feed_waiters };
    let writing = thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run(queued))?;
    let thread = writing.thread().clone();
    Ok((WriterHandle { jobs, pace, thread, failed }, WriterThreads(vec![writing, syncing])))
}

impl WriterHandle {
    pub(crate) fn failed(&self) -> watch::Receiver<Failure> {
        self.failed.clone()
    }

    /// Runs `job` on the writing thread and returns once its writes are as durable as requested. A job that fails must
    /// not stage anything. The job runs even if the caller stops waiting. After a write has failed, no further job
    /// runs.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        Ok(self.try_write(durability, job).await?)
    }

    /// Like [`WriterHandle::write`], for callers that must report whether the outcome is known.
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
                // The caller may have stopped waiting.
                let _ = reply.send(result);
            })
        });
        self.queue(Job { durability, runtime: Handle::try_current().ok(), work }).await?;
        // The reply is dropped only if the thread has panicked. In that case it is unknown whether the writes of the
        // job were made.
        answer.await.unwrap_or_else(|_| Err(WriteError::Unknown(stopped())))
    }

    async fn queue(&self, job: Job) -> Result<(), WriteError> {
        self.jobs.send(job).await.map_err(|_| WriteError::NotWritten(stopped()))?;
        self.pace.job_queued(self.jobs.max_capacity() - self.jobs.capacity(), &self.thread);
        Ok(())
    }
}

impl Drop for WriterThreads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // `join` fails only if the thread has panicked. The panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn unwritable(reason: &str) -> anyhow::Error {
    anyhow!("the data folder cannot be written: {reason}")
}

fn stopped() -> anyhow::Error {
    anyhow!("the writer has stopped")
}

impl Writer {
    fn run(mut self, mut queued: mpsc::Receiver<Job>) {
        let (mut jobs, mut latest) = (0, Instant::now());
        while let Some(first) = queued.blocking_recv() {
            self.pace.pause(jobs, latest, || queued.len());
            latest = Instant::now();
            let mut stage = self.committer.stage();
            stage.failure.clone_from(&self.failed.borrow());
            let mut written = Vec::new();
            let mut next = Some(first);
            while let Some(Job { durability, runtime, work }) = next {
                let complete = work(&mut stage);
                match durability {
                    Durability::Written => written.push(complete),
                    Durability::Synced => stage.awaiting_sync.replies.push((runtime, complete)),
                }
                jobs = written.len() + stage.awaiting_sync.replies.len();
                let is_full = jobs >= MAX_JOBS_OF_COMMIT || stage.bytes() >= MAX_COMMIT_BYTES;
                next = if is_full { None } else { queued.try_recv().ok() };
            }
            let mut awaiting_sync = take(&mut stage.awaiting_sync);
            if self.failed.borrow().is_none() {
                match self.committer.commit(stage) {
                    Ok(committed) => self.show_once_synced(&mut awaiting_sync, committed),
                    Err(error) => drop(self.failed.send_replace(Some(describe(&error).into()))),
                }
            }
            self.reply(written, awaiting_sync);
        }
    }

    fn show_once_synced(&self, awaiting_sync: &mut AwaitingSync, committed: Committed) {
        awaiting_sync.commit = Some((self.committer.chain, committed.view));
        let rows = committed.feed_rows;
        if !rows.is_empty() {
            let waiters = Arc::clone(&self.feed_waiters);
            awaiting_sync.effects_after_replies.push(if_synced(move || waiters.wake(&rows)));
        }
    }

    /// Completes the jobs that wait only until the commit is written. Hands the jobs that wait for the sync to the
    /// syncing thread.
    fn reply(&self, written: Vec<Completion>, awaiting_sync: AwaitingSync) {
        let failure = self.failed.borrow().clone();
        written.into_iter().for_each(|complete| complete(&failure));
        if !awaiting_sync.replies.is_empty()
            && let Err(SendError(unsent)) = self.disk.send(awaiting_sync)
        {
            let failure = failure.or_else(|| Some("the syncing thread has stopped".into()));
            self.failed.send_replace(failure.clone());
            unsent.complete(&failure);
        }
    }
}

/// Describes the error for the operator. An error of the operating system keeps its own text.
fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(source) => source.to_string(),
        fjall::Error::Poisoned => {
            "an earlier write of the store failed; the log above contains the error".to_owned()
        }
        other => other.to_string(),
    }
}
