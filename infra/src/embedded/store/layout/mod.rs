//! The only code that depends on fjall's private file formats. [`journal`] reads fjall's journals, and [`manifest`]
//! reads the lists of its tables. This module never writes. `Cargo.toml` pins fjall to one exact version, and the tests
//! fail if another version changes a format.

pub(crate) mod journal;
pub(crate) mod manifest;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a file of fjall cannot be read.
#[derive(Debug)]
pub(crate) enum LayoutError {
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// The file is missing, or its content does not have the expected format.
    Damaged(PathBuf, String),
}

impl LayoutError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Damaged(path.to_owned(), "it is missing".to_owned()),
            _ => Self::Io(path.to_owned(), source),
        }
    }

    fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged(path.to_owned(), what.into())
    }
}

/// The journals of the store with their numbers, oldest first.
pub(crate) fn journals(store: &Path) -> Result<Vec<(u64, PathBuf)>, LayoutError> {
    let entries = fs::read_dir(store).map_err(LayoutError::io(store))?;
    let mut journals = Vec::new();
    for entry in entries {
        let path = entry.map_err(LayoutError::io(store))?.path();
        if path.extension() != Some(OsStr::new("jnl")) {
            continue;
        }
        let number = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
        let number =
            number.ok_or_else(|| LayoutError::damaged(&path, "the name of a journal must be a number"))?;
        journals.push((number, path));
    }
    journals.sort_unstable();
    Ok(journals)
}

pub(crate) fn journal_path(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{number}.jnl"))
}

/// The folder with the tables of a keyspace.
pub(crate) fn keyspace_path(store: &Path, keyspace: u64) -> PathBuf {
    store.join("keyspaces").join(keyspace.to_string())
}

#[cfg(test)]
mod tests;
