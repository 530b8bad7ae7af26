//! Counts the attempts to raise alerts. The commands wrap their sinks of alerts in it.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::counter;

use super::Alert;
use crate::ports::Alerts;

/// The counter of attempts to raise an alert, by `type` and `result`.
pub const ALERTS: &str = "orders_alerts_total";
/// The values of the label `result`.
pub const RESULTS: [&str; 2] = ["raised", "failed"];

/// A sink of alerts whose attempts are counted.
#[derive(Clone)]
pub struct CountedAlerts(pub Arc<dyn Alerts>);

#[async_trait]
impl Alerts for CountedAlerts {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let raised = self.0.raise(alert).await;
        let [ok, failed] = RESULTS;
        let result = if raised.is_ok() { ok } else { failed };
        counter!(ALERTS, "type" => alert.kind(), "result" => result).increment(1);
        raised
    }
}
