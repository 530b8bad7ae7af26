//! The data folder: its format, its lock, and the files beside the database. Opening and recovery lock it. If the
//! content is unexpected, they return an error and change nothing.
//!
//! ```text
//! orders-data/
//!   LOCK        locked by the process that uses the folder
//!   store.new/  an incomplete database; left by a first start that was interrupted
//!   store/      the fjall database
//!   EXTENT      how far the journals are on the disk
//!   FORMAT      "orders data folder, format 5"; written when everything else is complete
//!   FORMAT.new  the next FORMAT; left by an upgrade that was interrupted
//! ```
//!
//! Format 4 had no indexes but the customers' lists. Format 3 also had no `EXTENT` and no commit numbers. Such folders are
//! upgraded when they are opened: `FORMAT` is replaced first, so that no earlier version opens the folder again, and then the
//! [backfill](super::backfill) fills the indexes.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use super::continuity::{self, Flaw, JournalTail};
use super::database;
use super::extent::{Extent, ExtentFile};
use super::keyspaces::{self, Keyspaces};
use super::layout;
use super::open_error::OpenError;

const FORMAT: &str = "orders data folder, format 5\n";
const FORMAT_4: &str = "orders data folder, format 4\n";
const FORMAT_3: &str = "orders data folder, format 3\n";

/// How complete the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FolderState {
    /// The folder is empty, or a first start in it was interrupted.
    Unfinished,
    /// The folder has a store of format 3.
    Format3,
    /// A store of format 4.
    Format4,
    /// A store of this format.
    Complete,
}

/// A data folder that this process has locked.
pub(crate) struct DataFolder {
    path: PathBuf,
    state: FolderState,
    // Holds the lock, which is released when the file is closed.
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if it does not exist, and locks it against other processes. After this call, only its own
    /// user can read the files that this process creates.
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
                let folder = Self { path: path.to_owned(), state, _lock: lock };
                if folder.is_new() {
                    // A store without a LOCK would later be refused as a folder of another program.
                    folder.sync().map_err(io_error)?;
                }
                Ok(folder)
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::io(&lock_path, source)),
        }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.state == FolderState::Unfinished
    }

    /// Whether the folder had an earlier format when it was claimed.
    pub(crate) fn is_upgrade(&self) -> bool {
        matches!(self.state, FolderState::Format3 | FolderState::Format4)
    }

    /// The number of the last keyspace that must be there.
    pub(crate) fn last_keyspace(&self) -> u64 {
        if self.is_upgrade() { keyspaces::LAST_OF_FORMAT_4 } else { keyspaces::LAST }
    }

    /// Whether the folder has an extent, and so everything in it must be there.
    fn has_extent(&self) -> bool {
        matches!(self.state, FolderState::Format4 | FolderState::Complete)
    }

    /// The path of the database.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Opens the database, after a check that no acknowledged write is missing. Returns the extent of what the store
    /// must contain, if the folder has one. The caller must call [`DataFolder::complete`] afterwards.
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
            // It has new keyspaces.
            database::sync_tree(&store).map_err(io_error)?;
        }
        Ok((keyspaces, extent))
    }

    /// Checks that the store contains every acknowledged write. Returns the extent, if the folder has one, and the ends
    /// of the journals.
    fn check(&self) -> Result<(Option<Extent>, Vec<JournalTail>), OpenError> {
        let extent = self.extent()?;
        if !self.store().join("version").is_file() {
            return Err(OpenError::damaged(&self.path, "store/version is missing"));
        }
        let promised = extent.as_ref().filter(|_| self.state != FolderState::Format3);
        let tails = continuity::check(&self.store(), promised, self.last_keyspace())
            .map_err(|flaw| self.explain(flaw))?;
        Ok((extent, tails))
    }

    /// The flaw of the store, if it has one, and the extent of what it must contain, if the extent can be read.
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
            // The folder is not complete: nothing was acknowledged yet.
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

    /// Syncs the folder's own entries, so that they survive a power cut.
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

