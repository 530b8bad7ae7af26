//! Reports dead letters to the operators of the service. Each alert is pending on disk until it is delivered, so that
//! neither a crash nor a failed delivery loses the alert.

use std::sync::Arc;
use std::time::Duration;

use consumer::alert::{Alert, DeadLetterAlert};
use consumer::backoff::exponential;
use consumer::ports::Alerts;
use fjall::{UserKey, UserValue};
use tokio::sync::watch;
use tokio::time::sleep;

use super::DeadLetters;
use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;

/// How long an alert is delayed after its first dead letter, so that it also covers the dead letters that follow soon.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// The maximum number of dead letters that one alert covers. Each dead letter of an alert takes a few bytes of memory.
const MAX_LETTERS_PER_ALERT: usize = 1_000_000;
/// The longest pause before an alert is tried again.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(300);

/// Raises alerts until `stop` becomes true. A failed alert is tried again, together with later dead letters.
pub async fn run(engine: Embedded, alerts: Arc<dyn Alerts>, mut stop: watch::Receiver<bool>) {
    let letters = engine.dead_letters();
    let work = async {
        let mut failures = 0;
        loop {
            let notified = letters.alarm.notified();
            let pause = match letters.raise(alerts.as_ref()).await {
                Ok(0) => {
                    failures = 0;
                    notified.await;
                    GATHER_TIME
                }
                Ok(_) => continue,
                Err(error) => {
                    failures += 1;
                    let pause = exponential(failures + 1, GATHER_TIME, MAX_RETRY_PAUSE);
                    tracing::error!("cannot raise an alert, trying again in {pause:?}: {error:#}");
                    pause
                }
            };
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// The rows of pending alerts, each as its key and its value.
type PendingAlerts = Vec<(UserKey, UserValue)>;

impl DeadLetters {
    /// Raises one alert for all dead letters whose alert is pending. Returns the number of these dead letters.
    async fn raise(self: &Arc<Self>, alerts: &dyn Alerts) -> anyhow::Result<usize> {
        let letters = Arc::clone(self);
        let (pending, alert) = self.store.read_turns.read(move || letters.pending_alerts()).await?;
        if let Some(alert) = alert {
            alerts.raise(&alert).await?;
        }
        let count = pending.len();
        if count > 0 {
            let raised = move |letters: &Arc<Self>, stage: &mut Stage| {
                let alerts = &letters.store.keys.alerts;
                // If a dead letter was parked again since its row was read, the row has another value. Such a row is
                // kept, so that another alert follows.
                let rows = pending.iter().map(|(key, _)| alerts.get(key)).collect::<Result<Vec<_>, _>>()?;
                let rows =
                    rows.into_iter().zip(pending).filter(|(row, (_, since))| row.as_ref() == Some(since));
                rows.for_each(|(_, (key, _))| stage.remove(alerts, key));
                Ok(())
            };
            self.change(Durability::Written, raised).await?;
        }
        Ok(count)
    }

    /// Reads the rows of the pending alerts. Returns the rows, and one alert for all dead letters of these rows that
    /// still exist.
    fn pending_alerts(&self) -> anyhow::Result<(PendingAlerts, Option<Alert>)> {
        let mut alert = DeadLetterAlert::default();
        let mut pending = Vec::new();
        for row in self.store.keys.alerts.iter().take(MAX_LETTERS_PER_ALERT) {
            let (key, since) = row.into_inner()?;
            if let Some(letter) = self.at(&self.store.latest(), keys::seq_of(&key)?)? {
                alert.add(&letter);
            }
            pending.push((key, since));
        }
        Ok((pending, Some(alert).filter(|alert| alert.count > 0).map(Alert::DeadLetters)))
    }
}
