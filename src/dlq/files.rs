//! Finds and reads the files of an archive of dead letters, for `import` and `export`. Links are not followed, and only
//! regular files are opened. A file that cannot be read is reported by its path, and the others are still read.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
#[cfg(feature = "embedded")]
use std::{fs, path::PathBuf};

#[cfg(feature = "embedded")]
use anyhow::Context;
use anyhow::ensure;
use rustix::fs::OFlags;

/// The maximum size of a file. The largest dead letter contains two bodies of 1 MiB, the current and the original one,
/// with every byte escaped.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// The files below a path, sorted by path.
#[cfg(feature = "embedded")]
#[derive(Debug, Default)]
pub(super) struct ArchiveFiles {
    pub(super) files: Vec<PathBuf>,
    /// Each path that is neither a file nor a readable folder, with the reason.
    pub(super) skipped: Vec<String>,
}

#[cfg(feature = "embedded")]
impl ArchiveFiles {
    /// Finds the files below `path`. `path` may be a link, because the user chose it. Links below it are not followed.
    pub(super) fn below(path: &Path) -> anyhow::Result<Self> {
        let at = || format!("cannot read {}", path.display());
        let mut found = Self::default();
        if fs::metadata(path).with_context(at)?.is_dir() {
            found.folder(path, fs::read_dir(path).with_context(at)?);
        } else {
            found.files.push(fs::canonicalize(path).with_context(at)?);
        }
        Ok(found)
    }

    fn folder(&mut self, path: &Path, entries: fs::ReadDir) {
        let mut below = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => below.push(entry.path()),
                Err(error) => self.skip(path, &error.to_string()),
            }
        }
        below.sort();
        below.into_iter().for_each(|path| self.entry(path));
    }

    fn entry(&mut self, path: PathBuf) {
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_file() => self.files.push(path),
            Ok(there) if there.is_symlink() => {
                self.skip(&path, "the path is a link, and links are not followed");
            }
            Ok(there) if there.is_dir() => match fs::read_dir(&path) {
                Ok(entries) => self.folder(&path, entries),
                Err(error) => self.skip(&path, &error.to_string()),
            },
            Ok(_) => self.skip(&path, "the path is a pipe, a socket or a device, not a file"),
            Err(error) => self.skip(&path, &error.to_string()),
        }
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.skipped.push(format!("{}: {why}", path.display()));
    }
}

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(file)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "the file is larger than any dead letter: {} MiB",
        MAX_BYTES >> 20
    );
    Ok(bytes)
}

/// Opens a regular file. If the file was replaced by a link or a pipe after it was listed, the link is not followed and
/// the open does not block.
fn open(file: &Path) -> anyhow::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    ensure!(file.metadata()?.is_file(), "the path is not a file");
    Ok(file)
}
