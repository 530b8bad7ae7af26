//! Opens the fjall database of a data folder, and syncs a new database so that it survives a power cut. The
//! [`folder`](super::folder) module calls these functions.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::thread;

use fjall::Database;
use rustix::process::setpriority_process;

use super::keyspaces::Keyspaces;
use super::open_error::OpenError;

/// The size of fjall's block cache.
const CACHE_BYTES: u64 = 32 << 20;

/// The number of threads that flush and compact. fjall reserves the first one for flushes. While all others compact and
/// more compactions are due, the first one requeues these in a busy loop, which occupies a core. With this many
/// threads, such a phase is short.
const WORKER_THREADS: usize = 4;
/// The niceness of the threads that flush and compact. On a busy machine they get a third of the processor time of
/// other threads, which is enough to keep up.
const WORKER_NICENESS: i32 = 5;

/// Opens the database at `store`, or creates it. `folder` is the data folder, for errors.
pub(crate) fn open(folder: &Path, store: &Path) -> Result<Keyspaces, OpenError> {
    // fjall panics on some kinds of damage. The user gets the same error for every kind.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let builder = || Database::builder(store).cache_size(CACHE_BYTES).worker_threads(WORKER_THREADS);
        let folders = count_folders(&store.join("keyspaces")).unwrap_or(0);
        let mut db = in_background(|| builder().open())?;
        // The keyspace with number 0 is fjall's own. If there are more folders than keyspaces, an earlier start was killed
        // while it created one. fjall has now removed that folder, but does not use its number again until it is reopened.
        if folders > 1 + Keyspaces::count_in(&db) {
            drop(db);
            db = in_background(|| builder().open())?;
        }
        Keyspaces::open(&db)
    }));
    match opened {
        Ok(Ok(keyspaces)) => Ok(keyspaces),
        Ok(Err(error)) => Err(explain(folder, store, error)),
        Err(_) => Err(OpenError::damaged(folder, "the store cannot be recovered; see the panic in the log")),
    }
}

fn count_folders(path: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(path)? {
        count += usize::from(entry?.file_type()?.is_dir());
    }
    Ok(count)
}

fn explain(folder: &Path, store: &Path, error: fjall::Error) -> OpenError {
    match error {
        fjall::Error::Locked => OpenError::InUse(folder.to_owned()),
        fjall::Error::Io(source) if source.kind() != io::ErrorKind::NotFound => OpenError::io(store, source),
        fjall::Error::InvalidVersion(_) => {
            OpenError::damaged(folder, "store/version is not a version that this program reads")
        }
        other => OpenError::damaged(folder, format!("the store cannot be recovered: {other:?}")),
    }
}

/// Runs `open` at a lower priority. The threads that it starts inherit that priority, so they yield to the threads that
/// serve requests.
fn in_background<R: Send>(open: impl FnOnce() -> R + Send) -> R {
    let work = || {
        // If this fails, the threads run at the normal priority. Nothing else changes.
        let _ = setpriority_process(None, WORKER_NICENESS);
        open()
    };
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Syncs every file and folder below `folder`. fjall creates folders for keyspaces, but does not sync the directory
/// entries of these folders. Without this function, a power cut could remove the folders with all their content.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}
