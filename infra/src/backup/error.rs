//! The errors of backups and of reading them. The commands print them, and the service logs them.

use super::manifest::ManifestFlaw;
use super::segment::SegmentFlaw;

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target's name is not one that this program can use.
    #[error("{location:?} is no place for a backup: {what}")]
    Location {
        /// The target as given.
        location: String,
        /// What is wrong with it.
        what: String,
    },
    /// The target contains other files than a backup.
    #[error("{location} is not a backup: it contains {found:?}. Choose an empty folder or prefix")]
    Foreign {
        /// The target.
        location: String,
        /// The name of a file or folder in it.
        found: String,
    },
    /// The target contains no manifest.
    #[error("{location} contains no backup: it has no file in manifests/")]
    Empty {
        /// The target.
        location: String,
    },
    /// A file of the backup is not there.
    #[error("{location} lacks {path}{}", holding(holds))]
    Missing {
        /// The target.
        location: String,
        /// The path of the file in it.
        path: String,
        /// What the file holds, or an empty string.
        holds: String,
    },
    /// The increment was removed while it was read.
    #[error(
        "increment {number} of {location} was removed while it was read. Try again; if this happens again, keep more \
         increments"
    )]
    Removed {
        /// The target.
        location: String,
        /// The number of the increment.
        number: u64,
    },
    /// A manifest cannot be used.
    #[error("{path} in {location} cannot be used: {flaw}")]
    Manifest {
        /// The target.
        location: String,
        /// The path of the manifest in it.
        path: String,
        /// What is wrong.
        flaw: ManifestFlaw,
    },
    /// A segment is damaged.
    #[error("{path} in {location}{} is damaged: {flaw}", holding(holds))]
    Segment {
        /// The target.
        location: String,
        /// The path of the segment in it.
        path: String,
        /// What the segment holds, or an empty string.
        holds: String,
        /// What is wrong.
        flaw: SegmentFlaw,
    },
    /// The target contains the backup of another data folder.
    #[error(
        "{location} contains the backup of another data folder ({there}; this one is {here}). Choose another target"
    )]
    OtherFolder {
        /// The target.
        location: String,
        /// The name of the folder in the backup.
        there: String,
        /// The name of the folder to back up.
        here: String,
    },
    /// The folder does not contain the events that the target contains.
    #[error(
        "the data folder does not continue the backup in {location}: {what}. It was restored to an earlier moment, \
         recovered or rebuilt. Choose another target, and keep this one"
    )]
    Diverged {
        /// The target.
        location: String,
        /// The first difference.
        what: String,
    },
    /// Another backup into the same target has written the manifest first.
    #[error(
        "another backup has written {path} in {location} meanwhile. Let only one backup write to a target"
    )]
    Concurrent {
        /// The target.
        location: String,
        /// The path of the manifest.
        path: String,
    },
    /// The target refused an operation, or cannot be reached.
    #[error("{location} cannot be used: {what}")]
    Target {
        /// The target.
        location: String,
        /// What was attempted, and the answer.
        what: String,
    },
    /// The data folder, or the service that reads it, failed.
    #[error("{0:#}")]
    Source(#[from] anyhow::Error),
}

fn holding(holds: &str) -> String {
    if holds.is_empty() { String::new() } else { format!(" ({holds})") }
}
