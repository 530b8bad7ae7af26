//! Verifies the tables of a data folder, and rebuilds its derived writes, while no service uses the folder. The
//! commands of the binary call these functions.

mod feed_positions;
mod index_rows;
mod rebuild;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::store::continuity;
use super::store::folder::DataFolder;
use super::store::open_error::OpenError;

pub(crate) use rebuild::rebuild;

/// The findings of a rebuild.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// The number of orders in the log.
    pub orders: u64,
    /// The number of events in the log.
    pub events: u64,
    /// The derived writes and the ledger counters that differ from the log.
    pub differences: RebuildFindings,
    /// The logs that cannot be folded. Such logs are not changed.
    pub broken: RebuildFindings,
    /// The projections and list entries of orders that have no log. These rows may be the only remaining data of the
    /// orders, so they are kept unless [`RebuildOptions::remove_orphans`] is set.
    pub orphans: RebuildFindings,
}

/// The options of a rebuild.
#[derive(Debug, Clone, Copy, Default)]
pub struct RebuildOptions {
    /// Compare only, and change nothing.
    pub check_only: bool,
    /// Remove projections and list entries of orders that have no log.
    pub remove_orphans: bool,
}

/// The findings of one kind: their number, and the first findings as examples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildFindings {
    /// The number of findings.
    pub count: u64,
    /// One sentence for each of the first [`RebuildFindings::MAX_EXAMPLES`] findings.
    pub examples: Vec<String>,
}

impl RebuildFindings {
    /// The maximum number of examples that are kept.
    pub const MAX_EXAMPLES: usize = 20;

    fn add(&mut self, finding: String) {
        self.count += 1;
        if self.examples.len() < Self::MAX_EXAMPLES {
            self.examples.push(finding);
        }
    }
}

/// Reads every table of the folder at `path` and verifies its checksum. `progress` gets the number of bytes read so
/// far. Returns the total number of bytes.
pub fn verify(path: &Path, progress: &dyn Fn(u64)) -> Result<u64, OpenError> {
    let folder = DataFolder::claim(path)?;
    continuity::verify_tables(&folder.store(), folder.last_keyspace(), progress)
        .map_err(|flaw| folder.explain(flaw))
}
