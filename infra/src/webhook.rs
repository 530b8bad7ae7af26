//! Alerts by webhook, signed as [Standard Webhooks](https://www.standardwebhooks.com) says, so that whoever gets one can
//! tell that it is ours and not an old one.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use consumer::alert::Alert;
use consumer::ports::Alerts;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::hmac;
use serde_json::json;
use uuid::Uuid;

use crate::now;

/// How long the receiver has to answer; the specification recommends 15 to 30 s.
const TIMEOUT: Duration = Duration::from_secs(20);
/// In front of a secret, which is base64.
const SECRET_PREFIX: &str = "whsec_";

/// Where alerts are posted.
pub struct Webhook {
    /// Its path and its query are often secrets.
    url: Uri,
    secret: Option<hmac::Key>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Webhook {
    /// Posts to `url`, which must be http or https, without a name and a password. No error has the URL in it, for what
    /// can post there has a secret in it with most services. With a `secret`, `whsec_` and 24 to 64 bytes in base64, alerts are
    /// signed.
    pub fn new(url: &str, secret: Option<&str>) -> anyhow::Result<Self> {
        let address: Uri = url.parse().context("the webhook's address is not a URL")?;
        let is_http = matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some();
        ensure!(is_http, "the webhook's address is not an http or https URL with a host");
        let has_user = address.authority().is_some_and(|authority| authority.as_str().contains('@'));
        ensure!(
            !has_user,
            "the webhook's address has a name or a password, which would not be sent; put what proves who you are into \
             its path, or sign alerts by a secret"
        );
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .context("cannot read the certificates that this system trusts")?
            .https_or_http()
            .enable_http1()
            .build();
        // Alerts are rare: by the next one a kept connection is as good as none.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { url: address, secret: secret.map(key).transpose()?, client })
    }
}

/// Without what may be secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("at", &self.shown()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Where it is, as it may be logged: its path and its query are left out.
    fn shown(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or_default();
        let path = if self.url.path() == "/" && self.url.query().is_none() { "" } else { "/…" };
        format!("{scheme}://{}{path}", self.url.authority().map_or("", |authority| authority.as_str()))
    }
}

fn key(secret: &str) -> anyhow::Result<hmac::Key> {
    let coded = secret.strip_prefix(SECRET_PREFIX);
    let bytes = coded.and_then(|coded| BASE64_STANDARD.decode(coded).ok());
    let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
    let bytes = bytes.context("the webhook's secret is not `whsec_` and 24 to 64 bytes in base64")?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[async_trait]
impl Alerts for Webhook {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let at = now();
        let data = serde_json::to_value(alert)?;
        // The same alert has the same id each time it is tried.
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, data.to_string().as_bytes());
        let payload = json!({
            "type": "dead_letters.parked",
            "timestamp": at,
            "data": data,
            "text": format!("{}\n\n{}", alert.subject(), alert.text()),
        });
        let payload = serde_json::to_vec(&payload)?;
        let seconds = at.micros() / 1_000_000;
        let request = Request::post(self.url.clone())
            .header("content-type", "application/json")
            .header("user-agent", concat!("orders/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", seconds);
        let request = match &self.secret {
            Some(key) => {
                request.header("webhook-signature", signature(key, &id.to_string(), seconds, &payload))
            }
            None => request,
        };
        let request = request.body(Full::new(payload.into()))?;
        let answer = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        let at = self.shown();
        let answer = answer.with_context(|| format!("the webhook at {at} does not answer"))?;
        let status = answer.with_context(|| format!("the webhook at {at} cannot be reached"))?.status();
        ensure!(status.is_success(), "the webhook at {at} answers {status}");
        Ok(())
    }
}

/// The signature of version 1, symmetric.
fn signature(key: &hmac::Key, id: &str, seconds: i64, payload: &[u8]) -> String {
    let mut signed = format!("{id}.{seconds}.").into_bytes();
    signed.extend_from_slice(payload);
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specifications_example() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let payload = br#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, payload);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_webhook_is_refused_with_a_reason() {
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
            let error = Webhook::new(url, secret).unwrap_err().to_string();
            assert!(error.contains("webhook") && !error.contains("hush"), "{error}");
        }
        assert!(Webhook::new("https://example.com/hook", None).is_ok());
    }

    #[tokio::test]
    async fn no_error_has_the_path_or_the_query_in_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let webhook = Webhook::new(&format!("http://{address}/hush?token=hush"), None).unwrap();
        let alert = Alert::default();
        let error = webhook.raise(&alert).await.unwrap_err();
        for text in [format!("{error:#}"), format!("{error:?}"), format!("{webhook:?}")] {
            assert!(text.contains(&address.to_string()) && !text.contains("hush"), "{text}");
        }
    }
}
