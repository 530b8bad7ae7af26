//! The manifest, which makes an increment complete. It contains the state of the folder as of one commit, and the
//! segments that hold its content.
//!
//! ```text
//! {"manifest":{…},"sha256":"<SHA-256 of the bytes of the member `manifest`>"}
//! ```
//!
//! The file contains exactly this text and a newline, so that a change of any byte is noticed. Manifests also form a
//! chain: each manifest contains the hash of the previous manifest's file.

use std::collections::BTreeSet;

use domain::{Ledger, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::running_hash::RunningHash;
use super::segment::{FileHash, SegmentRef};
use super::{FORMAT, STATE_KEYSPACES};

/// The content of the folder as of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the manifest and of the segments.
    pub format: u32,
    /// The number of the increment. The first increment has number 1.
    pub number: u64,
    /// The hash of the previous manifest's file. `None` in the first manifest.
    pub previous: Option<FileHash>,
    /// The version of the program that made the increment.
    pub service_version: String,
    /// When the increment was begun. The state of the increment is at least as new.
    pub time: Timestamp,
    /// The state of the folder.
    pub folder: FolderState,
    /// The running hash over all events.
    pub hash: RunningHash,
    /// The segments with the events, from position 1 to the position of the folder, without gaps.
    pub log: Vec<LogSegment>,
    /// The segments with all other rows, sorted by keyspace and key.
    pub state: Vec<StateSegment>,
}

/// The state of a folder as of one synced commit, apart from the rows in segments. The source of a backup reports the
/// state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderState {
    /// The name of the data folder, which is part of the ids of messages.
    pub name: String,
    /// The folder format, which determines how rows are encoded.
    pub format: u32,
    /// The number of the commit.
    pub commit: u64,
    /// The latest position of the feed.
    pub position: u64,
    /// The ledger.
    pub ledger: Ledger,
    /// The number of dead letters that are parked or being redriven.
    pub dead_letters: u64,
    /// The number of messages on the queue.
    pub queued: u64,
    /// The sequence number of the next message.
    pub next_seq: u64,
    /// The searchable keys of the metadata.
    pub searchable: BTreeSet<String>,
}

/// A segment with events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSegment {
    /// The file of the segment.
    #[serde(flatten)]
    pub file: SegmentRef,
    /// The first position in the segment.
    pub first: u64,
    /// The last position in the segment.
    pub last: u64,
    /// The number of events.
    pub events: u64,
    /// The number of orders whose first event is in the segment.
    pub orders: u64,
    /// The running hash after the last event of the segment.
    pub hash: RunningHash,
}

/// A segment with rows of a keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSegment {
    /// The file of the segment.
    #[serde(flatten)]
    pub file: SegmentRef,
    /// The keyspace, one of [`STATE_KEYSPACES`].
    pub keyspace: String,
    /// The number of rows.
    pub rows: u64,
}

/// The reason why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFlaw {
    /// The bytes of the manifest were changed after they were written.
    #[error("{0}")]
    Damaged(String),
    /// A later version of the program has written the manifest.
    #[error("it has format {found}, and this version reads formats up to {FORMAT}")]
    Newer {
        /// The format of the manifest.
        found: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct ManifestFile<'a> {
    #[serde(borrow)]
    manifest: &'a RawValue,
    sha256: FileHash,
}

/// The members that all formats of manifests have in common.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Manifest {
    /// The path of the manifest within the backup.
    pub fn path(number: u64) -> String {
        format!("manifests/{number:010}.json")
    }

    /// The number in the name of a file in `manifests/`.
    pub fn number_in(name: &str) -> Option<u64> {
        let number = name.strip_suffix(".json")?.parse().ok()?;
        (number > 0 && Self::path(number) == format!("manifests/{name}")).then_some(number)
    }

    /// The number of events in the log segments.
    pub fn events(&self) -> u64 {
        self.log.iter().map(|segment| segment.events).sum()
    }

    /// The number of orders in the log segments.
    pub fn orders(&self) -> u64 {
        self.log.iter().map(|segment| segment.orders).sum()
    }

    /// Whether the number of events contradicts the ledger, which shows that the folder was damaged.
    ///
    /// The consumer counts an event as recorded when it acknowledges the message, shortly after the event is in the
    /// log. Until the acknowledgement, the message is on the queue.
    pub fn contradicts_ledger(&self) -> bool {
        let recorded = self.folder.ledger.recorded;
        !(recorded..=recorded.saturating_add(self.folder.queued)).contains(&self.events())
    }

    /// All files that the manifest lists.
    pub fn files(&self) -> impl Iterator<Item = &SegmentRef> {
        self.log.iter().map(|segment| &segment.file).chain(self.state.iter().map(|segment| &segment.file))
    }

    /// The content of the manifest's file.
    pub fn encode(&self) -> Vec<u8> {
        let manifest = serde_json::to_string(self).expect("manifests always serialize");
        file_of(&manifest)
    }

    /// Decodes the manifest in a file, after a check of every byte. `number` is the number in the file's name.
    pub fn decode(file: &[u8], number: u64) -> Result<Self, ManifestFlaw> {
        let damaged = |what: String| ManifestFlaw::Damaged(what);
        let parts: ManifestFile<'_> = serde_json::from_slice(file)
            .map_err(|error| damaged(format!("it is not a manifest: {error}")))?;
        let json = parts.manifest.get();
        if file_of(json) != file {
            return Err(damaged("its SHA-256 does not fit its content".to_owned()));
        }
        let read = |error: serde_json::Error| damaged(format!("it cannot be read: {error}"));
        let AnyFormat { format } = serde_json::from_str(json).map_err(read)?;
        if format > FORMAT {
            return Err(ManifestFlaw::Newer { found: format });
        }
        let manifest: Self = serde_json::from_str(json).map_err(read)?;
        match manifest.contradiction(number) {
            Some(what) => Err(damaged(what)),
            None => Ok(manifest),
        }
    }

    /// Describes a contradiction within the manifest, if there is one.
    fn contradiction(&self, number: u64) -> Option<String> {
        if self.number != number {
            return Some(format!("it is manifest {}, under the name of manifest {number}", self.number));
        }
        let mut next = 1;
        for segment in &self.log {
            if segment.first != next || segment.last < segment.first {
                return Some(format!("its log segments lack position {next}"));
            }
            next = segment.last.saturating_add(1);
        }
        if next != self.folder.position + 1 {
            return Some(format!("its log segments lack position {next}"));
        }
        let is_unknown = |segment: &&StateSegment| !STATE_KEYSPACES.contains(&segment.keyspace.as_str());
        let unknown = self.state.iter().find(is_unknown)?;
        Some(format!("it has the unknown keyspace {:?}", unknown.keyspace))
    }
}

fn file_of(manifest: &str) -> Vec<u8> {
    let sha256 = FileHash::of(manifest.as_bytes());
    format!("{{\"manifest\":{manifest},\"sha256\":\"{sha256}\"}}\n").into_bytes()
}
