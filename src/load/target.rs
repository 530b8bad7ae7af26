//! Where the service is, and connections to it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::http::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use serde::{Serialize, Serializer};
use tokio::net::TcpStream;
use tower::ServiceExt;

/// What requests have as their body.
pub(super) type RequestBody = Full<Bytes>;

/// The address of a service: scheme, host, port and the path that its API is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl {
    https: bool,
    authority: Authority,
    /// Without a slash at its end; empty at the root.
    path: String,
}

impl BaseUrl {
    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.https { 443 } else { 80 })
    }

    /// The address of an API path, as it is written in a request.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }

    /// What precedes every path of the API.
    pub(super) fn base(&self) -> &str {
        &self.path
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL".to_owned())?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err("it must begin with http:// or https://".to_owned()),
        };
        let authority =
            uri.authority().filter(|authority| !authority.host().is_empty()).ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it must not have a name or a password; there is --token-file".to_owned());
        }
        if uri.query().is_some() {
            return Err("it must not have a query".to_owned());
        }
        Ok(Self { https, authority: authority.clone(), path: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority, self.path)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// For how long the service has answered nothing.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// A request came to an end. What stands in front of a service that is gone answers with errors, so these count as none.
    pub(super) fn note(&self, is_answered: bool) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_answered { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// Whether every request has failed for so long.
    pub(super) fn lasts(&self, patience: Duration) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= patience)
    }
}

/// The service under load: how to connect to it, and what every request to it carries.
#[derive(Debug)]
pub(super) struct LoadTarget {
    pub(super) url: BaseUrl,
    pub(super) host: HeaderValue,
    pub(super) authorization: Option<HeaderValue>,
    tls: Option<HttpsConnector<HttpConnector>>,
    pub(super) silence: Outage,
    /// Connections that nobody uses now. The last one used is the next to be used, so that there are no more than it
    /// takes.
    idle: Mutex<Vec<SendRequest<RequestBody>>>,
}

impl LoadTarget {
    pub(super) fn new(url: &BaseUrl, token: Option<&str>) -> anyhow::Result<Arc<Self>> {
        let host = HeaderValue::from_str(url.authority.as_str()).context("the URL's host cannot be sent")?;
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let authorization =
            authorization.transpose().context("the token has characters that a header cannot have")?;
        let tls = url.https.then(connector).transpose()?;
        let silence = Outage::default();
        Ok(Arc::new(Self { url: url.clone(), host, authorization, tls, silence, idle: Mutex::default() }))
    }

    /// A connection that is open, or a new one.
    pub(super) async fn connection(&self) -> anyhow::Result<SendRequest<RequestBody>> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { return self.connect().await };
            // Or it was closed meanwhile.
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
    }

    /// Takes a connection back whose latest answer has been read to its end.
    pub(super) fn keep(&self, sender: SendRequest<RequestBody>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<RequestBody>> {
        if let Some(tls) = &self.tls {
            let uri = Uri::builder().scheme(Scheme::HTTPS).authority(self.url.authority.clone());
            let uri = uri.path_and_query(PathAndQuery::from_static("/")).build()?;
            return begin(tls.clone().oneshot(uri).await.map_err(anyhow::Error::from_boxed)?).await;
        }
        let host = self.url.authority.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.url.port())).await?;
        stream.set_nodelay(true)?;
        begin(TokioIo::new(stream)).await
    }
}

fn connector() -> anyhow::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    // Named, for there may be another provider in the process; which certificates to trust is the system's business.
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("cannot read the certificates that this system trusts")?;
    Ok(builder.https_only().enable_http1().wrap_connector(http))
}

async fn begin<S: Read + Write + Unpin + Send + 'static>(
    stream: S,
) -> anyhow::Result<SendRequest<RequestBody>> {
    let (sender, connection) = handshake(stream).await?;
    // It ends with the sender, or when the other side closes; whoever sends hears of that.
    tokio::spawn(connection);
    Ok(sender)
}

/// Makes sure that this is our service and that it lets us in, before anything is sent to it.
pub(super) async fn check(target: &Arc<LoadTarget>, timeout: Duration) -> anyhow::Result<()> {
    use super::client::{LoadClient, LoadRequest};
    let url = &target.url;
    let path = url.path("/v1/orders?customer_id=orders-load&limit=1");
    let answer = LoadClient::new(target.clone(), timeout).send(&LoadRequest::get(&path)).await;
    let answer = answer.map_err(|failure| failure.error.context(format!("no answer from {url}")))?;
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status.as_u16() {
        200 if serde_json::from_slice::<serde_json::Value>(&answer.body)
            .is_ok_and(|page| page.get("items").is_some()) =>
        {
            Ok(())
        }
        401 | 403 => bail!(
            "{url} does not let this in ({}): give a token that may read and write orders with \
             --token-file, or ORDERS_LOAD_TOKEN. {text}",
            answer.status
        ),
        _ => {
            bail!("what answers at {url} is not this service: {} to GET {path}: {:.300}", answer.status, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_and_written() {
        for (text, written, path) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/v1/orders"),
            ("https://shop.example/prod/", "https://shop.example/prod", "/prod/v1/orders"),
            ("http://[::1]:80", "http://[::1]:80", "/v1/orders"),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.path("/v1/orders").as_str()), (written, path));
        }
        assert_eq!("https://shop.example".parse::<BaseUrl>().unwrap().port(), 443);
    }

    #[test]
    fn silence_lasts_from_the_first_failure_to_the_next_answer() {
        let silence = Outage::default();
        assert!(!silence.lasts(Duration::ZERO), "nothing was asked yet");
        silence.note(false);
        silence.note(false);
        assert!(silence.lasts(Duration::ZERO) && !silence.lasts(Duration::from_secs(3600)));
        silence.note(true);
        assert!(!silence.lasts(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "localhost:8080", "ftp://x", "http://", "http://u:p@host", "http://host/?a=b", "/v1"]
        {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
