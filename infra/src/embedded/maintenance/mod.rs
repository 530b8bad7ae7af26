//! Work on a data folder that no service is using: verify its tables, export its events, and rebuild the derived
//! writes. The commands of the binary call these functions.

mod index_rows;
mod rebuild;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::log::Log;
use super::store::folder::DataFolder;
use super::store::open_error::OpenError;
use super::store::{continuity, keys};

pub(crate) use rebuild::rebuild;

/// What a rebuild found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// The number of orders in the log.
    pub orders: u64,
    /// The number of events in the log.
    pub events: u64,
    /// The differences between the log and its derived writes, or the ledger.
    pub differences: RebuildFindings,
    /// The logs that cannot be folded. They are not changed.
    pub broken: RebuildFindings,
    /// The projections and list entries of orders that have no log. They may be the only remaining data of these
    /// orders, so they are kept unless [`RebuildOptions::remove_orphans`] is set.
    pub orphans: RebuildFindings,
}

/// What a rebuild does.
#[derive(Debug, Clone, Copy, Default)]
pub struct RebuildOptions {
    /// Compare only, and change nothing.
    pub check_only: bool,
    /// Remove projections and list entries of orders that have no log.
    pub remove_orphans: bool,
}

/// How many findings there are, with the first of them as examples.
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

/// Writes every recorded event as a line of JSON, order by order. Returns the number of events.
pub(crate) fn export(log: &Log, out: &mut dyn Write) -> anyhow::Result<u64> {
    let mut events = 0;
    for row in log.store.keys.log.iter() {
        let (key, entry) = row.into_inner()?;
        let order_id = keys::order_of_log_key(&key)?;
        let event = log.decode_entry(&entry).with_context(|| format!("order {order_id}"))?;
        out.write_all(&event.encode())?;
        out.write_all(b"\n")?;
        events += 1;
    }
    out.flush()?;
    Ok(events)
}
