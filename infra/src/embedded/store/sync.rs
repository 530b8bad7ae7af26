//! The one thread that waits for the disk. The writer hands it what it has committed and goes on with the next commit
//! while the disk is at work; everything that was handed over by the time one sync begins is told when it ends. Those who wait
//! are woken by the runtimes that they wait on: from outside, each of them would take a system call.
//!
//! fjall's own sync holds the lock that every commit takes, so the journal is synced past it, by a handle of our own: to
//! the system a sync is of the file, whoever asks for it.

use std::fs::File;
use std::io;
use std::mem::replace;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::chain::Chain;
use super::extent::{Extent, ExtentFile};
use super::layout;
use super::reclaim;
use super::views::{Synced, View};
use super::writer::{Completion, Failure};

/// How often the extent is synced, at most: after a power cut it may lag behind by that much.
const EXTENT_SYNC: Duration = Duration::from_secs(1);

/// What is synced, and who sees what is.
pub(crate) struct Disk {
    journal: Journal,
    extent: ExtentFile,
    synced: Arc<Synced>,
}

impl Disk {
    /// Of the store at `path`.
    pub(crate) fn new(path: &Path, extent: ExtentFile, synced: Arc<Synced>) -> io::Result<Self> {
        Ok(Self { journal: Journal::newest(path)?, extent, synced })
    }

    /// Syncs the journal, records how far it is on the disk then, and shows that to readers.
    fn sync(&mut self, commit: Option<(Chain, View)>) -> io::Result<()> {
        self.journal.sync()?;
        let Some((chain, view)) = commit else { return Ok(()) };
        let ledger = &view.totals.books.ledger;
        self.extent.write(&Extent {
            commit: chain.commit,
            journal: self.journal.number,
            at: crate::now().micros(),
            accepted: ledger.accepted,
            recorded: ledger.recorded,
            last: chain.last,
        })?;
        self.synced.show(view);
        Ok(())
    }
}

/// What waits for the disk with one commit, or with several.
#[derive(Default)]
pub(crate) struct Waiting {
    /// The commit, or the latest of several; `None` if it could not be made.
    pub(crate) commit: Option<(Chain, View)>,
    /// Done before anybody is told.
    pub(crate) effects: Vec<Completion>,
    /// Those who are told, each with the runtime that it waits on, if there is one.
    pub(crate) replies: Vec<(Option<Handle>, Completion)>,
    /// Done when everybody is told, or is about to be.
    pub(crate) at_last: Vec<Completion>,
}

impl Waiting {
    fn add(&mut self, other: Self) {
        self.commit = other.commit.or(self.commit.take());
        self.effects.extend(other.effects);
        self.replies.extend(other.replies);
        self.at_last.extend(other.at_last);
    }

    pub(crate) fn tell(self, failure: &Failure) {
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
            // On a runtime that has ended, nobody waits any more.
            runtime.spawn(async move { replies.into_iter().for_each(|reply| reply(&failure)) });
        }
        self.at_last.into_iter().for_each(|effect| effect(failure));
    }
}

/// Starts the thread. It ends when the sender is gone and everything handed over is told. A sync that fails is told by
/// `failed`, and nothing is synced any more.
pub(crate) fn start(
    mut disk: Disk,
    failed: watch::Sender<Failure>,
) -> io::Result<(Sender<Waiting>, JoinHandle<()>)> {
    let (sender, waiting) = mpsc::channel();
    let syncing = move || {
        let mut extent_synced = Instant::now();
        run(&waiting, &failed, |step| match step {
            Step::Commit(commit) => disk.sync(commit),
            Step::Rest if !disk.extent.is_dirty() || extent_synced.elapsed() < EXTENT_SYNC => Ok(()),
            Step::Rest | Step::End => {
                extent_synced = Instant::now();
                disk.extent.sync()
            }
        });
    };
    Ok((sender, thread::Builder::new().name("sync".to_owned()).spawn(syncing)?))
}

/// What the disk is to do.
enum Step {
    /// To sync what was committed, up to this commit.
    Commit(Option<(Chain, View)>),
    /// What nobody waits for.
    Rest,
    /// The same, for the last time.
    End,
}

fn run(
    waiting: &Receiver<Waiting>,
    failed: &watch::Sender<Failure>,
    mut disk: impl FnMut(Step) -> io::Result<()>,
) {
    let mut step = |step| {
        if failed.borrow().is_none()
            && let Err(error) = disk(step)
        {
            failed.send_replace(Some(error.to_string().into()));
        }
    };
    loop {
        match waiting.recv_timeout(EXTENT_SYNC) {
            Ok(mut group) => {
                waiting.try_iter().for_each(|more| group.add(more));
                step(Step::Commit(group.commit.take()));
                let failure = failed.borrow().clone();
                group.tell(&failure);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return step(Step::End),
        }
        step(Step::Rest);
    }
}

/// The journal that fjall writes to. There may be older ones, with lower numbers, which are on the disk whole: fjall
/// syncs a journal before it begins the next one.
struct Journal {
    store: PathBuf,
    number: u64,
    file: File,
    /// Takes those that are full.
    full_journals: Sender<File>,
}

impl Journal {
    fn newest(store: &Path) -> io::Result<Self> {
        let number = newest(store)?;
        let (file, full_journals) = (open(store, number)?, reclaim::start()?);
        Ok(Self { store: store.to_owned(), number, file, full_journals })
    }

    /// Everything that was written to any journal before this call is on the disk after it.
    fn sync(&mut self) -> io::Result<()> {
        self.follow()?;
        self.file.sync_data()
    }

    /// Moves on to the newest journal. Their numbers have no gaps, and the oldest are removed first: so if this one is
    /// still there, and the next one was not, this is the newest.
    fn follow(&mut self) -> io::Result<()> {
        loop {
            match open(&self.store, self.number + 1) {
                Ok(file) => self.turn_to(self.number + 1, file),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) if self.file.metadata()?.nlink() > 0 => return Ok(()),
                Err(_) => {
                    let number = newest(&self.store)?;
                    self.turn_to(number, open(&self.store, number)?);
                }
            }
        }
    }

    fn turn_to(&mut self, number: u64, file: File) {
        self.number = number;
        // Without its thread, which only a bug can end, it is closed.
        let _ = self.full_journals.send(replace(&mut self.file, file));
    }
}