/// Names what is at the path if it is not a folder. Returns `None` if it is a folder or cannot be examined.
fn not_a_folder(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => None,
        Ok(there) if there.is_file() => Some("a file"),
        Ok(_) => Some("a device, a pipe or a socket"),
        Err(_) if path.is_symlink() => Some("a link that leads nowhere"),
        Err(_) => None,
    }
}

/// Makes the end of a journal durable before anything after it is acknowledged.
///
/// After a power cut, the remains of a torn commit may follow the last whole commit. This function cuts them off. fjall
/// also cuts them off if an entry cannot be read. But if all entries can be read and one of them has a hole, fjall
/// refuses the store.
///
/// Commits that are not known to be durable are written again, in place. Their sync may have failed. The operating
/// system then treats them as written, so another sync would not write them.
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

/// Creates the folder and its missing parents so that they survive a power cut. Each folder is an entry of its parent,
/// so the parent must be synced. A folder without `FORMAT` may come from a start that was killed before it synced the
/// parent.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.join("FORMAT").exists() {
        return Ok(());
    }
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in path.ancestors() {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        let synced = File::open(above.unwrap_or(Path::new("."))).and_then(|above| above.sync_all());
        if missing.contains(&folder) {
            synced?;
        }
        // This user may not be allowed to read a parent that existed before. The creator of that parent had to sync it.
    }
    Ok(())
}

/// How complete the folder is. It is an error if the folder contains other files.
fn state_of(path: &Path) -> Result<FolderState, OpenError> {
    let io_error = |source| OpenError::io(path, source);
    let format = path.join("FORMAT");
    let mut text = Vec::new();
    if format.exists() {
        let limit = FORMAT.len() as u64 + 1;
        let read = File::open(&format).and_then(|file| file.take(limit).read_to_end(&mut text));
        read.map_err(|source| OpenError::io(&format, source))?;
    }
    if text == FORMAT.as_bytes() {
        return Ok(FolderState::Complete);
    }
    if text == FORMAT_4.as_bytes() {
        return Ok(FolderState::Format4);
    }
    if text == FORMAT_3.as_bytes() {
        return Ok(FolderState::Format3);
    }
    if text.starts_with(b"orders data folder, format ") && text.ends_with(b"\n") {
        let found = String::from_utf8_lossy(&text).into_owned();
        return Err(OpenError::OtherFormat { path: path.to_owned(), found, readable: FORMAT });
    }
    let entries = fs::read_dir(path).map_err(io_error)?.collect::<Result<Vec<_>, _>>().map_err(io_error)?;
    // The root of a new ext4 file system contains this folder.
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.file_name() != "lost+found").collect();
    let has_lock = entries.iter().any(|entry| entry.file_name() == "LOCK");
    let ours = ["LOCK", "store.new", "store", "EXTENT", "FORMAT", "FORMAT.new"].map(OsStr::new);
    let ours = entries.iter().all(|entry| ours.contains(&entry.file_name().as_os_str()));
    // EXTENT is synced before FORMAT is written. So if EXTENT cannot be read here, a first start was interrupted.
    let has_extent = ExtentFile::read(path).is_ok_and(|extent| extent.is_some());
    // A first start that is interrupted in its last step leaves a truncated FORMAT. Any other text comes from another
    // program.
    let cut_short = [FORMAT, FORMAT_4, FORMAT_3].iter().any(|format| format.as_bytes().starts_with(&text));
    if entries.is_empty() || (has_lock && ours && cut_short) {
        // With an EXTENT, everything but FORMAT must be there. A store without the latest keyspace is of format 4.
        let has_indexes = layout::keyspace_path(&path.join("store"), keyspaces::LAST).exists();
        return Ok(match (has_extent, has_indexes) {
            (true, true) => FolderState::Complete,
            (true, false) => FolderState::Format4,
            (false, _) => FolderState::Unfinished,
        });
    }
    Err(OpenError::Foreign(path.to_owned()))
}
