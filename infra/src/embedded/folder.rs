//! The data folder: whose it is, who uses it, whether it can be trusted. Every doubt is an error that changes
//! nothing in it.
//!
//! ```text
//! orders-data/
//!   LOCK        locked by the process that uses the folder
//!   store.new/  a store in the making, of a first start that was interrupted
//!   store/      the fjall database
//!   FORMAT      "orders data folder, format 3"; written when the store is complete
//! ```

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use fjall::Database;
use rustix::process::setpriority_process;

use super::journal_check;
use super::keys::Keyspaces;

const FORMAT: &str = "orders data folder, format 3\n";
/// Of the engine's block cache.
const CACHE_BYTES: u64 = 32 << 20;

/// Threads that flush and compact. fjall's first one is for flushes only: as long as all others compact, and more waits to
/// be, it passes that around in circles, which takes a core. So there are enough for that not to last.
const WORKERS: usize = 4;
/// How nice they are: on a busy machine they get a third of what others get, which is enough to keep up.
const NICE: i32 = 5;

/// Why a data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder {} is in use by another process: stop that one, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// It holds something else.
    #[error(
        "{} is not an orders data folder: it is not empty and has no valid FORMAT file. Choose another folder; \
         nothing was changed in this one", .0.display()
    )]
    Foreign(PathBuf),
    /// There is something else at its path.
    #[error(
        "the data folder {} is {what}, not a folder. Choose a path that is a folder, or that nothing is at yet",
        path.display()
    )]
    NotAFolder {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It is of another version of this program.
    #[error(
        "the data folder {} is of another version of this program (it says {found:?}, and this version reads \
         {FORMAT:?}). Use that version for it; nothing was changed in it", path.display()
    )]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// What its FORMAT file says.
        found: String,
    },
    /// What is in it contradicts itself.
    #[error(
        "the data folder {} is damaged: {what}. Nothing was changed in it: restore it from a backup, or keep a copy \
         before you try to repair it", path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What was found, and where.
        what: String,
    },
    /// The file system said no: permissions, a read-only or full disk.
    #[error("the data folder {} cannot be used: {}", path.display(), explain(error))]
    Io {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the file system said. Not called `source`: then it would be printed twice, here and as the cause.
        error: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

fn explain(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => ": this user may not write there",
        io::ErrorKind::NotADirectory => ": something on its path is a file, not a folder",
        io::ErrorKind::ReadOnlyFilesystem => ": its file system is mounted read-only",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space and start again",
        _ => "",
    };
    format!("{error}{hint}")
}

/// A data folder that this process holds.
pub(super) struct DataFolder {
    path: PathBuf,
    is_new: bool,
    // The lock is released when the file is closed.
    _lock: File,
}

