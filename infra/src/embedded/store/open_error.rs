//! The reasons why a data folder cannot be used. Opening, recovery and verification return these errors.

use std::io;
use std::path::{Path, PathBuf};

use super::continuity::Flaw;

/// The reason why a data folder cannot be used. The folder was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the data folder.
    #[error("the data folder {} is in use by another process: stop that process, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The folder is not empty, but has no data of this program.
    #[error(
        "{} is not an orders data folder: it is not empty and has no valid FORMAT file. Choose another folder; \
         nothing was changed in this one", .0.display()
    )]
    Foreign(PathBuf),
    /// A restore of the folder was interrupted, or is running.
    #[error(
        "the data folder {} is incomplete: a restore was interrupted, or is running. Let it end, or restore again: \
         orders restore SOURCE --data {}", .0.display(), .0.display()
    )]
    Restoring(PathBuf),
    /// The path is not a folder.
    #[error(
        "the data folder {} is {what}, not a folder. Choose a folder, or a path that does not exist yet",
        path.display()
    )]
    NotAFolder {
        /// The path.
        path: PathBuf,
        /// The kind of file at the path, such as "a file".
        what: &'static str,
    },
    /// Another version of the program has written the folder.
    #[error(
        "the data folder {} was written by another version of this program (its FORMAT is {found:?}; this version reads \
         {readable:?} and older). Open it with that version; nothing was changed in it", path.display()
    )]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// The content of the folder's FORMAT file.
        found: String,
        /// The newest format that this version reads.
        readable: &'static str,
    },
    /// The content of the folder is damaged or incomplete.
    #[error(
        "the data folder {} is damaged: {what}. Nothing was changed in it. Restore it from a backup, or find out what \
         can be saved: orders recover --dry-run --data {}", path.display(), path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is damaged, and where.
        what: String,
    },
    /// The file system returned an error, for example because of permissions, a read-only file system or a full disk.
    #[error("the data folder {} cannot be used: {}", path.display(), explain(error))]
    Io {
        /// The path of the folder or of the file in it.
        path: PathBuf,
        /// The file system's error. The field is not called `source`, because a `source` would be printed a second
        /// time, as the cause.
        error: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Changes the error's folder from a mirror to the folder at `path` that it mirrors.
    pub(crate) fn of_folder(self, path: &Path) -> Self {
        match self {
            Self::Damaged { what, .. } => Self::damaged(path, what),
            Self::Io { error, .. } => Self::io(path, error),
            other => other,
        }
    }

    /// Makes the error that reports a flaw of the folder at `path`. The check in [`continuity`](super::continuity)
    /// finds such flaws.
    pub(crate) fn of_flaw(path: &Path, flaw: Flaw) -> Self {
        let name = |file: &Path| file.strip_prefix(path).unwrap_or(file).display().to_string();
        match flaw {
            Flaw::Io(file, error) => Self::Io { path: file, error },
            Flaw::Cut(cut) => Self::damaged(path, cut.describe(&name(&cut.path))),
            Flaw::Missing(file, what) | Flaw::Irreparable(file, what) => {
                Self::damaged(path, format!("{}: {what}", name(&file)))
            }
        }
    }
}

fn explain(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => ": this user may not write to the data folder",
        io::ErrorKind::NotADirectory => ": a part of the path is a file, not a folder",
        io::ErrorKind::ReadOnlyFilesystem => ": the file system of the folder is mounted read-only",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some space and start again",
        _ => "",
    };
    format!("{error}{hint}")
}
