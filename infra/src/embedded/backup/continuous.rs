//! The continuous backup of a running service, which writes increments on a separate thread. A failed increment is
//! logged and tried again. A failure never stops the service.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::operations::{BackupReport, StoredBackup};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::BackupPace;
use crate::backup::BackupError;
use crate::backup::increment::{IncrementOptions, IncrementReport, write_increment};
use crate::backup::retention::Retention;
use crate::backup::target::Target;
use crate::embedded::Embedded;
use crate::now;

/// The pause after the first failure. The pause doubles with each further failure, up to the interval or [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// What to back up, where to, and how often.
#[derive(Debug, Clone)]
pub struct ContinuousBackup {
    /// Where to write.
    pub target: Target,
    /// The time from the beginning of one increment to the beginning of the next.
    pub every: Duration,
    /// The number of increments to keep. `None` keeps all increments.
    pub keep: Option<u64>,
}

/// The status of a service's continuous backup.
#[derive(Debug)]
pub(crate) struct BackupStatus {
    target: String,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// The latest increment, and the commit that it contains.
    last: Option<(StoredBackup, u64)>,
    failures: u64,
    bytes_written: u64,
    error: Option<String>,
}

impl BackupStatus {
    fn new(target: &Target) -> Self {
        Self { target: target.location().to_owned(), progress: Mutex::default() }
    }

    /// The report about the backup. Compares the latest increment with the synced position and its commit.
    pub(crate) fn report(&self, (position, commit): (u64, u64)) -> BackupReport {
        let progress = self.progress();
        let last = progress.last.as_ref();
        let age = |last: &(StoredBackup, u64)| match last.1 == commit {
            true => Duration::ZERO,
            false => {
                let micros = now().micros().saturating_sub(last.0.time.micros());
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            }
        };
        BackupReport {
            target: self.target.clone(),
            last: last.map(|(last, _)| *last),
            lag: last.map(age),
            lag_events: last.map(|(last, _)| position.saturating_sub(last.position)),
            failures: progress.failures,
            bytes_written: progress.bytes_written,
            error: progress.error.clone(),
        }
    }

    fn succeeded(&self, report: &IncrementReport, commit: u64) {
        let IncrementReport { time, position, number, .. } = *report;
        let mut progress = self.progress();
        progress.last = Some((StoredBackup { number, time, position }, commit));
        progress.bytes_written += report.bytes_written;
        progress.error = None;
    }

    fn failed(&self, error: &BackupError) {
        let mut progress = self.progress();
        progress.failures += 1;
        progress.error = Some(error.to_string());
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes increments until `stopped` becomes true. An unfinished increment is abandoned, and the next start begins that
/// increment again. Must run on a separate thread, because compression blocks the thread.
pub fn run(
    engine: &Embedded,
    backup: ContinuousBackup,
    mut stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let status = Arc::new(BackupStatus::new(&backup.target));
    engine.show_backup(&status);
    let worker = Worker { engine: engine.clone(), backup, status, retention: Retention::default() };
    async move {
        tokio::select! {
            // An error means that the sender was dropped, because the service is already stopping.
            _ = stopped.wait_for(|stop| *stop) => {}
            () = worker.run() => {}
        }
    }
}

struct Worker {
    engine: Embedded,
    backup: ContinuousBackup,
    status: Arc<BackupStatus>,
    retention: Retention,
}

impl Worker {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let result = self.increment().await;
            let next = match &result {
                Ok(report) => {
                    pause = FIRST_PAUSE;
                    log(report);
                    begun + self.backup.every
                }
                Err(error) => {
                    self.status.failed(error);
                    tracing::warn!(backup_to = self.backup.target.location(), again_in = ?pause, "the backup failed: {error}");
                    let next = Instant::now() + pause;
                    pause = (pause * 2).min(self.backup.every.max(FIRST_PAUSE)).min(MAX_PAUSE);
                    next
                }
            };
            sleep_until(next).await;
        }
    }

    async fn increment(&mut self) -> Result<IncrementReport, BackupError> {
        let target = &self.backup.target;
        let _lock = target.lock().await?;
        let mut source = self.engine.backup_source(BackupPace::Shared);
        let report = write_increment(target, &mut source, IncrementOptions::default()).await?;
        let commit = source.commit().unwrap_or(0);
        self.status.succeeded(&report, commit);
        if let Some(keep) = self.backup.keep {
            self.retention.apply(target, keep).await?;
        }
        Ok(report)
    }
}

fn log(report: &IncrementReport) {
    let IncrementReport { number, position, new_events, segments_written, bytes_written, .. } = *report;
    if report.unchanged {
        tracing::debug!(number, position, "the backup is up to date");
        return;
    }
    tracing::info!(number, position, new_events, segments_written, bytes_written, "backed up");
    if report.contradicts_ledger {
        tracing::warn!(
            events = report.events,
            recorded = report.recorded,
            "the backup and the ledger differ: the folder was damaged; see `orders rebuild --check`"
        );
    }
}
