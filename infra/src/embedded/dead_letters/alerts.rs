//! Tells of dead letters. Those of which nobody was told are remembered on disk, so neither a crash nor a sink that fails
//! makes an alert disappear.

use std::sync::Arc;
use std::time::Duration;

use consumer::alert::Alert;
use consumer::backoff::exponential;
use consumer::ports::Alerts;
use fjall::{UserKey, UserValue};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;

/// How long the first letter waits for company, so that a flood of them is one alert.
const LINGER: Duration = Duration::from_secs(1);
/// The most letters of an alert: what is kept of each is a few bytes.
const MOST: usize = 1_000_000;
/// The longest pause before an alert is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Raises alerts until `stop` becomes true. One that cannot be raised is tried again, with what has come since.
pub async fn run(engine: Embedded, alerts: Arc<dyn Alerts>, mut stop: watch::Receiver<bool>) {
    let work = async {
        let mut failures = 0;
        loop {
            let rung = engine.0.alarm.notified();
            let pause = match raise(&engine, alerts.as_ref()).await {
                Ok(0) => {
                    failures = 0;
                    rung.await;
                    LINGER
                }
                Ok(_) => continue,
                Err(error) => {
                    failures += 1;
                    let pause = exponential(failures + 1, LINGER, MAX_PAUSE);
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

/// Raises one alert for all letters of which nobody was told, and tells how many they were.
async fn raise(engine: &Embedded, alerts: &dyn Alerts) -> anyhow::Result<usize> {
    let (pending, alert) = engine.read(Embedded::untold).await?;
    if let Some(alert) = alert {
        alerts.raise(&alert).await?;
    }
    let count = pending.len();
    if count > 0 {
        let told = move |engine: &Embedded, stage: &mut Stage| {
            let alerts = &engine.0.keys.alerts;
            // One that was put aside once more meanwhile is still to be told of.
            let rows = pending.iter().map(|(key, _)| alerts.get(key)).collect::<Result<Vec<_>, _>>()?;
            let rows = rows.into_iter().zip(pending).filter(|(row, (_, since))| row.as_ref() == Some(since));
            rows.for_each(|(_, (key, _))| stage.remove(alerts, key));
            Ok(())
        };
        engine.change_letters(Durability::Written, told).await?;
    }
    Ok(count)
}

/// Of a letter of which nobody was told: the key of its row, and what that holds.
type Untold = (UserKey, UserValue);

impl Embedded {
    /// The letters of which nobody was told, and the alert for those of them that are still there.
    fn untold(&self) -> anyhow::Result<(Vec<Untold>, Option<Alert>)> {
        let mut alert = Alert::default();
        let mut pending = Vec::new();
        for row in self.0.keys.alerts.iter().take(MOST) {
            let (key, since) = row.into_inner()?;
            if let Some(letter) = self.letter_at(&self.latest(), keys::seq_of(&key)?)? {
                alert.add(&letter);
            }
            pending.push((key, since));
        }
        Ok((pending, Some(alert).filter(|alert| alert.count > 0)))
    }
}
