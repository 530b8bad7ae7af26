//! What this engine knows of fjall's private file layout, and nothing else does: [`journal`] reads its journals,
//! [`manifest`] the lists of its tables. Both only read. fjall is pinned to one exact version in `Cargo.toml`; whoever
//! raises it reads this folder first, and the tests below fail when the layout has changed.

pub(crate) mod journal;
pub(crate) mod manifest;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was found where something else belongs.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// The file holds something else.
    Damaged(PathBuf, String),
}

impl Fault {
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

/// The journals of the store, oldest first, each with its number.
pub(crate) fn journals(store: &Path) -> Result<Vec<(u64, PathBuf)>, Fault> {
    let entries = fs::read_dir(store).map_err(Fault::io(store))?;
    let mut journals = Vec::new();
    for entry in entries {
        let path = entry.map_err(Fault::io(store))?.path();
        if path.extension() != Some(OsStr::new("jnl")) {
            continue;
        }
        let number = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
        let number = number.ok_or_else(|| Fault::damaged(&path, "the name of a journal is a number"))?;
        journals.push((number, path));
    }
    journals.sort_unstable();
    Ok(journals)
}

/// Where the journal of this number is.
pub(crate) fn journal_path(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{number}.jnl"))
}

/// The folder of a keyspace's tables.
pub(crate) fn keyspace_path(store: &Path, keyspace: u64) -> PathBuf {
    store.join("keyspaces").join(keyspace.to_string())
}

#[cfg(test)]
mod tests;
