//! The errors of writing and reading backups. The commands print these errors, and the service logs them.

use super::manifest::ManifestFlaw;
use super::segment::SegmentFlaw;

/// The reason why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The name of the target is not valid, or not supported.
    #[error("{location:?} is no place for a backup: {what}")]
    Location {
        /// The name of the target, as given.
        location: String,
        /// What is wrong with the name.
        what: String,
    },
    /// The target contains files that do not belong to a backup.
    #[error("{location} is not a backup: it contains {found:?}. Choose an empty folder or prefix")]
    Foreign {
        /// The name of the target.
        location: String,
        /// The name of such a file or folder.
        found: String,
    },
    /// The target contains no manifest.
    #[error("{location} contains no backup: it has no file in manifests/")]
    Empty {
        /// The name of the target.
        location: String,
    },
    /// A file of the backup is missing.
    #[error("{location} lacks {path}{}", holding(holds))]
    Missing {
        /// The name of the target.
        location: String,
        /// The path of the file in the target.
        path: String,
        /// A description of the file's content, or an empty string.
        holds: String,
    },
    /// The increment was removed while it was read.
    #[error(
        "increment {number} of {location} was removed while it was read. Try again; if this happens again, keep more \
         increments"
    )]
    Removed {
        /// The name of the target.
        location: String,
        /// The number of the increment.
        number: u64,
    },
    /// A manifest cannot be used.
    #[error("{path} in {location} cannot be used: {flaw}")]
    Manifest {
        /// The name of the target.
        location: String,
        /// The path of the manifest in the target.
        path: String,
        /// What is wrong with the manifest.
        flaw: ManifestFlaw,
    },
    /// A segment is damaged.
    #[error("{path} in {location}{} is damaged: {flaw}", holding(holds))]
    Segment {
        /// The name of the target.
        location: String,
        /// The path of the segment in the target.
        path: String,
        /// A description of the segment's content, or an empty string.
        holds: String,
        /// What is wrong with the segment.
        flaw: SegmentFlaw,
    },
    /// The target contains the backup of another data folder.
    #[error(
        "{location} contains the backup of another data folder ({there}; this one is {here}). Choose another target"
    )]
    OtherFolder {
        /// The name of the target.
        location: String,
        /// The name of the folder in the backup.
        there: String,
        /// The name of the folder to back up.
        here: String,
    },
    /// The data folder does not contain the events that the target contains.
    #[error(
        "the data folder does not continue the backup in {location}: {what}. It was restored to an earlier moment, \
         recovered or rebuilt. Choose another target, and keep this one"
    )]
    Diverged {
        /// The name of the target.
        location: String,
        /// The first difference between the folder and the target.
        what: String,
    },
    /// Another backup into the same target has written the manifest first.
    #[error(
        "another backup has written {path} in {location} meanwhile. Let only one backup write to a target"
    )]
    Concurrent {
        /// The name of the target.
        location: String,
        /// The path of the manifest in the target.
        path: String,
    },
    /// The target refused an operation, or cannot be reached.
    #[error("{location} cannot be used: {what}")]
    Target {
        /// The name of the target.
        location: String,
        /// What was attempted, and the error.
        what: String,
    },
    /// The data folder, or the service that reads it, failed.
    #[error("{0:#}")]
    Source(#[from] anyhow::Error),
}

fn holding(holds: &str) -> String {
    if holds.is_empty() { String::new() } else { format!(" ({holds})") }
}
