//! The service under load: its address, the connections to it, and for how long it has not answered. `client` uses it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::http::Uri;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::base_url::BaseUrl;

pub(super) type RequestBody = Full<Bytes>;

/// Measures for how long every request has failed.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Records whether a request was answered. An error response does not count as an answer: a gateway sends errors
    /// for a service that is down.
    pub(super) fn note(&self, is_answered: bool) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_answered { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// Whether every request has failed for at least this long.
    pub(super) fn has_lasted(&self, patience: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= patience)
    }
}

/// The service under load, with a pool of connections and the headers of every request.
#[derive(Debug)]
pub(super) struct LoadTarget {
    pub(super) url: BaseUrl,
    pub(super) host: HeaderValue,
    pub(super) authorization: Option<HeaderValue>,
    tls: Option<HttpsConnector<HttpConnector>>,
    pub(super) outage: Outage,
    /// Unused connections. The most recently used connection is taken first, so that the pool stays as small as the
    /// load allows.
    idle: Mutex<Vec<SendRequest<RequestBody>>>,
}

impl LoadTarget {
    pub(super) fn new(url: &BaseUrl, token: Option<&str>) -> anyhow::Result<Arc<Self>> {
        let host = HeaderValue::from_str(url.authority().as_str())
            .context("the URL's host is not a valid header")?;
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let authorization = authorization
            .transpose()
            .context("the token contains characters that are not allowed in a header")?;
        let tls = url.is_https().then(tls_connector).transpose()?;
        let (url, outage, idle) = (url.clone(), Outage::default(), Mutex::default());
        Ok(Arc::new(Self { url, host, authorization, tls, outage, idle }))
    }

    /// An open connection from the pool, or a new one.
    pub(super) async fn connection(&self) -> anyhow::Result<SendRequest<RequestBody>> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { return self.connect().await };
            // The service may have closed this idle connection. In that case, the next idle connection is tried.
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
    }

    /// Returns a connection to the pool. The caller must have read the latest answer to its end.
    pub(super) fn give_back(&self, sender: SendRequest<RequestBody>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<RequestBody>> {
        if let Some(tls) = &self.tls {
            let uri = Uri::builder().scheme(Scheme::HTTPS).authority(self.url.authority().clone());
            let uri = uri.path_and_query(PathAndQuery::from_static("/")).build()?;
            return start_http(tls.clone().oneshot(uri).await.map_err(anyhow::Error::from_boxed)?).await;
        }
        let stream = TcpStream::connect((self.url.host(), self.url.port())).await?;
        stream.set_nodelay(true)?;
        start_http(TokioIo::new(stream)).await
    }
}

fn tls_connector() -> anyhow::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    // rustls has no default TLS provider, because several libraries add one. So this code names the provider.
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("cannot read the certificates that this system trusts")?;
    Ok(builder.https_only().enable_http1().wrap_connector(http))
}

async fn start_http<S: Read + Write + Unpin + Send + 'static>(
    stream: S,
) -> anyhow::Result<SendRequest<RequestBody>> {
    let (sender, connection) = handshake(stream).await?;
    // The task ends when the sender is dropped or when the service closes the connection. The result of the task is
    // ignored, because calls on the sender return the errors of the connection.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
        let outage = Outage::default();
        assert!(!outage.has_lasted(Duration::ZERO), "nothing was sent yet");
        outage.note(false);
        outage.note(false);
        assert!(outage.has_lasted(Duration::ZERO) && !outage.has_lasted(Duration::from_secs(3600)));
        outage.note(true);
        assert!(!outage.has_lasted(Duration::ZERO));
    }
}
