//! The settings of `serve` whose flags are read as text, so that all invalid values are reported together. `serve` and the
//! doctor read them.

use std::net::SocketAddr;

use infra::embedded::backup::continuous::ContinuousBackup;

use super::ServeArgs;
use super::webhook_args::WebhookSettings;
use crate::http::HttpSettings;

#[derive(Debug)]
pub(crate) struct ServeSettings {
    pub(super) http: HttpSettings,
    /// The address that serves metrics.
    pub(super) metrics: Option<SocketAddr>,
    pub(super) webhooks: WebhookSettings,
    /// The continuous backup, if there is one.
    pub(super) backup: Option<ContinuousBackup>,
}

impl ServeArgs {
    /// The settings, or one error for each invalid value.
    pub(crate) fn settings(&self) -> Result<ServeSettings, Vec<String>> {
        let (http, metrics) = (self.http.read(), self.metrics.read().map_err(|error| vec![error]));
        let (webhooks, backup) = (self.webhooks.read(), self.backup.read().map_err(|error| vec![error]));
        match (http, metrics, webhooks, backup) {
            (Ok(http), Ok(metrics), Ok(webhooks), Ok(backup)) => {
                Ok(ServeSettings { http, metrics, webhooks, backup })
            }
            (http, metrics, webhooks, backup) => {
                let errors = [http.err(), metrics.err(), webhooks.err(), backup.err()];
                Err(errors.into_iter().flatten().flatten().collect())
            }
        }
    }
}
