//! The journal file that is synced after commits. The syncing thread owns a [`JournalFile`], which follows fjall from
//! one journal to the next.

use std::fs::File;
use std::io;
use std::mem::replace;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use super::layout;
use super::reclaim;

/// The journal that fjall writes to. Older journals have lower numbers and are completely synced, because fjall syncs a
/// journal before it begins the next journal.
pub(crate) struct JournalFile {
    store: PathBuf,
    pub(crate) number: u64,
    file: File,
    /// The channel to the thread that frees the space of full journals.
    full_journals: Sender<File>,
}

impl JournalFile {
    pub(crate) fn newest(store: &Path) -> io::Result<Self> {
        let number = newest_journal(store)?;
        let (file, full_journals) = (open(store, number)?, reclaim::start()?);
        Ok(Self { store: store.to_owned(), number, file, full_journals })
    }

    /// Syncs everything that was written to any journal before this call.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.follow()?;
        self.file.sync_data()
    }

    /// Moves to the newest journal. Journal numbers have no gaps, and the oldest journals are removed first. So the
    /// current journal is the newest if it still exists and no journal has the next number.
    fn follow(&mut self) -> io::Result<()> {
        loop {
            match open(&self.store, self.number + 1) {
                Ok(file) => self.turn_to(self.number + 1, file),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) if self.file.metadata()?.nlink() > 0 => return Ok(()),
                Err(_) => {
                    let number = newest_journal(&self.store)?;
                    self.turn_to(number, open(&self.store, number)?);
                }
            }
        }
    }

    fn turn_to(&mut self, number: u64, file: File) {
        self.number = number;
        // Sending fails only if a bug has ended the reclaiming thread. The failed send drops the file, which closes it.
        let _ = self.full_journals.send(replace(&mut self.file, file));
    }
}

pub(crate) fn newest_journal(store: &Path) -> io::Result<u64> {
    let journals = layout::journals(store).map_err(|error| io::Error::other(format!("{error:?}")))?;
    journals.last().map(|(number, _)| *number).ok_or_else(|| io::Error::other("the store has no journal"))
}

/// Opens a journal for two purposes: syncing the journal, and truncating it through the handle after its name was
/// removed.
fn open(store: &Path, number: u64) -> io::Result<File> {
    File::options().write(true).open(layout::journal_path(store, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_journal_is_synced_even_if_journals_in_between_are_gone() {
        let folder = tempfile::TempDir::new().unwrap();
        let (make, remove) = (
            |number| File::create(layout::journal_path(folder.path(), number)).unwrap(),
            |number| std::fs::remove_file(layout::journal_path(folder.path(), number)).unwrap(),
        );
        make(3);
        let mut journal = JournalFile::newest(folder.path()).unwrap();
        make(4);
        journal.sync().unwrap();
        assert_eq!(journal.number, 4);
        for number in 5..9 {
            make(number);
        }
        (3..7).for_each(remove);
        journal.sync().unwrap();
        assert_eq!(journal.number, 8);
    }
}
