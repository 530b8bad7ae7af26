//! Journal reclaim: frees the space of full journals step by step. The syncing thread hands the journals over.
//!
//! fjall removes a journal once its content is in tables. A journal consists of many pieces, and freeing tens of MiB in
//! one step keeps the disk busy for a tenth of a second. Orders would wait that long for their sync. So the reclaiming
//! thread holds the files open, because removing an open file frees no space. Once fjall has removed a file, the thread
//! shortens it step by step.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

const STEP_BYTES: u64 = 1 << 20;
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// How often the thread looks for removed journals.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the thread that reclaims journals. Send it files that are open for writing. The thread frees each file after
/// the file was removed. When the sender is dropped, the thread ends, and the operating system frees the remaining
/// files.
pub(crate) fn start() -> io::Result<Sender<File>> {
    let (sender, handed) = mpsc::channel();
    thread::Builder::new().name("reclaim".to_owned()).spawn(move || run(&handed))?;
    Ok(sender)
}

fn run(handed: &Receiver<File>) {
    let mut files: Vec<File> = Vec::new();
    let mut wait = LOOK_INTERVAL;
    loop {
        match handed.recv_timeout(wait) {
            Ok(file) => files.push(file),
            Err(RecvTimeoutError::Timeout) => {
                let removed = files.iter().position(is_removed);
                wait = if removed.is_some() { STEP_PAUSE } else { LOOK_INTERVAL };
                // A file that cannot be shortened is closed, which frees its space.
                if let Some(at) = removed
                    && !shorten(&files[at]).unwrap_or(false)
                {
                    files.remove(at);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Whether the file no longer has a name, so that no process can open it.
fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

/// Frees a part of the file's space, by shortening the file by one step. Returns whether the file has space left to
/// free.
fn shorten(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len().saturating_sub(STEP_BYTES);
    file.set_len(length)?;
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shortened_once_it_is_removed_and_not_before() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("1.jnl");
        std::fs::write(&path, vec![1; 2 * STEP_BYTES as usize + 1]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        assert!(!is_removed(&file));
        std::fs::remove_file(&path).unwrap();
        assert!(is_removed(&file));
        let lengths: Vec<_> =
            (0..3).map(|_| (shorten(&file).unwrap(), file.metadata().unwrap().len())).collect();
        assert_eq!(lengths, [(true, STEP_BYTES + 1), (true, 1), (false, 0)]);
    }
}
