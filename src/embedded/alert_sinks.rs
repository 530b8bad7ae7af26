//! Sends alerts to the log, and to a webhook if one is configured. `serve` creates the `AlertSinks`.

use async_trait::async_trait;
use consumer::alert::{Alert, DeadLetterAlert, Deployment, Reminder, WebhookAlert};
use consumer::ports::Alerts;
use infra::webhook::Webhook;

#[derive(Debug)]
pub(crate) struct AlertSinks {
    pub(crate) webhook: Option<Webhook>,
    pub(crate) deployment: Deployment,
}

#[async_trait]
impl Alerts for AlertSinks {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let deployment = self.deployment.as_str();
        match alert {
            Alert::DeadLetters(alert) => log_dead_letters(alert, deployment)?,
            Alert::Webhook(alert) => log_webhook(alert, deployment),
            Alert::Reminder(reminder) => log_reminder(reminder, deployment),
        }
        match &self.webhook {
            Some(webhook) => webhook.raise(alert).await,
            None => Ok(()),
        }
    }
}

fn log_dead_letters(alert: &DeadLetterAlert, deployment: &str) -> anyhow::Result<()> {
    let (count, orders) = (alert.count, alert.orders);
    let reasons = serde_json::to_string(&alert.reasons)?;
    let first = alert.first.first().map(|first| first.id.as_str());
    let next = "orders dlq list";
    tracing::error!(
        count,
        orders,
        reasons,
        first,
        deployment,
        next,
        "dead letters: nothing is lost, but an operator must decide about them"
    );
    Ok(())
}

fn log_webhook(alert: &WebhookAlert, deployment: &str) {
    let WebhookAlert { subscription_id: subscription, stopped, gave_up, order_id, .. } = alert;
    let next = format!("orders webhooks show {subscription}");
    tracing::error!(
        subscription,
        stopped,
        gave_up,
        order_id,
        deployment,
        next,
        "webhook: nothing is lost, but an operator must decide about the subscription"
    );
}

fn log_reminder(reminder: &Reminder, deployment: &str) {
    let Reminder { number, dead_letters, stopped, .. } = reminder;
    let next = if dead_letters.is_some() { "orders dlq list" } else { "orders webhooks list" };
    tracing::error!(
        number,
        dead_letters,
        stopped,
        deployment,
        next,
        "reminder: what was reported is still unresolved"
    );
}
