//! Posts alerts to a webhook, signed as defined by [Standard Webhooks](https://www.standardwebhooks.com). The signature
//! lets the receiver verify the sender and reject replays. The embedded service sends its alerts through this module.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::http_client;
use async_trait::async_trait;
use consumer::alert::{Alert, Deployment};
use consumer::ports::Alerts;
use reqwest::{Client, Url};
use serde_json::json;
use uuid::Uuid;

use crate::now;
use crate::signing::SigningKey;

/// How long the receiver may take to answer. The Standard Webhooks specification recommends 15 to 30 s.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A webhook that receives alerts.
pub struct Webhook {
    /// The URL of the webhook. Its path and query are often secret.
    url: Url,
    secret: Option<SigningKey>,
    deployment: Deployment,
    client: Client,
}

impl Webhook {
    /// Posts alerts of `deployment` to `url`, which must be http or https without a user name or password. Alerts are signed
    /// if there is a `secret`, which consists of `whsec_` and 24 to 64 bytes in base64.
    ///
    /// Errors never contain the URL, because for most services the URL is the credential for posting.
    pub fn new(url: &str, secret: Option<&str>, deployment: Deployment) -> anyhow::Result<Self> {
        let url: Url = url.parse().context("the webhook's address is not a URL")?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        ensure!(is_http, "the webhook's address must be an http or https URL with a host");
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "the webhook's address must not have a user name or password, which would not be sent; put the credential \
             into its path, or sign alerts with a secret"
        );
        // Alerts are rare, so an idle connection would be stale by the next alert.
        let client = http_client::builder()?.pool_max_idle_per_host(0).timeout(TIMEOUT);
        let client = client.build().context("cannot set up the webhook's HTTP client")?;
        Ok(Self { url, secret: secret.map(SigningKey::parse).transpose()?, deployment, client })
    }
}

/// Omits the secret and the secret parts of the URL.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("at", &self.loggable_url()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// The URL without its path and query, for logs.
    fn loggable_url(&self) -> String {
        let path = if self.url.path() == "/" && self.url.query().is_none() { "" } else { "/…" };
        format!("{}://{}{path}", self.url.scheme(), self.url.authority())
    }
}

#[async_trait]
impl Alerts for Webhook {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let at = now();
        let data = alert.to_json(&self.deployment)?;
        // All attempts for one alert carry the same id.
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, data.to_string().as_bytes());
        let payload = json!({
            "type": event_type(alert),
            "timestamp": at,
            "data": data,
            "text": format!("{}\n\n{}", alert.subject(&self.deployment), alert.text(&self.deployment)),
        });
        let payload = serde_json::to_vec(&payload)?;
        let seconds = at.micros() / 1_000_000;
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", seconds);
        if let Some(key) = &self.secret {
            request = request.header("webhook-signature", key.sign(&id.to_string(), seconds, &payload));
        }
        let url = self.loggable_url();
        let answer = request.body(payload).send().await.map_err(reqwest::Error::without_url);
        let answer = answer.map_err(|error| {
            let problem = if error.is_timeout() { "does not answer" } else { "cannot be reached" };
            anyhow::Error::new(error).context(format!("the webhook at {url} {problem}"))
        })?;
        let status = answer.status();
        ensure!(status.is_success(), "the webhook at {url} answers {status}");
        Ok(())
    }
}

/// The value of the alert's member `type`: names separated by dots, as the specification suggests.
fn event_type(alert: &Alert) -> &'static str {
    match alert {
        Alert::DeadLetters(_) => "dead_letters.parked",
        Alert::Webhook(alert) if alert.stopped.is_some() => "webhook.stopped",
        Alert::Webhook(_) => "webhook.gave_up",
        Alert::Reminder(reminder) if reminder.dead_letters.is_some() => "dead_letters.unresolved",
        Alert::Reminder(_) => "webhook.still_stopped",
    }
}

#[cfg(test)]
mod tests {
    use consumer::alert::DeadLetterAlert;

    use super::*;

    fn test_deployment() -> Deployment {
        Deployment::closest_to("test")
    }

    #[test]
    fn invalid_urls_and_secrets_are_refused_with_a_reason() {
        for (url, secret) in [
            ("not a url", None),
            ("ftp://example.com/", None),
            ("/path", None),
            ("https://user:hush@example.com/", None),
            ("https://user:hush@ /", None),
            ("ftp://user:hush@example.com/hush?hush", None),
            ("http://127.0.0.1:1/", Some("secret")),
            ("http://127.0.0.1:1/", Some("whsec_c2hvcnQ=")),
        ] {
            let error = Webhook::new(url, secret, test_deployment()).unwrap_err().to_string();
            assert!(error.contains("webhook") && !error.contains("hush"), "{error}");
        }
        assert!(Webhook::new("https://example.com/hook", None, test_deployment()).is_ok());
    }

    #[tokio::test]
    async fn errors_never_contain_the_path_or_the_query() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let webhook =
            Webhook::new(&format!("http://{address}/hush?token=hush"), None, test_deployment()).unwrap();
        let alert = Alert::DeadLetters(DeadLetterAlert::default());
        let error = webhook.raise(&alert).await.unwrap_err();
        for text in [format!("{error:#}"), format!("{error:?}"), format!("{webhook:?}")] {
            assert!(text.contains(&address.to_string()) && !text.contains("hush"), "{text}");
        }
    }
}
