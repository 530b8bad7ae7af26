//! Sends alerts about dead letters to the log, and to a webhook if one is configured. `serve` creates the `AlertSinks`.

use async_trait::async_trait;
use consumer::alert::Alert;
use consumer::ports::Alerts;
use infra::webhook::Webhook;

#[derive(Debug)]
pub(crate) struct AlertSinks {
    pub(crate) webhook: Option<Webhook>,
}

#[async_trait]
impl Alerts for AlertSinks {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let (count, orders) = (alert.count, alert.orders);
        let reasons = serde_json::to_string(&alert.reasons)?;
        let first = alert.first.first().map(|first| first.id.as_str());
        let next = "orders dlq list";
        tracing::error!(
            count,
            orders,
            reasons,
            first,
            next,
            "dead letters: nothing is lost, but an operator must decide about them"
        );
        match &self.webhook {
            Some(webhook) => webhook.raise(alert).await,
            None => Ok(()),
        }
    }
}
