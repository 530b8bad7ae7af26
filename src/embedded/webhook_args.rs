//! The flags of webhook deliveries. `serve` reads them.

use std::sync::Arc;

use clap::Args;
use consumer::webhooks::DeliveryOptions;
use infra::webhook_sender::{HttpSender, SenderOptions};

use crate::webhook_values::{RetryArgs, RetryValues, SendingArgs, SendingValues};

#[derive(Debug, Args)]
#[command(next_help_heading = "Webhooks")]
pub(crate) struct WebhookArgs {
    #[command(flatten)]
    sending: SendingArgs,
    #[command(flatten)]
    retries: RetryArgs,
    /// The maximum number of concurrent attempts of a subscription. Retries use at most half of them.
    #[arg(long, env = "ORDERS_WEBHOOKS_CONCURRENCY", default_value_t = 16, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    webhooks_concurrency: u16,
}

/// The values of [`WebhookArgs`].
#[derive(Debug)]
pub(crate) struct WebhookSettings {
    sender: SenderOptions,
    /// The `source` of delivered events.
    pub(crate) source: String,
    pub(crate) options: DeliveryOptions,
}

impl WebhookArgs {
    /// The settings, or one error for each invalid value.
    pub(crate) fn read(&self) -> Result<WebhookSettings, Vec<String>> {
        match (self.sending.read(), self.retries.read()) {
            (Ok(SendingValues { sender, source }), Ok(RetryValues { schedule, disable_after })) => {
                let concurrency = usize::from(self.webhooks_concurrency);
                let options =
                    DeliveryOptions { concurrency, schedule, disable_after, ..DeliveryOptions::default() };
                Ok(WebhookSettings { sender, source, options })
            }
            (sending, retries) => {
                Err([sending.err(), retries.err()].into_iter().flatten().flatten().collect())
            }
        }
    }
}

impl WebhookSettings {
    /// A new sender, with connections of its own.
    pub(crate) fn sender(&self) -> Arc<HttpSender> {
        Arc::new(HttpSender::new(self.sender))
    }
}
