//! The format of backups of the embedded store, and the [`target`]s that hold them. The commands `orders backup` and
//! `orders restore`, and the continuous backup of the service, use this module. The module does not depend on the
//! engine.
//!
//! A backup is a folder, or a prefix of a bucket:
//!
//! ```text
//! segments/<SHA-256 of the file>.zst   JSON lines, compressed with zstd
//! manifests/<number>.json              one for each increment; written last
//! ```
//!
//! - A *log segment* contains recorded events in the order of their positions, as lines of [`record`]. A *state segment*
//!   contains rows of one keyspace, as lines of [`row`].
//! - A [`manifest`] lists everything that a restore to its position needs: all log segments from position 1 on, and the
//!   state segments. So a restore reads one manifest, and any older manifest can be removed. A segment that has not
//!   changed since the previous increment is listed again, but not stored again.
//! - An increment begins at the first position of the last log segment, and replaces that segment if there are more
//!   events. So all log segments except the last are full, even if increments are frequent.
//! - A file is stored under its final name only when it is complete. A crash leaves segments that no manifest lists.

pub mod error;
pub(crate) mod fetch;
pub mod increment;
mod local_folder;
mod log_writer;
pub mod manifest;
pub mod record;
pub mod retention;
pub mod row;
pub mod running_hash;
pub mod segment;
pub mod source;
mod state_writer;
pub mod stream;
pub mod target;
mod text;
pub mod verify;

pub use error::BackupError;

/// The format of the manifests and segments that this version writes. This version also reads older formats.
pub const FORMAT: u32 = 1;

/// The keyspaces whose rows are in state segments, in the order of a backup. The segments of `receipts` contain only
/// the rows of events that are not in the log: refused and parked events.
pub const STATE_KEYSPACES: [&str; 9] = [
    "receipts",
    "queue",
    "receives",
    "first_receives",
    "dead_letters",
    "lines",
    "letter_ids",
    "alerts",
    "webhooks",
];

#[cfg(test)]
mod increment_tests;
#[cfg(test)]
mod tests;