impl DataFolder {
    /// Takes hold of the folder: creates it if need be, and locks it against other processes.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::io(path, source);
        if let Some(what) = not_a_folder(path) {
            return Err(OpenError::NotAFolder { path: path.to_owned(), what });
        }
        create_durably(path).map_err(io_error)?;
        let is_new = is_unfinished(path)?;
        let lock_path = path.join("LOCK");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = opened.map_err(|source| OpenError::io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), is_new, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(OpenError::io(&lock_path, source)),
        }
    }

    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Where the database is.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Opens the database in it, after making sure that doing so cannot lose anything.
    pub(super) fn open_store(&self) -> Result<Keyspaces, OpenError> {
        let store = self.store();
        if self.is_new {
            self.create_store(&store)?;
        }
        self.check_complete(&store)?;
        journal_check::check(&store)?;
        self.open_database(&store)
    }

    /// Makes an empty store, which appears whole or not at all, and then says that the folder is ours.
    fn create_store(&self, store: &Path) -> Result<(), OpenError> {
        let io_error = |source| OpenError::io(&self.path, source);
        if !store.exists() {
            let unfinished = self.path.join("store.new");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).map_err(io_error)?;
            }
            drop(self.open_database(&unfinished)?);
            fs::rename(&unfinished, store).map_err(io_error)?;
        }
        let mut format = File::create(self.path.join("FORMAT")).map_err(io_error)?;
        format.write_all(FORMAT.as_bytes()).and_then(|()| format.sync_all()).map_err(io_error)?;
        // The folder's own entries have to survive a power cut as well.
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io_error)
    }

    /// fjall makes anew what it misses, and deletes what is left over then. So see to it that it misses nothing.
    fn check_complete(&self, store: &Path) -> Result<(), OpenError> {
        // fjall numbers keyspaces in the order of their creation, and has one of its own, 0.
        let trees = (0..=Keyspaces::COUNT).map(|n| format!("keyspaces/{n}/current"));
        for part in trees.chain(["version".to_owned()]) {
            if !store.join(&part).is_file() {
                return Err(OpenError::damaged(&self.path, format!("store/{part} is missing")));
            }
        }
        if journal_check::journals(store).is_empty() {
            return Err(OpenError::damaged(&self.path, "the store has no journal (store/*.jnl)"));
        }
        Ok(())
    }

    fn open_database(&self, store: &Path) -> Result<Keyspaces, OpenError> {
        // fjall meets some kinds of damage with a panic; to the user they are all the same.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = Database::builder(store).cache_size(CACHE_BYTES).worker_threads(WORKERS);
            Keyspaces::open(in_background(|| db.open())?)
        }));
        match opened {
            Ok(Ok(keyspaces)) => Ok(keyspaces),
            Ok(Err(error)) => Err(self.explain_open(store, error)),
            Err(_) => {
                Err(OpenError::damaged(&self.path, "the store cannot be recovered; the log says where"))
            }
        }
    }

    fn explain_open(&self, store: &Path, error: fjall::Error) -> OpenError {
        match error {
            fjall::Error::Locked => OpenError::InUse(self.path.clone()),
            fjall::Error::Io(source) if source.kind() != io::ErrorKind::NotFound => {
                OpenError::io(store, source)
            }
            fjall::Error::InvalidVersion(_) => {
                OpenError::damaged(&self.path, "store/version is not one that this program reads")
            }
            other => OpenError::damaged(&self.path, format!("the store cannot be recovered: {other:?}")),
        }
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

/// Creates the folder, with those above it that are missing, so that a power cut does not take it away with all that is in
/// it: each is an entry of the one above.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
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

/// Whether the folder is empty or holds no more than a first start that was interrupted; an error if it holds
/// anything else but a data folder of ours.
fn is_unfinished(path: &Path) -> Result<bool, OpenError> {
    let io_error = |source| OpenError::io(path, source);
    let format = path.join("FORMAT");
    let mut text = Vec::new();
    if format.exists() {
        let limit = FORMAT.len() as u64 + 1;
        let read = File::open(&format).and_then(|file| file.take(limit).read_to_end(&mut text));
        read.map_err(|source| OpenError::io(&format, source))?;
    }
    if text == FORMAT.as_bytes() {
        return Ok(false);
    }
    if text.starts_with(b"orders data folder, format ") && text.ends_with(b"\n") {
        let found = String::from_utf8_lossy(&text).into_owned();
        return Err(OpenError::OtherFormat { path: path.to_owned(), found });
    }
    let entries = fs::read_dir(path).map_err(io_error)?.collect::<Result<Vec<_>, _>>().map_err(io_error)?;
    // The root of a fresh ext4 file system has this folder, which is the system's.
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.file_name() != "lost+found").collect();
    let has_lock = entries.iter().any(|entry| entry.file_name() == "LOCK");
    let ours = ["LOCK", "store.new", "store", "FORMAT"].map(OsStr::new);
    let ours = entries.iter().all(|entry| ours.contains(&entry.file_name().as_os_str()));
    // A FORMAT that was cut short is the last step of a first start; any other text is somebody else's.
    if entries.is_empty() || (has_lock && ours && FORMAT.as_bytes().starts_with(&text)) {
        return Ok(true);
    }
    Err(OpenError::Foreign(path.to_owned()))
}
