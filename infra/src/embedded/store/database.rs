//! Opens the fjall database of a data folder, and sees to it that a new one survives a power cut.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::thread;

use fjall::Database;
use rustix::process::setpriority_process;

use super::keys::Keyspaces;
use super::open_error::OpenError;

/// Of the engine's block cache.
const CACHE_BYTES: u64 = 32 << 20;

/// Threads that flush and compact. fjall's first one is for flushes only: as long as all others compact, and more waits to
/// be, it passes that around in circles, which takes a core. So there are enough for that not to last.
const WORKERS: usize = 4;
/// How nice they are: on a busy machine they get a third of what others get, which is enough to keep up.
const NICE: i32 = 5;

/// Opens the database at `store`, which is made if nothing is there. `folder` is the data folder it is in.
pub(crate) fn open(folder: &Path, store: &Path) -> Result<Keyspaces, OpenError> {
    // fjall meets some kinds of damage with a panic; to the user they are all the same.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = Database::builder(store).cache_size(CACHE_BYTES).worker_threads(WORKERS);
        Keyspaces::open(&in_background(|| db.open())?)
    }));
    match opened {
        Ok(Ok(keyspaces)) => Ok(keyspaces),
        Ok(Err(error)) => Err(explain(folder, store, error)),
        Err(_) => Err(OpenError::damaged(folder, "the store cannot be recovered; the log says where")),
    }
}

fn explain(folder: &Path, store: &Path, error: fjall::Error) -> OpenError {
    match error {
        fjall::Error::Locked => OpenError::InUse(folder.to_owned()),
        fjall::Error::Io(source) if source.kind() != io::ErrorKind::NotFound => OpenError::io(store, source),
        fjall::Error::InvalidVersion(_) => {
            OpenError::damaged(folder, "store/version is not one that this program reads")
        }
        other => OpenError::damaged(folder, format!("the store cannot be recovered: {other:?}")),
    }
}

/// Runs `open` so that the threads it starts, which tidy up behind the writer, give way to those that somebody waits for:
/// a thread inherits how nice it is.
fn in_background<R: Send>(open: impl FnOnce() -> R + Send) -> R {
    let work = || {
        // Without it they are as busy as the others, and nothing else is different.
        let _ = setpriority_process(None, NICE);
        open()
    };
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Syncs every file and folder of the database. fjall does not sync the entries of the folders that it makes for its
/// keyspaces: without this, a power cut could take all of them away with what is in them.
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
