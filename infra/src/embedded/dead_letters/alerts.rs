//! Reports dead letters to the operators of the service. Each alert is pending on disk until it is raised, so that
//! neither a crash nor a failing sink loses it.

use std::sync::Arc;
use std::time::Duration;

use consumer::alert::Alert;
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

/// How long the first dead letter waits for others, so that many dead letters within a short time raise one alert.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// One alert covers at most this many dead letters. Each takes a few bytes of memory.
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

/// The key and the value of each row of `alerts`.
type PendingAlerts = Vec<(UserKey, UserValue)>;

impl DeadLetters {
    /// Raises one alert for all dead letters whose alert is pending. Returns how many there were.
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
                // If the dead letter has been parked again since, its alert has another value and stays pending.
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

    /// Reads the pending alerts. Returns them together with one alert for those whose dead letter still exists.
    fn pending_alerts(&self) -> anyhow::Result<(PendingAlerts, Option<Alert>)> {
        let mut alert = Alert::default();
        let mut pending = Vec::new();
        for row in self.store.keys.alerts.iter().take(MAX_LETTERS_PER_ALERT) {
            let (key, since) = row.into_inner()?;
            if let Some(letter) = self.at(&self.store.latest(), keys::seq_of(&key)?)? {
                alert.add(&letter);
            }
            pending.push((key, since));
        }
        Ok((pending, Some(alert).filter(|alert| alert.count > 0)))
    }
}
