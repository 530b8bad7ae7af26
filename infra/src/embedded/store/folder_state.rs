//! Determines the format of a data folder and how complete it is, without changing anything. [`folder`](super::folder)
//! calls this module.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::extent::ExtentFile;
use super::keyspaces;
use super::layout;
use super::open_error::OpenError;

/// The content of `FORMAT` in a complete folder of the current format.
pub(crate) const FORMAT: &str = "orders data folder, format 6\n";
const FORMAT_5: &str = "orders data folder, format 5\n";
const FORMAT_4: &str = "orders data folder, format 4\n";
const FORMAT_3: &str = "orders data folder, format 3\n";

/// How complete the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// The folder is empty, or a first start in it was interrupted.
    Unfinished,
    /// The folder has a store of format 3.
    Format3,
    /// The folder has a store of format 4.
    Format4,
    /// The folder has a store of format 5.
    Format5,
    /// The folder has a store of the current format.
    Complete,
}

/// The name of the subfolder in which a restore builds the data folder. See [`restore`](crate::embedded::restore).
pub(crate) const RESTORING: &str = "restoring";

/// Determines how complete the folder is. Fails if the folder contains files of other programs.
pub(crate) fn state_of(path: &Path) -> Result<FolderState, OpenError> {
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
    if text == FORMAT_5.as_bytes() {
        return Ok(FolderState::Format5);
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
    if path.join(RESTORING).exists() {
        return Err(OpenError::Restoring(path.to_owned()));
    }
    let entries = fs::read_dir(path).map_err(io_error)?.collect::<Result<Vec<_>, _>>().map_err(io_error)?;
    // The root of a new ext4 file system contains `lost+found`.
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.file_name() != "lost+found").collect();
    let has_lock = entries.iter().any(|entry| entry.file_name() == "LOCK");
    let ours = ["LOCK", "store.new", "store", "EXTENT", "FORMAT", "FORMAT.new"].map(OsStr::new);
    let ours = entries.iter().all(|entry| ours.contains(&entry.file_name().as_os_str()));
    // EXTENT is synced before FORMAT is written. So if EXTENT cannot be read and FORMAT is not complete, a first start
    // was interrupted.
    let has_extent = ExtentFile::read(path).is_ok_and(|extent| extent.is_some());
    // A first start that is interrupted in its last step leaves a truncated FORMAT. Any other text was written by
    // another program.
    let cut_short =
        [FORMAT, FORMAT_5, FORMAT_4, FORMAT_3].iter().any(|format| format.as_bytes().starts_with(&text));
    if entries.is_empty() || (has_lock && ours && cut_short) {
        // If EXTENT can be read, only FORMAT is missing, and the newest keyspace shows the format of the store.
        let has = |keyspace| layout::keyspace_path(&path.join("store"), keyspace).exists();
        return Ok(match has_extent {
            true if has(keyspaces::LAST) => FolderState::Complete,
            true if has(keyspaces::LAST_OF_FORMAT_5) => FolderState::Format5,
            true => FolderState::Format4,
            false => FolderState::Unfinished,
        });
    }
    Err(OpenError::Foreign(path.to_owned()))
}
