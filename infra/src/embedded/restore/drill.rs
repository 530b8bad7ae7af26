//! Restores a backup into a scratch folder, folds every order again, and compares the result with the backup. The
//! verification of backups and the drill of the service call [`rehearse`].

use std::fs;
use std::io;
use std::path::Path;

use domain::Currency;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{
    QueuedMessages, RestoreError, RestoreOptions, RestoreProgress, RestoreReport, RestoreStep, ShowProgress,
    Until, restore,
};
use crate::backup::target::Target;
use crate::embedded::maintenance::RebuildReport;
use crate::embedded::store::open_error::OpenError;
use crate::embedded::{Embedded, Options, priority};

/// The result of a rehearsal.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// The content of the scratch folder.
    pub restored: RestoreReport,
    /// The problems of the restored folder, one sentence for each. At most 20 of each kind are listed. Empty if there
    /// are no problems.
    pub findings: Vec<String>,
}

/// Restores the end of the backup into the folder `scratch`, opens the folder like a start, and folds every order.
/// Earlier content of `scratch` is removed before the restore. The folder is removed at the end.
///
/// This call blocks, and uses `runtime` to read the backup. It must not be called on a thread of that runtime.
pub fn rehearse(
    runtime: &Handle,
    source: &Target,
    scratch: &Path,
    default_currency: Currency,
    progress: ShowProgress<'_>,
) -> Result<Rehearsal, RestoreError> {
    remove(scratch)?;
    let rehearsed = rehearse_in(runtime, source, scratch, default_currency, progress);
    remove(scratch)?;
    rehearsed
}

/// Like [`rehearse`], in a new folder within `parent`.
pub fn rehearse_within(
    runtime: &Handle,
    source: &Target,
    parent: &Path,
    default_currency: Currency,
    progress: ShowProgress<'_>,
) -> Result<Rehearsal, RestoreError> {
    let folder = tempfile::Builder::new().prefix("orders-drill-").tempdir_in(parent);
    let folder = folder.map_err(|error| OpenError::io(parent, error))?;
    rehearse(runtime, source, &folder.path().join("data"), default_currency, progress)
}

fn rehearse_in(
    runtime: &Handle,
    source: &Target,
    scratch: &Path,
    default_currency: Currency,
    progress: ShowProgress<'_>,
) -> Result<Rehearsal, RestoreError> {
    let options = RestoreOptions { until: Until::End, queue: QueuedMessages::Again, default_currency };
    // The queue is restored, so no message is listed.
    let restored = restore(runtime, source, scratch, options, &mut |_| Ok(()), progress)?;
    let engine = Embedded::open(scratch, Options::new(default_currency))?;
    let fold = |done| progress(RestoreProgress { step: RestoreStep::Fold, done, all: restored.events });
    let rebuilt = runtime.block_on(engine.compare(&fold));
    let rebuilt = rebuilt.map_err(|error| RestoreError::Write { path: scratch.to_owned(), error })?;
    Ok(Rehearsal { findings: findings(&restored, &rebuilt), restored })
}

/// Runs `work`, and the threads that it starts, at a low priority. So the drill of a service does not slow down
/// requests.
pub fn in_background<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    priority::run_at(priority::DRILLS, work)
}

fn remove(scratch: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenError::io(scratch, error).into()),
        _ => Ok(()),
    }
}

fn findings(restored: &RestoreReport, rebuilt: &RebuildReport) -> Vec<String> {
    let mut found = Vec::new();
    let (events, orders) = (rebuilt.events, rebuilt.orders);
    if (events, orders) != (restored.events, restored.orders) {
        found.push(format!("the log has {events} events of {orders} orders, and not what was restored"));
    }
    for findings in [&rebuilt.broken, &rebuilt.differences, &rebuilt.orphans] {
        found.extend(findings.examples.iter().cloned());
    }
    found
}
