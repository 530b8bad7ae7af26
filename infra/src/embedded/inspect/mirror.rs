//! Makes a mirror of a data folder, so that the store can be opened without changing the folder. The mirror has copies
//! of all files that fjall changes, and links to the tables, which are never changed. If fjall removes a table from the
//! mirror, only the link is removed.
//!
//! The content of a journal is usually much smaller than its allocated space, so the copies are small. The caller must
//! hold the lock of the folder while the mirror exists.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::embedded::store::layout::journal;

/// Makes a mirror in the folder for temporary files. Only the user of this process can read the mirror.
pub(super) fn mirror(folder: &Path) -> io::Result<TempDir> {
    let mirror = tempfile::Builder::new().prefix("orders-inspect-").tempdir()?;
    let folder = fs::canonicalize(folder)?;
    for file in ["FORMAT", "EXTENT"] {
        match fs::copy(folder.join(file), mirror.path().join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::write(mirror.path().join("LOCK"), [])?;
    mirror_tree(&folder.join("store"), &mirror.path().join("store"))?;
    Ok(mirror)
}

fn mirror_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let is_tables = from.file_name().is_some_and(|name| name == "tables");
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if fs::metadata(&path)?.is_dir() {
            mirror_tree(&path, &copy)?;
        } else if is_tables {
            symlink(&path, &copy)?;
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            fs::write(&copy, journal::read(&path)?)?;
        } else {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}
