//! The syncing thread, the only thread that waits for the disk. The writer hands each commit to the syncing thread and
//! continues with the next commit. One sync covers every commit that was handed over before the sync began. After the
//! sync, the thread shows readers the latest commit and completes the jobs. Jobs are completed on the runtimes of their
//! callers, because waking a caller from outside its runtime takes a system call.
//!
//! fjall's own sync holds the lock that every commit takes. So the syncing thread syncs the journal through a separate
//! file handle. The operating system syncs the whole file through any handle.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::chain::Chain;
use super::extent::{Extent, ExtentFile};
use super::journal_file::JournalFile;
use super::views::{SyncedView, View};

/// The minimum time between two syncs of the extent. After a power cut, the extent may lag by this time.
const EXTENT_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The files that the thread syncs, and the view that readers share.
pub(crate) struct Disk {
    journal: JournalFile,
    extent: ExtentFile,
    /// The extent as of the latest sync, if it has not been written to the file yet.
    unrecorded: Option<Extent>,
    synced: Arc<SyncedView>,
}

impl Disk {
    pub(crate) fn new(path: &Path, extent: ExtentFile, synced: Arc<SyncedView>) -> io::Result<Self> {
        Ok(Self { journal: JournalFile::newest(path)?, extent, unrecorded: None, synced })
    }

    /// Syncs the journal, and makes the commit visible to readers afterwards.
    fn sync(&mut self, commit: Option<(Chain, View)>) -> io::Result<()> {
        self.journal.sync()?;
        let Some((chain, view)) = commit else { return Ok(()) };
        let ledger = &view.totals.counters.ledger;
        self.unrecorded = Some(Extent::now(&chain, self.journal.number, ledger));
        self.synced.replace(view);
        Ok(())
    }

    /// Writes the latest extent to its file, if the file does not contain it yet. No caller waits for the write. Until
    /// the write, the file describes the previous sync.
    fn record_extent(&mut self) -> io::Result<()> {
        self.unrecorded.take().map_or(Ok(()), |extent| self.extent.write(&extent))
    }
}

/// The reason why the store can no longer be written. `None` while the store can be written.
pub(crate) type Failure = Option<Arc<str>>;
/// A function to run when a commit is as durable as its job requested, or when the commit or its sync has failed.
pub(crate) type Completion = Box<dyn FnOnce(&Failure) + Send>;

/// The replies to send and the effects to run once one or several commits are synced.
#[derive(Default)]
pub(crate) struct AwaitingSync {
    /// The latest of the commits to sync. `None` if that commit failed.
    pub(crate) commit: Option<(Chain, View)>,
    /// Effects that run before the replies.
    pub(crate) effects: Vec<Completion>,
    /// The results for the callers. Each has the runtime of its caller, if the caller runs in one.
    pub(crate) replies: Vec<(Option<Handle>, Completion)>,
    /// Effects that run after the replies have been sent or handed to the callers' runtimes.
    pub(crate) effects_after_replies: Vec<Completion>,
}

impl AwaitingSync {
    fn add(&mut self, other: Self) {
        self.commit = other.commit.or(self.commit.take());
        self.effects.extend(other.effects);
        self.replies.extend(other.replies);
        self.effects_after_replies.extend(other.effects_after_replies);
    }

    pub(crate) fn complete(self, failure: &Failure) {
        self.effects.into_iter().for_each(|effect| effect(failure));
        let mut runtimes: Vec<(Handle, Vec<Completion>)> = Vec::new();
        for (runtime, reply) in self.replies {
            let Some(runtime) = runtime else {
                reply(failure);
                continue;
            };
            match runtimes.iter_mut().find(|(known, _)| known.id() == runtime.id()) {
                Some((_, replies)) => replies.push(reply),
                None => runtimes.push((runtime, vec![reply])),
            }
        }
        for (runtime, replies) in runtimes {
            let failure = failure.clone();
            // If the runtime has ended, no caller waits for these replies any more.
            runtime.spawn(async move { replies.into_iter().for_each(|reply| reply(&failure)) });
        }
        self.effects_after_replies.into_iter().for_each(|effect| effect(failure));
    }
}

/// Starts the syncing thread. The thread ends when the sender is dropped and all commits handed over are completed. If
/// a sync fails, `failed` gets the error, and the thread syncs nothing more.
pub(crate) fn start(
    mut disk: Disk,
    failed: watch::Sender<Failure>,
) -> io::Result<(Sender<AwaitingSync>, JoinHandle<()>)> {
    let (sender, waiting) = mpsc::channel();
    let syncing = move || {
        let mut extent_synced = Instant::now();
        run(&waiting, &failed, |task| match task {
            DiskTask::Commit(commit) => disk.sync(commit),
            DiskTask::Extent | DiskTask::LastExtent => {
                disk.record_extent()?;
                let is_due =
                    matches!(task, DiskTask::LastExtent) || extent_synced.elapsed() >= EXTENT_SYNC_INTERVAL;
                if !is_due || !disk.extent.is_dirty() {
                    return Ok(());
                }
                extent_synced = Instant::now();
                disk.extent.sync()
            }
        });
    };
    Ok((sender, thread::Builder::new().name("sync".to_owned()).spawn(syncing)?))
}

