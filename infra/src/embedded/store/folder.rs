//! The data folder: whose it is, who uses it, which format it has. Every doubt is an error that changes nothing in it.
//!
//! ```text
//! orders-data/
//!   LOCK        locked by the process that uses the folder
//!   store.new/  a store in the making, of a first start that was interrupted
//!   store/      the fjall database
//!   EXTENT      how far the journals of the store are on the disk
//!   FORMAT      "orders data folder, format 4"; written when all of that is complete
//!   FORMAT.new  the same, of an upgrade that was interrupted
//! ```
//!
//! Format 3 had no `EXTENT`, and its commits no numbers. Such a folder is upgraded when it is opened.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use super::continuity::{self, Flaw, Tail};
use super::database;
use super::extent::{Extent, ExtentFile};
use super::keys::Keyspaces;
use super::open_error::OpenError;

pub(crate) const FORMAT: &str = "orders data folder, format 4\n";
const FORMAT_3: &str = "orders data folder, format 3\n";

/// What is in the folder so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing, or what a first start left that was interrupted.
    Unfinished,
    /// A store of format 3.
    Format3,
    /// A store of this format.
    Complete,
}

/// A data folder that this process holds.
pub(crate) struct DataFolder {
    path: PathBuf,
    content: Content,
    // The lock is released when the file is closed.
    _lock: File,
}

