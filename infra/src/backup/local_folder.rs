//! The folder of a backup on the local machine: its path, its lock, and the files that killed backups leave.
//! [`target`](super::target) calls these functions.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;

use crate::folders::create_durably;

/// The absolute path of a folder that need not exist. The existing part of the path is resolved, without `..` and
/// symbolic links, because the store of a target accepts no `..`.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for known in path.ancestors() {
        match fs::canonicalize(known) {
            Ok(found) => {
                let rest = path.strip_prefix(known).map_err(io::Error::other)?;
                return Ok(found.components().chain(rest.components()).collect());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

/// Creates the folder if it does not exist. Opens the folder so that it can be locked.
pub(super) fn open(folder: &Path) -> io::Result<File> {
    // The files contain secrets and the data of all customers, so only the user of this process can read them.
    umask(Mode::from_raw_mode(0o077));
    create_durably(folder)?;
    File::open(folder)
}

/// Removes the files that killed backups were writing. The store names a file `NAME#NUMBER` until it is complete. The
/// caller must hold the lock of the folder.
pub(super) fn remove_incomplete(folder: &Path) -> io::Result<()> {
    for part in ["segments", "manifests"] {
        let files = match fs::read_dir(folder.join(part)) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for file in files {
            let file = file?;
            let name = file.file_name();
            let parts = name.to_str().and_then(|name| name.rsplit_once('#'));
            let is_incomplete = parts.is_some_and(|(name, number)| {
                [".zst", ".json"].iter().any(|end| name.ends_with(end)) && number.parse::<u64>().is_ok()
            });
            if is_incomplete {
                fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}