/// The next task of the syncing thread.
enum DiskTask {
    /// Sync the given commit and every earlier commit.
    Commit(Option<(Chain, View)>),
    /// Write the extent, and sync it if enough time has passed since its last sync.
    Extent,
    /// Write and sync the extent for the last time.
    LastExtent,
}

fn run(
    waiting: &Receiver<AwaitingSync>,
    failed: &watch::Sender<Failure>,
    mut disk: impl FnMut(DiskTask) -> io::Result<()>,
) {
    let mut perform = |task| {
        if failed.borrow().is_none()
            && let Err(error) = disk(task)
        {
            failed.send_replace(Some(error.to_string().into()));
        }
    };
    loop {
        match waiting.recv_timeout(EXTENT_SYNC_INTERVAL) {
            Ok(mut group) => {
                waiting.try_iter().for_each(|more| group.add(more));
                perform(DiskTask::Commit(group.commit.take()));
                let failure = failed.borrow().clone();
                group.complete(&failure);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return perform(DiskTask::LastExtent),
        }
        perform(DiskTask::Extent);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    fn awaiting<const N: usize>(replies: [Completion; N]) -> AwaitingSync {
        AwaitingSync { replies: replies.map(|reply| (None, reply)).into(), ..AwaitingSync::default() }
    }

    #[test]
    fn no_job_is_completed_before_the_sync_that_covers_it() {
        let (sender, waiting) = mpsc::channel::<AwaitingSync>();
        let (failed, _) = watch::channel(None);
        let (synced, completed) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let complete = |completed: &Arc<AtomicUsize>| -> Completion {
            let completed = Arc::clone(completed);
            Box::new(move |failure| {
                assert!(failure.is_none());
                completed.fetch_add(1, SeqCst);
            })
        };
        sender.send(awaiting([complete(&completed), complete(&completed)])).unwrap();
        sender.send(awaiting([complete(&completed)])).unwrap();
        let mut late = Some(sender);
        run(&waiting, &failed, |task| {
            let DiskTask::Commit(_) = task else { return Ok(()) };
            let round = synced.fetch_add(1, SeqCst);
            assert_eq!(completed.load(SeqCst), round * 3, "a job was completed before the sync ended");
            if let Some(sender) = late.take() {
                // The commit was made during the sync, so the next sync covers it.
                sender.send(awaiting([complete(&completed)])).unwrap();
            }
            Ok(())
        });
        assert_eq!((synced.load(SeqCst), completed.load(SeqCst)), (2, 4));
    }

    #[test]
    fn a_sync_that_failed_is_the_last_one() {
        let (sender, waiting) = mpsc::channel::<AwaitingSync>();
        let (failed, failure) = watch::channel(None);
        let (syncs, failures) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let complete = || -> Completion {
            let failures = Arc::clone(&failures);
            Box::new(move |failure| {
                failures.fetch_add(usize::from(failure.is_some()), SeqCst);
            })
        };
        sender.send(awaiting([complete()])).unwrap();
        let mut late = Some((sender, complete()));
        run(&waiting, &failed, |task| {
            let DiskTask::Commit(_) = task else { return Ok(()) };
            syncs.fetch_add(1, SeqCst);
            if let Some((sender, complete)) = late.take() {
                sender.send(awaiting([complete])).unwrap();
            }
            Err(io::Error::other("the disk is gone"))
        });
        assert_eq!((syncs.load(SeqCst), failures.load(SeqCst)), (1, 2));
        assert_eq!(failure.borrow().as_deref(), Some("the disk is gone"));
    }

    #[test]
    fn jobs_are_completed_on_the_runtimes_of_their_callers_after_the_effects() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sender, order) = mpsc::channel();
        let note = |what: &'static str| -> Completion {
            let sender = sender.clone();
            Box::new(move |_| sender.send((what, thread::current().id())).unwrap())
        };
        let completed = Arc::new(Notify::new());
        let (complete, notify) = (note("with runtime"), Arc::clone(&completed));
        let on_runtime: Completion = Box::new(move |failure| {
            complete(failure);
            notify.notify_one();
        });
        let waiting = AwaitingSync {
            commit: None,
            effects: vec![note("effect")],
            replies: vec![(Some(runtime.handle().clone()), on_runtime), (None, note("without"))],
            effects_after_replies: vec![note("after replies")],
        };
        let completing = thread::spawn(move || waiting.complete(&None));
        let there = completing.thread().id();
        completing.join().unwrap();
        assert_eq!(
            order.try_iter().collect::<Vec<_>>(),
            [("effect", there), ("without", there), ("after replies", there)]
        );
        let until_completed = async { timeout(Duration::from_secs(60), completed.notified()).await };
        runtime.block_on(until_completed).expect("the job is completed on the runtime");
        assert_eq!(order.try_recv(), Ok(("with runtime", thread::current().id())));
    }
}