impl DataFolder {
    /// Takes hold of the folder: creates it if need be, and locks it against other processes. What this process creates
    /// from then on, anywhere, is for its own user only.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::io(path, source);
        if let Some(what) = not_a_folder(path) {
            return Err(OpenError::NotAFolder { path: path.to_owned(), what });
        }
        umask(Mode::from_raw_mode(0o077));
        create_durably(path).map_err(io_error)?;
        let content = content(path)?;
        let lock_path = path.join("LOCK");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = opened.map_err(|source| OpenError::io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {
                let folder = Self { path: path.to_owned(), content, _lock: lock };
                if folder.is_new() {
                    // A store without a LOCK beside it would be taken for somebody else's.
                    folder.sync().map_err(io_error)?;
                }
                Ok(folder)
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::io(&lock_path, source)),
        }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.content == Content::Unfinished
    }

    /// Where the database is.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Opens the database in it, after making sure that doing so cannot lose anything, and returns it with what was
    /// promised of it, if that is on record. [`DataFolder::complete`] has to follow.
    pub(crate) fn open_store(&self) -> Result<(Keyspaces, Option<Extent>), OpenError> {
        let store = self.store();
        let io_error = |source| OpenError::io(&self.path, source);
        if self.is_new() && !store.exists() {
            self.create_store(&store)?;
        }
        let (extent, tails) = self.check()?;
        for tail in &tails {
            settle(tail).map_err(|source| OpenError::io(&tail.path, source))?;
        }
        let is_private = fs::metadata(&store).map_err(io_error)?.permissions().mode() & 0o077 == 0;
        if !is_private {
            fs::set_permissions(&store, Permissions::from_mode(0o700)).map_err(io_error)?;
        }
        if self.content == Content::Format3 {
            database::sync_tree(&store).map_err(io_error)?;
        }
        Ok((database::open(&self.path, &store)?, extent))
    }

    /// Whether everything is there that was promised to be; returns what was promised, if that is on record, and the
    /// ends of its journals.
    fn check(&self) -> Result<(Option<Extent>, Vec<Tail>), OpenError> {
        let extent = self.extent()?;
        if !self.store().join("version").is_file() {
            return Err(OpenError::damaged(&self.path, "store/version is missing"));
        }
        let promised = extent.as_ref().filter(|_| self.content != Content::Format3);
        let tails = continuity::check(&self.store(), promised).map_err(|flaw| self.explain(flaw))?;
        Ok((extent, tails))
    }

    /// What is wrong with the store, if anything is, and what was promised of it, if that can still be read.
    pub(crate) fn flaw(&self) -> Result<(Option<Flaw>, Option<Extent>), OpenError> {
        let extent = match ExtentFile::read(&self.path) {
            Ok(extent) => extent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io(&self.path.join(ExtentFile::NAME), error)),
        };
        Ok((continuity::check(&self.store(), extent.as_ref()).err(), extent))
    }

    pub(crate) fn explain(&self, flaw: Flaw) -> OpenError {
        OpenError::of_flaw(&self.path, flaw)
    }

    fn extent(&self) -> Result<Option<Extent>, OpenError> {
        let damaged =
            |what: &str| Err(OpenError::damaged(&self.path, format!("{} {what}", ExtentFile::NAME)));
        match ExtentFile::read(&self.path) {
            Ok(Some(extent)) => Ok(Some(extent)),
            // Without a complete folder, it was cut short before anything was promised.
            _ if self.content != Content::Complete => Ok(None),
            Ok(None) => damaged("holds no readable record of what was on the disk"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => damaged("is missing"),
            Err(error) => Err(OpenError::io(&self.path.join(ExtentFile::NAME), error)),
        }
    }

    /// Records what is on the disk by now, and that the folder is of this format.
    pub(crate) fn complete(&self, extent: &Extent) -> io::Result<ExtentFile> {
        let file = match ExtentFile::read(&self.path).ok().flatten() {
            Some(known) if self.content == Content::Complete => {
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

    /// The folder's own entries have to survive a power cut as well.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Makes an empty store, which appears whole or not at all.
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

/// What is at the path instead of a folder, if anything is.
fn not_a_folder(path: &Path) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => None,
        Ok(there) if there.is_file() => Some("a file"),
        Ok(_) => Some("a device, a pipe or a socket"),
        Err(_) if path.is_symlink() => Some("a link that leads nowhere"),
        Err(_) => None,
    }
}

/// Makes the end of a journal certain, before anything that follows it is promised.
///
/// What a power cut left behind the last whole commit is cut off. fjall does so where an entry cannot be read; but where a
/// commit has all its entries and one of them has a hole, it refuses the store. And the commits that nobody was promised are
/// written once more, in place: where their sync has failed, the system takes them for written, and a plain sync would not
/// write them.
fn settle(tail: &Tail) -> io::Result<()> {
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

/// Creates the folder, with those above it that are missing, so that a power cut does not take it away with all that is in
/// it: each is an entry of the one above. As long as the folder has no `FORMAT`, an earlier start may have been killed before
/// it synced those above.
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
        // One that this user may not read was made, and synced, by somebody else.
    }
    Ok(())
}

/// What is in the folder; an error if it holds anything else but a data folder of ours.
fn content(path: &Path) -> Result<Content, OpenError> {
    let io_error = |source| OpenError::io(path, source);
    let format = path.join("FORMAT");
    let mut text = Vec::new();
    if format.exists() {
        let limit = FORMAT.len() as u64 + 1;
        let read = File::open(&format).and_then(|file| file.take(limit).read_to_end(&mut text));
        read.map_err(|source| OpenError::io(&format, source))?;
    }
    if text == FORMAT.as_bytes() {
        return Ok(Content::Complete);
    }
    if text == FORMAT_3.as_bytes() {
        return Ok(Content::Format3);
    }
    if text.starts_with(b"orders data folder, format ") && text.ends_with(b"\n") {
        let found = String::from_utf8_lossy(&text).into_owned();
        return Err(OpenError::OtherFormat { path: path.to_owned(), found });
    }
    let entries = fs::read_dir(path).map_err(io_error)?.collect::<Result<Vec<_>, _>>().map_err(io_error)?;
    // The root of a fresh ext4 file system has this folder, which is the system's.
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.file_name() != "lost+found").collect();
    let has_lock = entries.iter().any(|entry| entry.file_name() == "LOCK");
    let ours = ["LOCK", "store.new", "store", "EXTENT", "FORMAT", "FORMAT.new"].map(OsStr::new);
    let ours = entries.iter().all(|entry| ours.contains(&entry.file_name().as_os_str()));
    // It is synced before FORMAT is made, so one that cannot be read is of a first start that was interrupted.
    let has_extent = ExtentFile::read(path).is_ok_and(|extent| extent.is_some());
    // A FORMAT that was cut short is the last step of a first start; any other text is somebody else's.
    let cut_short = [FORMAT, FORMAT_3].iter().any(|format| format.as_bytes().starts_with(&text));
    if entries.is_empty() || (has_lock && ours && cut_short) {
        // With an EXTENT only the name of the format is missing, and everything else is to be there.
        return Ok(if has_extent { Content::Complete } else { Content::Unfinished });
    }
    Err(OpenError::Foreign(path.to_owned()))
}
