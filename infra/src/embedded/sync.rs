//! The one thread that waits for the disk. The writer hands it what it has committed and goes on with the next commit
//! while the disk is at work; everything that was handed over by the time one sync begins is told when it ends.
//!
//! fjall's own sync holds the lock that every commit takes, so the journal is synced past it, by a handle of our own: to
//! the system a sync is of the file, whoever asks for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use super::journal_check;
use super::writer::Failure;

/// What is to be done once a commit is on the disk, or cannot be.
pub(super) type AfterSync = Box<dyn FnOnce(&Failure) + Send>;

/// The jobs of one commit that wait for the disk.
pub(super) type Waiting = Vec<AfterSync>;

/// What the writer knows of the thread that waits for the disk.
pub(super) struct Disk {
    waiting: Sender<Waiting>,
    at_work: Arc<AtWork>,
}

/// Whether a sync is under way, and the bell for its end.
#[derive(Default)]
struct AtWork {
    syncing: Mutex<bool>,
    ended: Condvar,
}

impl AtWork {
    fn set(&self, syncing: bool) {
        *self.syncing.lock().unwrap_or_else(PoisonError::into_inner) = syncing;
        if !syncing {
            self.ended.notify_one();
        }
    }
}

impl Disk {
    /// Hands over what waits for the disk; gives it back if nobody waits for that any more.
    pub(super) fn hand_over(&self, waiting: Waiting) -> Result<(), Waiting> {
        // From now on, and not only from when the other thread has woken up.
        self.at_work.set(true);
        self.waiting.send(waiting).map_err(|unsent| unsent.0)
    }

    /// Waits until no sync is under way, but no longer than `longest`. What is committed during a sync is not covered by it,
    /// so until it ends there is nothing to be gained by committing, and more to commit at once comes in.
    pub(super) fn rest(&self, longest: Duration) {
        let syncing = self.at_work.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        // Either way it is time to go on.
        let _ = self.at_work.ended.wait_timeout_while(syncing, longest, |syncing| *syncing);
    }
}

/// Starts the thread for the store at `path`. It ends when the sender is gone and everything handed over is told. A sync
/// that fails is told by `failed`, and nothing is synced any more.
pub(super) fn start(path: &Path, failed: watch::Sender<Failure>) -> io::Result<(Disk, JoinHandle<()>)> {
    let mut journal = Journal::newest(path)?;
    let (sender, waiting) = mpsc::channel();
    let at_work = Arc::new(AtWork::default());
    let disk = Disk { waiting: sender, at_work: Arc::clone(&at_work) };
    let mut sync = move || {
        at_work.set(true);
        let synced = journal.sync();
        at_work.set(false);
        synced
    };
    let thread =
        thread::Builder::new().name("sync".to_owned()).spawn(move || run(&waiting, &failed, &mut sync))?;
    Ok((disk, thread))
}

fn run(
    waiting: &Receiver<Waiting>,
    failed: &watch::Sender<Failure>,
    mut sync: impl FnMut() -> io::Result<()>,
) {
    while let Ok(mut group) = waiting.recv() {
        group.extend(waiting.try_iter().flatten());
        if failed.borrow().is_none()
            && let Err(error) = sync()
        {
            failed.send_replace(Some(error.to_string().into()));
        }
        let failure = failed.borrow().clone();
        group.into_iter().for_each(|tell| tell(&failure));
    }
}

/// The journal that fjall writes to. There may be older ones, with lower numbers, which are on the disk whole: fjall
/// syncs a journal before it begins the next one.
struct Journal {
    store: PathBuf,
    number: u64,
    file: File,
}

impl Journal {
    fn newest(store: &Path) -> io::Result<Self> {
        let numbers = journal_check::journals(store).into_iter();
        let number = numbers.filter_map(|path| path.file_stem()?.to_str()?.parse().ok()).max();
        let number = number.ok_or_else(|| io::Error::other("the store has no journal"))?;
        Ok(Self { store: store.to_owned(), number, file: File::open(path_of(store, number))? })
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
            match File::open(path_of(&self.store, self.number + 1)) {
                Ok(file) => (self.number, self.file) = (self.number + 1, file),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) if self.file.metadata()?.nlink() > 0 => return Ok(()),
                Err(_) => *self = Self::newest(&self.store)?,
            }
        }
    }
}

fn path_of(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{number}.jnl"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[test]
    fn nobody_is_told_before_the_sync_that_covers_them() {
        let (sender, waiting) = mpsc::channel::<Waiting>();
        let (failed, _) = watch::channel(None);
        let (synced, told) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let tell = |told: &Arc<AtomicUsize>| -> AfterSync {
            let told = Arc::clone(told);
            Box::new(move |failure| {
                assert!(failure.is_none());
                told.fetch_add(1, SeqCst);
            })
        };
        sender.send(vec![tell(&told), tell(&told)]).unwrap();
        sender.send(vec![tell(&told)]).unwrap();
        let mut late = Some(sender);
        run(&waiting, &failed, || {
            let round = synced.fetch_add(1, SeqCst);
            assert_eq!(told.load(SeqCst), round * 3, "told before the sync ended");
            if let Some(sender) = late.take() {
                // Committed while the disk is at work: the next sync is theirs.
                sender.send(vec![tell(&told)]).unwrap();
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
        let tell = || -> AfterSync {
            let failures = Arc::clone(&failures);
            Box::new(move |failure| {
                failures.fetch_add(usize::from(failure.is_some()), SeqCst);
            })
        };
        sender.send(vec![tell()]).unwrap();
        let mut late = Some((sender, tell()));
        run(&waiting, &failed, || {
            syncs.fetch_add(1, SeqCst);
            if let Some((sender, tell)) = late.take() {
                sender.send(vec![tell]).unwrap();
            }
            Err(io::Error::other("the disk is gone"))
        });
        assert_eq!((syncs.load(SeqCst), failures.load(SeqCst)), (1, 2));
        assert_eq!(failure.borrow().as_deref(), Some("the disk is gone"));
    }

    #[test]
    fn the_newest_journal_is_synced_also_when_those_between_are_gone() {
        let folder = tempfile::TempDir::new().unwrap();
        let (make, remove) = (
            |number| File::create(path_of(folder.path(), number)).unwrap(),
            |number| std::fs::remove_file(path_of(folder.path(), number)).unwrap(),
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
