//! Journals that are full. fjall removes one when everything in it is in tables, and to free tens of MiB at once, in the
//! many pieces that they were written in, keeps the disk busy for a tenth of a second each: as long as that, orders
//! would wait for their sync. So the files are held open, which puts off the freeing, and are shortened bit by bit.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How much is freed at once, and how often.
const STEP: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(20);
/// How often to look whether one was removed.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the thread that frees the files handed to it, opened for writing, once they are removed. When the sender is gone
/// it ends, and leaves the rest to the system.
pub(crate) fn start() -> io::Result<Sender<File>> {
    let (sender, handed) = mpsc::channel();
    thread::Builder::new().name("reclaim".to_owned()).spawn(move || run(&handed))?;
    Ok(sender)
}

fn run(handed: &Receiver<File>) {
    let mut files: Vec<File> = Vec::new();
    let mut wait = LOOK;
    loop {
        match handed.recv_timeout(wait) {
            Ok(file) => files.push(file),
            Err(RecvTimeoutError::Timeout) => {
                let removed = files.iter().position(is_removed);
                wait = if removed.is_some() { PAUSE } else { LOOK };
                // One that cannot be shortened is freed by closing it.
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

/// Whether the file has no name any more, so that nobody can come to read it.
fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

/// Whether there is more to free.
fn shorten(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len().saturating_sub(STEP);
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
        std::fs::write(&path, vec![1; 2 * STEP as usize + 1]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        assert!(!is_removed(&file));
        std::fs::remove_file(&path).unwrap();
        assert!(is_removed(&file));
        let lengths: Vec<_> =
            (0..3).map(|_| (shorten(&file).unwrap(), file.metadata().unwrap().len())).collect();
        assert_eq!(lengths, [(true, STEP + 1), (true, 1), (false, 0)]);
    }
}
