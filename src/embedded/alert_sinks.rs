//! Sends alerts to the log, and to a webhook if one is configured. `serve` creates the `AlertSinks`.

use async_trait::async_trait;
use consumer::alert::{Alert, DeadLetterAlert, WebhookAlert};
use consumer::ports::Alerts;
use infra::webhook::Webhook;

#[derive(Debug)]
pub(crate) struct AlertSinks {
    pub(crate) webhook: Option<Webhook>,
}

#[async_trait]
impl Alerts for AlertSinks {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        match alert {
            Alert::DeadLetters(alert) => log_dead_letters(alert)?,
            Alert::Webhook(alert) => log_webhook(alert),
        }
        match &self.webhook {
            Some(webhook) => webhook.raise(alert).await,
            None => Ok(()),
        }
    }
}

fn log_dead_letters(alert: &DeadLetterAlert) -> anyhow::Result<()> {
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
    Ok(())
}

fn log_webhook(alert: &WebhookAlert) {
    let WebhookAlert { subscription_id: subscription, stopped, gave_up, order_id, .. } = alert;
    let next = format!("orders webhooks show {subscription}");
    tracing::error!(
        subscription,
        stopped,
        gave_up,
        order_id,
        next,
        "webhook: nothing is lost, but an operator must decide about the subscription"
    );
}
