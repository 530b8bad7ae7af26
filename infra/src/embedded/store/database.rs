//! Opens the fjall database of a data folder, and syncs a new database so that it survives a power cut. The
//! [`folder`](super::folder) module calls these functions.

use std::fs::{self, DirEntry, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fjall::Database;

use super::keyspaces::Keyspaces;
use super::open_error::OpenError;
use crate::embedded::priority;

const CACHE_BYTES: u64 = 32 << 20;

/// The number of threads that flush and compact. fjall reserves the first thread for flushes. While all other threads
/// compact and more compactions are due, the first thread requeues these compactions in a busy loop, which occupies a
/// core. With four threads, such a phase is short.
const WORKER_THREADS: usize = 4;
/// The niceness of the threads that flush and compact. On a busy machine, each of them gets a third of the processor
/// time that a thread of normal priority gets. That share is enough to keep up.
const WORKER_NICENESS: i32 = 5;

/// Opens the database in the folder `store`, or creates a database there. Errors name `folder`, the data folder.
pub(crate) fn open(folder: &Path, store: &Path) -> Result<Keyspaces, OpenError> {
    // fjall panics on some kinds of damage. The panic is caught, so that the user gets one error for every kind of
    // damage.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let builder = || Database::builder(store).cache_size(CACHE_BYTES).worker_threads(WORKER_THREADS);
        let folders = count_folders(&store.join("keyspaces")).unwrap_or(0);
        let mut db = priority::run_at(WORKER_NICENESS, || builder().open())?;
        // The keyspace with number 0 is fjall's own. If there are more folders than keyspaces, an earlier start was
        // killed while it created a keyspace. fjall has removed the folder of that keyspace, but uses its number again
        // only after the database is reopened.
        if folders > 1 + Keyspaces::count_in(&db) {
            drop(db);
            db = priority::run_at(WORKER_NICENESS, || builder().open())?;
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

/// Syncs every file and folder below `folder`. fjall creates folders for keyspaces, but does not sync the directory
/// entries of these folders. Without this function, a power cut could remove the folders with all their content.
///
/// fjall may flush and compact at the same time. fjall removes only files whose content is in other files, so a file
/// that no longer exists needs no sync.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match sync_entry(&entry) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    File::open(folder)?.sync_all()
}

fn sync_entry(entry: &DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() { sync_tree(&entry.path()) } else { File::open(entry.path())?.sync_all() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_no_longer_exists_does_not_stop_the_sync_of_a_folder() {
        let folder = tempfile::TempDir::new().unwrap();
        let keyspace = folder.path().join("keyspace");
        fs::create_dir(&keyspace).unwrap();
        fs::write(keyspace.join("table"), "content").unwrap();
        // A link without a target cannot be opened, like a file that was removed after the folder was listed.
        symlink("removed", keyspace.join("old-table")).unwrap();
        sync_tree(folder.path()).unwrap();
        assert_eq!(sync_tree(&folder.path().join("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
