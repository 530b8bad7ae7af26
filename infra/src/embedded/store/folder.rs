//! The data folder: its format, its lock, and the files beside the database. Opening and recovery lock the folder. If
//! its content is unexpected, they return an error and change nothing.
//!
//! ```text
//! orders-data/
//!   LOCK        locked by the process that uses the folder
//!   store.new/  an incomplete database; left by a first start that was interrupted
//!   store/      the fjall database
//!   EXTENT      how far the journals are on the disk
//!   FORMAT      "orders data folder, format 6"; written when everything else is complete
//!   FORMAT.new  the next FORMAT; left by an upgrade that was interrupted
//! ```
//!
//! Format 5 has no feed and no webhooks. Format 4 also has no indexes except the customers' lists. Format 3 also has no
//! `EXTENT` and no commit numbers. Folders of these formats are upgraded when they are opened. First, `FORMAT` is
//! replaced, so that no earlier version of the program opens the folder again. Then a [backfill](super::backfill) fills
//! the indexes, and [another one](super::feed::backfill) gives the events their positions in the feed.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use super::continuity::{self, Flaw, JournalTail};
use super::database;
use super::extent::{Extent, ExtentFile};
use super::folder_state::{FORMAT, FolderState, state_of};
use super::keyspaces::{self, Keyspaces};
use super::open_error::OpenError;
use crate::folders;

pub(crate) const FORMAT_NUMBER: u32 = 6;

/// A data folder that this process has locked.
pub(crate) struct DataFolder {
    path: PathBuf,
    state: FolderState,
    // The file that holds the lock. Closing the file releases the lock. `None` if the folder was only examined.
    _lock: Option<File>,
}

/// Whether another process uses the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderUse {
    InUse,
    Free,
}

