//! The folder that is restored. The parent claims it, fills [`Place::inner`], and completes it.
//!
//! ```text
//! orders-data/
//!   LOCK        locked by the restore
//!   restoring/  a data folder that is being filled; while it exists and FORMAT does not, no start accepts the folder
//! ```
//!
//! At the end, `store`, `EXTENT` and `FORMAT` are moved from `restoring` into the folder, in this order. If the restore
//! is killed, the next restore removes the incomplete files and begins again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use super::RestoreError;
use crate::embedded::store::folder::not_a_folder;
use crate::embedded::store::folder_state::RESTORING;
use crate::embedded::store::open_error::OpenError;
use crate::folders::create_durably;

/// The files and folders to move into place, in order.
const PARTS: [&str; 3] = ["store", "EXTENT", "FORMAT"];

/// A folder that this process restores.
pub(super) struct Place {
    path: PathBuf,
    // The file that holds the lock. Closing the file releases the lock.
    _lock: File,
}

impl Place {
    /// Creates the folder if it does not exist, locks it, and removes what a killed restore has left.
    pub(super) fn claim(path: &Path) -> Result<Self, RestoreError> {
        if let Some(what) = not_a_folder(path) {
            return Err(OpenError::NotAFolder { path: path.to_owned(), what }.into());
        }
        let io_error = |source| OpenError::io(path, source);
        // From here on, files that this process creates can be read only by its user.
        umask(Mode::from_raw_mode(0o077));
        create_durably(path).map_err(io_error)?;
        refuse_content(path)?;
        let lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("LOCK"));
        let lock = lock.map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned()).into()),
            Err(TryLockError::Error(source)) => return Err(io_error(source).into()),
        }
        // Another process may have used the folder until the lock was taken.
        refuse_content(path)?;
        let place = Self { path: path.to_owned(), _lock: lock };
        place.clear().map_err(io_error)?;
        Ok(place)
    }

    /// The subfolder that the restore fills.
    pub(super) fn inner(&self) -> PathBuf {
        self.path.join(RESTORING)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what an earlier restore has left, and creates the inner folder. The old inner folder is removed last,
    /// because it shows that the other parts belong to an incomplete restore.
    fn clear(&self) -> io::Result<()> {
        if self.inner().exists() {
            for part in PARTS {
                remove(&self.path.join(part))?;
            }
            self.sync()?;
            remove(&self.inner())?;
        }
        fs::create_dir(self.inner())?;
        self.sync()
    }

    /// Moves everything into place. The inner folder must be complete, synced, and unused by any process.
    pub(super) fn complete(self) -> io::Result<()> {
        for part in PARTS {
            fs::rename(self.inner().join(part), self.path.join(part))?;
            self.sync()?;
        }
        // If the process is killed here, the folder is complete, and the remains of the inner folder are ignored.
        remove(&self.inner())?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Fails if the folder contains anything except an incomplete restore.
fn refuse_content(path: &Path) -> Result<(), RestoreError> {
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|source| OpenError::io(path, source))?;
    let names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    let is_incomplete =
        names.iter().any(|name| name == RESTORING) && !names.iter().any(|name| name == "FORMAT");
    let is_left = |name: &&std::ffi::OsString| {
        is_incomplete && (*name == RESTORING || PARTS.iter().any(|part| *name == *part))
    };
    // The root of a new ext4 file system contains `lost+found`.
    let is_allowed = |name: &&std::ffi::OsString| *name == "LOCK" || *name == "lost+found" || is_left(name);
    match names.iter().find(|name| !is_allowed(name)) {
        None => Ok(()),
        Some(found) => {
            Err(RestoreError::NotEmpty { path: path.to_owned(), found: found.to_string_lossy().into_owned() })
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
