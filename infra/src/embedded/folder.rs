//! The data folder: whose it is, who uses it, whether it can be trusted. Every doubt is an error that changes
//! nothing in it.
//!
//! ```text
//! orders-data/
//!   FORMAT    "orders data folder, format 1"; locked by the process that uses the folder
//!   store/    the fjall database
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::Database;

use super::journal_check;
use super::keys::Keyspaces;

const FORMAT: &str = "orders data folder, format 1\n";
/// Of the engine's block cache.
const CACHE_BYTES: u64 = 32 << 20;

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
    #[error("the data folder {} cannot be used: {}", path.display(), explain(source))]
    Io {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

fn explain(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => ": this user may not write there",
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
    // Its lock is released when the file is closed.
    _format: File,
}

impl DataFolder {
    /// Takes hold of the folder: creates it if need be, and locks it against other processes.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::io(path, source);
        fs::create_dir_all(path).map_err(io_error)?;
        let is_new = fs::read_dir(path).map_err(io_error)?.next().is_none();
        let format_path = path.join("FORMAT");
        if !is_new && !format_path.is_file() {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(is_new).open(&format_path);
        let mut format = opened.map_err(|source| OpenError::io(&format_path, source))?;
        match format.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(OpenError::io(&format_path, source)),
        }
        if is_new {
            format.write_all(FORMAT.as_bytes()).and_then(|()| format.sync_all()).map_err(io_error)?;
            // The folder's entry for the file has to survive a power cut as well.
            File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error)?;
        }
        let folder = Self { path: path.to_owned(), is_new, _format: format };
        folder.check_format(&format_path)?;
        Ok(folder)
    }

    fn check_format(&self, format_path: &Path) -> Result<(), OpenError> {
        let mut text = Vec::new();
        let limit = FORMAT.len() as u64 + 1;
        let read = File::open(format_path).and_then(|file| file.take(limit).read_to_end(&mut text));
        read.map_err(|source| OpenError::io(format_path, source))?;
        if text == FORMAT.as_bytes() { Ok(()) } else { Err(OpenError::Foreign(self.path.clone())) }
    }

    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens the database in it, after making sure that doing so cannot lose anything.
    pub(super) fn open_store(&self) -> Result<Keyspaces, OpenError> {
        let store = self.path.join("store");
        // fjall makes a new, empty database where its version file is missing; never do that beside data.
        let has_data = store.join("keyspaces").exists() || !journal_check::journals(&store).is_empty();
        if !store.join("version").exists() && has_data {
            return Err(OpenError::damaged(
                &self.path,
                "store/version is missing, but there is data beside it",
            ));
        }
        journal_check::check(&store)?;
        // fjall meets some kinds of damage with a panic; to the user they are all the same.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = Database::builder(&store).cache_size(CACHE_BYTES).open()?;
            Keyspaces::open(db)
        }));
        match opened {
            Ok(Ok(keyspaces)) => Ok(keyspaces),
            Ok(Err(error)) => Err(self.explain_open(&store, error)),
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