impl DataFolder {
    /// Creates the folder if it does not exist, and locks it against other processes. From then on, files that this
    /// process creates can be read only by its user.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::io(path, source);
        if let Some(what) = not_a_folder(path) {
            return Err(OpenError::NotAFolder { path: path.to_owned(), what });
        }
        umask(Mode::from_raw_mode(0o077));
        create_durably(path).map_err(io_error)?;
        let state = state_of(path)?;
        let lock_path = path.join("LOCK");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = opened.map_err(|source| OpenError::io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {
                let folder = Self { path: path.to_owned(), state, _lock: Some(lock) };
                if folder.is_new() {
                    // LOCK must survive a power cut: a store without LOCK would be refused as another program's folder.
                    folder.sync().map_err(io_error)?;
                }
                Ok(folder)
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::io(&lock_path, source)),
        }
    }

    /// Examines the folder without changing anything in it. If the folder is unused, no process can begin to use it
    /// until the result is dropped.
    pub(crate) fn examine(path: &Path) -> Result<(Self, FolderUse), OpenError> {
        if let Some(what) = not_a_folder(path) {
            return Err(OpenError::NotAFolder { path: path.to_owned(), what });
        }
        let state = state_of(path)?;
        let lock_path = path.join("LOCK");
        let lock = match File::open(&lock_path) {
            Ok(file) => Some(file),
            // A copy of a folder may lack LOCK. No process uses such a copy.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io(&lock_path, error)),
        };
        let usage = match lock.as_ref().map(File::try_lock_shared) {
            None | Some(Ok(())) => FolderUse::Free,
            Some(Err(TryLockError::WouldBlock)) => FolderUse::InUse,
            Some(Err(TryLockError::Error(source))) => return Err(OpenError::io(&lock_path, source)),
        };
        Ok((Self { path: path.to_owned(), state, _lock: lock }, usage))
    }

    pub(crate) fn is_new(&self) -> bool {
        self.state == FolderState::Unfinished
    }

    /// Whether the folder had an earlier format when it was claimed.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.lacks_indexes() || self.state == FolderState::Format5
    }

    /// Whether the folder had format 3 or 4 when it was claimed. Formats 3 and 4 have no indexes except the customers'
    /// lists.
    pub(crate) fn lacks_indexes(&self) -> bool {
        matches!(self.state, FolderState::Format3 | FolderState::Format4)
    }

    /// The highest number of a keyspace that must exist in the database.
    pub(crate) fn last_keyspace(&self) -> u64 {
        match self.state {
            FolderState::Format3 | FolderState::Format4 => keyspaces::LAST_OF_FORMAT_4,
            FolderState::Format5 => keyspaces::LAST_OF_FORMAT_5,
            FolderState::Unfinished | FolderState::Complete => keyspaces::LAST,
        }
    }

    /// Whether the folder has an extent, which states what the store must contain.
    fn has_extent(&self) -> bool {
        matches!(self.state, FolderState::Format4 | FolderState::Format5 | FolderState::Complete)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Opens the database, after a check that no acknowledged write is missing. Returns the extent, if the folder has
    /// one. The caller must call [`DataFolder::complete`] afterwards.
    pub(crate) fn open_store(&self) -> Result<(Keyspaces, Option<Extent>), OpenError> {
        let store = self.store();
        let io_error = |source| OpenError::io(&self.path, source);
        if self.is_new() && !store.exists() {
            self.create_store(&store)?;
        }
        let (extent, tails) = self.check()?;
        for tail in &tails {
            fix_tail(tail).map_err(|source| OpenError::io(&tail.path, source))?;
        }
        let is_private = fs::metadata(&store).map_err(io_error)?.permissions().mode() & 0o077 == 0;
        if !is_private {
            fs::set_permissions(&store, Permissions::from_mode(0o700)).map_err(io_error)?;
        }
        if self.state == FolderState::Format3 {
            database::sync_tree(&store).map_err(io_error)?;
        }
        let keyspaces = database::open(&self.path, &store)?;
        if self.is_upgrade() {
            // The upgrade has created folders for new keyspaces, which must survive a power cut.
            database::sync_tree(&store).map_err(io_error)?;
        }
        Ok((keyspaces, extent))
    }

    /// Checks that the store contains every acknowledged write. Returns the extent, if the folder has one, and the ends
    /// of the journals.
    pub(crate) fn check(&self) -> Result<(Option<Extent>, Vec<JournalTail>), OpenError> {
        let extent = self.extent()?;
        if !self.store().join("version").is_file() {
            return Err(OpenError::damaged(&self.path, "store/version is missing"));
        }
        let promised = extent.as_ref().filter(|_| self.state != FolderState::Format3);
        let tails = continuity::check(&self.store(), promised, self.last_keyspace())
            .map_err(|flaw| self.explain(flaw))?;
        Ok((extent, tails))
    }

    /// Looks for a flaw of the store. Returns `None` if the store has no flaw. Also returns the extent, if it can be
    /// read.
    pub(crate) fn flaw(&self) -> Result<(Option<Flaw>, Option<Extent>), OpenError> {
        let extent = match ExtentFile::read(&self.path) {
            Ok(extent) => extent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io(&self.path.join(ExtentFile::NAME), error)),
        };
        Ok((continuity::check(&self.store(), extent.as_ref(), self.last_keyspace()).err(), extent))
    }

    pub(crate) fn explain(&self, flaw: Flaw) -> OpenError {
        OpenError::of_flaw(&self.path, flaw)
    }

    fn extent(&self) -> Result<Option<Extent>, OpenError> {
        let damaged =
            |what: &str| Err(OpenError::damaged(&self.path, format!("{} {what}", ExtentFile::NAME)));
        match ExtentFile::read(&self.path) {
            Ok(Some(extent)) => Ok(Some(extent)),
            // Nothing was acknowledged yet, or the folder has format 3, which has no extent.
            _ if !self.has_extent() => Ok(None),
            Ok(None) => damaged("contains no readable extent"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => damaged("is missing"),
            Err(error) => Err(OpenError::io(&self.path.join(ExtentFile::NAME), error)),
        }
    }

    /// Records the extent, and marks the folder as complete and of the current format.
    pub(crate) fn complete(&self, extent: &Extent) -> io::Result<ExtentFile> {
        let file = match ExtentFile::read(&self.path).ok().flatten() {
            Some(known) if self.has_extent() => {
                let mut file = ExtentFile::open(&self.path, &known)?;
                file.write(extent)?;
                file.sync()?;
                file
            }
            _ => ExtentFile::create(&self.path, extent)?,
        };
        self.sync()?;
        if !fs::read(self.path.join("FORMAT")).is_ok_and(|text| text == FORMAT.as_bytes()) {
            let new = self.path.join("FORMAT.new");
            let mut format = File::create(&new)?;
            format.write_all(FORMAT.as_bytes()).and_then(|()| format.sync_all())?;
            fs::rename(&new, self.path.join("FORMAT"))?;
            self.sync()?;
        }
        Ok(file)
    }

    /// Syncs the folder's list of files, so that new and renamed files survive a power cut.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Creates an empty store. After a crash, the store is either complete or absent.
    fn create_store(&self, store: &Path) -> Result<(), OpenError> {
        let io_error = |source| OpenError::io(&self.path, source);
        let unfinished = self.path.join("store.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(io_error)?;
        }
        drop(database::open(&self.path, &unfinished)?);
        database::sync_tree(&unfinished).map_err(io_error)?;
        fs::rename(&unfinished, store).map_err(io_error)?;
        self.sync().map_err(io_error)
    }
}

/// Names the kind of file at the path. Returns `None` if the path is a folder or cannot be examined.
pub(crate) fn not_a_folder(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => None,
        Ok(there) if there.is_file() => Some("a file"),
        Ok(_) => Some("a device, a pipe or a socket"),
        Err(_) if path.is_symlink() => Some("a link that leads nowhere"),
        Err(_) => None,
    }
}

/// Makes the end of a journal durable. Must be called before any later commit is acknowledged.
///
/// After a power cut, the remains of a torn commit may follow the last whole commit. This function cuts off the
/// remains. fjall also cuts them off if an entry is unreadable. But if all entries are readable and one of them has a
/// hole, fjall refuses the store.
///
/// This function also rewrites, in place, the commits that may not be on the disk. An earlier sync of those commits may
/// have failed. After a failed sync, the operating system treats the data as written, so another sync would not write
/// it.
fn fix_tail(tail: &JournalTail) -> io::Result<()> {
    if tail.commits.is_empty() && !tail.is_torn {
        return Ok(());
    }
    let journal = File::options().read(true).write(true).open(&tail.path)?;
    if tail.is_torn {
        journal.set_len(tail.commits.end)?;
    }
    let mut commits = vec![0; (tail.commits.end - tail.commits.start) as usize];
    journal.read_exact_at(&mut commits, tail.commits.start)?;
    journal.write_all_at(&commits, tail.commits.start)?;
    journal.sync_all()
}

/// Creates the folder durably. Syncs the folder's parents even if the folder exists, because an earlier start may have
/// been killed before it synced them.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.join("FORMAT").exists() { Ok(()) } else { folders::create_durably(path) }
}
