//! Tells of dead letters. Those of which nobody was told are remembered on disk, so neither a crash nor a sink that fails
//! makes an alert disappear.

use std::sync::Arc;
use std::time::Duration;

use consumer::alert::Alert;
use consumer::ports::Alerts;
use domain::DeadLetter;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Embedded;
use super::keys;
use super::writer::{Durability, Stage};

/// How long the first letter waits for company, so that a flood of them is one alert.
const LINGER: Duration = Duration::from_secs(1);
/// The most letters of an alert.
const MOST: usize = 10_000;
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
                    let pause = (LINGER * 2u32.saturating_pow(failures)).min(MAX_PAUSE);
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
    let pending = engine.read(Embedded::untold).await?;
    let letters: Vec<_> = pending.iter().filter_map(|(_, letter)| letter.as_ref()).collect();
    if let Some(alert) = Alert::of(letters.iter().copied()) {
        alerts.raise(&alert).await?;
    }
    let count = pending.len();
    if count > 0 {
        let told = engine.0.keys.alerts.clone();
        let job = move |stage: &mut Stage| {
            pending.iter().for_each(|(seq, _)| stage.remove(&told, seq.to_be_bytes().to_vec()));
            Ok(())
        };
        engine.0.writer.write(Durability::Written, job).await?;
    }
    Ok(count)
}

impl Embedded {
    /// The letters of which nobody was told; `None` for one that is gone by now.
    fn untold(&self) -> anyhow::Result<Vec<(u64, Option<DeadLetter>)>> {
        let rows = self.0.keys.alerts.iter().take(MOST);
        rows.map(|row| {
            let seq = keys::seq_of(&row.key()?)?;
            Ok((seq, self.letter_at(seq)?))
        })
        .collect()
    }
}
