//! Verifies the continuous backup by drills: on a schedule, the service restores its backup into a scratch folder.
//! Reports the age of the last verified backup. `serve` runs the drills.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use domain::{Currency, Timestamp};
use infra::backup::BackupError;
use infra::backup::target::Target;
use infra::backup::verify::check_files;
use infra::embedded::restore::RestoreError;
use infra::embedded::restore::drill::{in_background, rehearse};
use metrics::{counter, gauge};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::backup_args::interval;
use super::restore::flow;

/// How often the service checks whether a drill is due or has ended, and reports the age of the last verified backup.
const TICK: Duration = Duration::from_secs(1);
/// The longest pause before the next drill, after a drill has failed or has found no backup.
const RETRY: Duration = Duration::from_secs(60);

const AGE: &str = "orders_backup_verified_age_seconds";
const FAILURES: &str = "orders_backup_drill_failures_total";

#[derive(Debug, Clone, Args)]
pub(crate) struct DrillArgs {
    /// How often to restore the backup of --backup-to into a scratch folder, and to compare the result with the backup, such
    /// as `24h`. It takes as much disk space as the data folder, and time of one processor.
    #[arg(long, env = "ORDERS_BACKUP_DRILL", value_name = "DURATION", requires = "backup_to", value_parser = interval)]
    backup_drill: Option<Duration>,
    /// Where to make the scratch folder. The default is the folder for temporary files.
    #[arg(long, env = "ORDERS_BACKUP_DRILL_FOLDER", value_name = "FOLDER", requires = "backup_drill")]
    backup_drill_folder: Option<PathBuf>,
}

/// The drills of a service.
pub(crate) struct Drill {
    source: Target,
    scratch: PathBuf,
    every: Duration,
    default_currency: Currency,
}

impl DrillArgs {
    /// The drills of the backup in `source`, or `None` if none are configured. `data` is the data folder.
    pub(crate) fn drill(
        &self,
        source: &Target,
        data: &Path,
        default_currency: Currency,
    ) -> anyhow::Result<Option<Drill>> {
        let Some(every) = self.backup_drill else { return Ok(None) };
        let parent = self.backup_drill_folder.clone().unwrap_or_else(std::env::temp_dir);
        // The scratch folder has the same name after a restart, so a drill removes what a killed service has left. No
        // other service uses the scratch folder, because no other service uses the data folder.
        let data = std::fs::canonicalize(data).context("the data folder")?;
        let name = data.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let scratch = parent.join(format!("orders-drill{name}"));
        Ok(Some(Drill { source: source.clone(), scratch, every, default_currency }))
    }
}

impl Drill {
    /// Runs drills until `stopped` becomes true.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        counter!(FAILURES).absolute(0);
        let drill = Arc::new(self);
        let stop = Arc::new(AtomicBool::new(false));
        let (mut due, mut verified) = (Instant::now(), None);
        let mut running: Option<JoinHandle<Option<Timestamp>>> = None;
        while !*stopped.borrow() {
            if running.is_none() && Instant::now() >= due {
                running = Some(tokio::spawn(Arc::clone(&drill).once(Arc::clone(&stop))));
            }
            if running.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(ended) = running.take()
            {
                // A drill that panicked counts as failed.
                let done = ended.await.ok().flatten();
                due = Instant::now() + if done.is_some() { drill.every } else { drill.every.min(RETRY) };
                verified = done.or(verified);
            }
            if let Some(at) = verified {
                gauge!(AGE).set((infra::now().micros() - Timestamp::micros(at)) as f64 / 1e6);
            }
            tokio::select! {
                () = sleep(TICK) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        }
        stop.store(true, Ordering::Relaxed);
        if let Some(running) = running {
            // The result of a stopped drill is not needed.
            let _ = running.await;
        }
    }

    /// Runs one drill. Returns when the increment that it verified was begun, or `None` if the drill failed.
    async fn once(self: Arc<Self>, stop: Arc<AtomicBool>) -> Option<Timestamp> {
        let (runtime, begin) = (Handle::current(), Instant::now());
        let drill = Arc::clone(&self);
        let flag = Arc::clone(&stop);
        let work = move || in_background(|| drill.verify(&runtime, &flag));
        let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(panic.into()));
        match result {
            Ok(Some((at, events))) => {
                tracing::info!(events, at = %at, seconds = begin.elapsed().as_secs(), "the backup was restored and verified");
                Some(at)
            }
            Ok(None) => None,
            Err(_) if stop.load(Ordering::Relaxed) => None,
            Err(error) => {
                counter!(FAILURES).increment(1);
                tracing::error!("the drill of the backup has failed: {error:#}");
                None
            }
        }
    }

    /// Verifies the backup. Returns the time and the number of events, or `None` if there is no backup yet.
    fn verify(&self, runtime: &Handle, stop: &AtomicBool) -> anyhow::Result<Option<(Timestamp, u64)>> {
        let files = match check_files(runtime, &self.source, &|_| flow(stop)) {
            Err(BackupError::Empty { .. }) => return Ok(None),
            files => files?,
        };
        if let Some(flaw) = files.flaws.first() {
            let (path, holds, what) = (&flaw.path, &flaw.holds, &flaw.what);
            anyhow::bail!("{path} ({holds}) is damaged: {what}; {} files in all", files.flaws.len());
        }
        let rehearsed =
            rehearse(runtime, &self.source, &self.scratch, self.default_currency, &|_| flow(stop));
        let rehearsal = match rehearsed {
            Err(RestoreError::Backup(BackupError::Empty { .. })) => return Ok(None),
            Err(RestoreError::Backup(error @ BackupError::Removed { .. })) => {
                tracing::warn!("the drill of the backup is repeated: {error}");
                return Ok(None);
            }
            rehearsed => rehearsed?,
        };
        if let Some(finding) = rehearsal.findings.first() {
            anyhow::bail!(
                "the restored folder differs: {finding}; {} findings in all",
                rehearsal.findings.len()
            );
        }
        let restored = rehearsal.restored;
        Ok(restored.state.map(|state| (state.time, restored.events)))
    }
}