/// The number of the newest journal.
pub(crate) fn newest(store: &Path) -> io::Result<u64> {
    let journals = layout::journals(store).map_err(|fault| io::Error::other(format!("{fault:?}")))?;
    journals.last().map(|(number, _)| *number).ok_or_else(|| io::Error::other("the store has no journal"))
}

/// Opens a journal so that it can be synced, and shortened when it is removed.
fn open(store: &Path, number: u64) -> io::Result<File> {
    File::options().write(true).open(layout::journal_path(store, number))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn waiting_for<const N: usize>(replies: [Completion; N]) -> Waiting {
        Waiting { replies: replies.map(|reply| (None, reply)).into(), ..Waiting::default() }
    }

    #[test]
    fn nobody_is_told_before_the_sync_that_covers_them() {
        let (sender, waiting) = mpsc::channel::<Waiting>();
        let (failed, _) = watch::channel(None);
        let (synced, told) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let tell = |told: &Arc<AtomicUsize>| -> Completion {
            let told = Arc::clone(told);
            Box::new(move |failure| {
                assert!(failure.is_none());
                told.fetch_add(1, SeqCst);
            })
        };
        sender.send(waiting_for([tell(&told), tell(&told)])).unwrap();
        sender.send(waiting_for([tell(&told)])).unwrap();
        let mut late = Some(sender);
        run(&waiting, &failed, |step| {
            let Step::Commit(_) = step else { return Ok(()) };
            let round = synced.fetch_add(1, SeqCst);
            assert_eq!(told.load(SeqCst), round * 3, "told before the sync ended");
            if let Some(sender) = late.take() {
                // Committed while the disk is at work: the next sync is theirs.
                sender.send(waiting_for([tell(&told)])).unwrap();
            }
            Ok(())
        });
        assert_eq!((synced.load(SeqCst), told.load(SeqCst)), (2, 4));
    }

    #[test]
    fn a_sync_that_failed_is_the_last_one() {
        let (sender, waiting) = mpsc::channel::<Waiting>();
        let (failed, failure) = watch::channel(None);
        let (syncs, failures) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let tell = || -> Completion {
            let failures = Arc::clone(&failures);
            Box::new(move |failure| {
                failures.fetch_add(usize::from(failure.is_some()), SeqCst);
            })
        };
        sender.send(waiting_for([tell()])).unwrap();
        let mut late = Some((sender, tell()));
        run(&waiting, &failed, |step| {
            let Step::Commit(_) = step else { return Ok(()) };
            syncs.fetch_add(1, SeqCst);
            if let Some((sender, tell)) = late.take() {
                sender.send(waiting_for([tell])).unwrap();
            }
            Err(io::Error::other("the disk is gone"))
        });
        assert_eq!((syncs.load(SeqCst), failures.load(SeqCst)), (1, 2));
        assert_eq!(failure.borrow().as_deref(), Some("the disk is gone"));
    }

    #[test]
    fn whoever_waits_on_a_runtime_is_told_there_after_what_comes_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, order) = mpsc::channel();
        let note = |what: &'static str| -> Completion {
            let sender = sender.clone();
            Box::new(move |_| sender.send((what, thread::current().id())).unwrap())
        };
        let waiting = Waiting {
            commit: None,
            effects: vec![note("effect")],
            replies: vec![(Some(runtime.handle().clone()), note("on it")), (None, note("on none"))],
            at_last: vec![note("at last")],
        };
        let telling = thread::spawn(move || waiting.tell(&None));
        let there = telling.thread().id();
        telling.join().unwrap();
        assert_eq!(
            order.try_iter().collect::<Vec<_>>(),
            [("effect", there), ("on none", there), ("at last", there)]
        );
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(order.try_recv(), Ok(("on it", thread::current().id())));
    }

    #[test]
    fn the_newest_journal_is_synced_also_when_those_between_are_gone() {
        let folder = tempfile::TempDir::new().unwrap();
        let (make, remove) = (
            |number| File::create(layout::journal_path(folder.path(), number)).unwrap(),
            |number| std::fs::remove_file(layout::journal_path(folder.path(), number)).unwrap(),
        );
        make(3);
        let mut journal = Journal::newest(folder.path()).unwrap();
        make(4);
        journal.sync().unwrap();
        assert_eq!(journal.number, 4);
        for number in 5..9 {
            make(number);
        }
        (3..7).for_each(remove);
        journal.sync().unwrap();
        assert_eq!(journal.number, 8);
    }
}
