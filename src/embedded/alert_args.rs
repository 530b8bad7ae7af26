//! The flags of alerts of `orders serve`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use infra::webhook::Webhook;

use super::alert_sinks::AlertSinks;
use super::backup_args::interval;
use crate::deployment::DeploymentArgs;

#[derive(Debug, Args)]
#[command(next_help_heading = "Alerts")]
pub(crate) struct AlertArgs {
    /// A URL to post alerts to, in addition to the log. If the URL contains a secret, use the variable or a file: other users
    /// of this machine can see flags. Logs show only the host of the URL.
    #[arg(long, env = "ORDERS_ALERT_WEBHOOK", value_name = "URL", hide_env_values = true)]
    alert_webhook: Option<String>,
    /// A file with the URL to post alerts to. Make it readable for the service only.
    #[arg(long, env = "ORDERS_ALERT_WEBHOOK_FILE", value_name = "FILE")]
    alert_webhook_file: Option<PathBuf>,
    /// The secret that signs alerts as Standard Webhooks defines: `whsec_` and 24 to 64 bytes in base64. Other users of this
    /// machine can see flags: use the variable, or a file.
    #[arg(long, env = "ORDERS_ALERT_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    alert_webhook_secret: Option<String>,
    /// A file with the secret that signs alerts. Make it readable for the service only.
    #[arg(long, env = "ORDERS_ALERT_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    alert_webhook_secret_file: Option<PathBuf>,
    /// The time after which the service reminds of dead letters that are not resolved, and of webhook subscriptions that it has
    /// stopped, such as `4h`; or `off`. The time begins with the latest dead letter, or the latest stop.
    #[arg(long, env = "ORDERS_ALERT_REPEAT", default_value = "24h", value_name = "DURATION", value_parser = repeat)]
    alert_repeat: Repeat,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

/// How often the service reminds, or `None` if it does not. It has its own type, because clap treats an `Option` as a flag
/// that may be absent.
#[derive(Debug, Clone, Copy)]
struct Repeat(Option<Duration>);

fn repeat(text: &str) -> Result<Repeat, String> {
    if text == "off" { Ok(Repeat(None)) } else { interval(text).map(|every| Repeat(Some(every))) }
}

impl AlertArgs {
    /// Where to send alerts.
    pub(crate) fn sinks(&self) -> anyhow::Result<AlertSinks> {
        let url_file = self.alert_webhook_file.as_deref();
        let url = crate::secret::read("ORDERS_ALERT_WEBHOOK", self.alert_webhook.as_ref(), url_file)?;
        let file = self.alert_webhook_secret_file.as_deref();
        let secret =
            crate::secret::read("ORDERS_ALERT_WEBHOOK_SECRET", self.alert_webhook_secret.as_ref(), file)?;
        let deployment = self.deployment.or_machine();
        let webhook = url
            .map(|url| Webhook::new(&url, secret.as_deref(), deployment.clone()))
            .transpose()
            .context("ORDERS_ALERT_WEBHOOK")?;
        Ok(AlertSinks { webhook, deployment })
    }

    /// The time between two reminders, or `None` if there are none.
    pub(super) fn repeat(&self) -> Option<Duration> {
        self.alert_repeat.0
    }
}
