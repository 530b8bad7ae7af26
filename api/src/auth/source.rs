//! Where a key set comes from: a file, or an address on the web.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// More than any key set has.
const MAX_BYTES: u64 = 256 * 1024;
/// A fetch, from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a key set is published: at an `https` address, or at an `http` one on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Uri);

impl JwksUrl {
    /// The address, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it is not a URL with a host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("it must not have a name or a password");
        }
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = host == "localhost" || literal.is_ok_and(|ip| ip.to_canonical().is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_here => Ok(Self(uri)),
            // Whoever can change the answer on its way could add a key of their own.
            Some("http") => Err("it must be an https URL; http is for this machine only"),
            _ => Err("it must be an https URL"),
        }
    }
}

impl JwksUrl {
    /// The address as it may be logged: its query may have a secret in it.
    fn shown(&self) -> String {
        let text = self.0.to_string();
        text.split_once('?').map_or(text.clone(), |(address, _)| format!("{address}?…"))
    }
}

/// A key set as it was published.
pub(super) struct Published {
    pub(super) json: Vec<u8>,
    /// For how long its publisher says it can be kept.
    pub(super) max_age: Option<Duration>,
    /// Tells this state of a file from others.
    pub(super) stamp: Option<Stamp>,
}

/// When a file was changed, and its length.
pub(super) type Stamp = (SystemTime, u64);

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Url(Box<Endpoint>),
}

impl Source {
    /// The key set, or `None` if it is a file that still has this stamp.
    pub(super) async fn load(&self, unless: Option<Stamp>) -> anyhow::Result<Option<Published>> {
        match self {
            Self::File(path) => {
                let file = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&file, unless)).await?;
                read.with_context(|| format!("the key set in {}", path.display()))
            }
            Self::Url(endpoint) => {
                let fetched = tokio::time::timeout(TIMEOUT, endpoint.fetch()).await;
                let fetched = fetched.unwrap_or_else(|_| bail!("no answer in {} s", TIMEOUT.as_secs()));
                Ok(Some(fetched.with_context(|| format!("the key set at {}", endpoint.url.shown()))?))
            }
        }
    }
}

fn read(path: &PathBuf, unless: Option<Stamp>) -> anyhow::Result<Option<Published>> {
    let metadata = std::fs::metadata(path)?;
    let stamp = (metadata.modified()?, metadata.len());
    if unless == Some(stamp) {
        return Ok(None);
    }
    ensure!(stamp.1 <= MAX_BYTES, "it has more than {MAX_BYTES} bytes");
    Ok(Some(Published { json: std::fs::read(path)?, max_age: None, stamp: Some(stamp) }))
}

/// A key set on the web, and a client for it. It follows no redirects: keys come from the configured address or not at
/// all.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: JwksUrl,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Endpoint {
    pub(super) fn new(url: JwksUrl) -> anyhow::Result<Self> {
        // Named, for there may be another provider in the process one day; which certificates to trust is the
        // system's business.
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .context("cannot read the certificates that this system trusts")?
            .https_or_http()
            .enable_http1()
            .build();
        // Fetches are minutes apart: by then a kept connection is as good as none.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { url, client })
    }

    async fn fetch(&self) -> anyhow::Result<Published> {
        let request = Request::get(self.url.0.clone())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, concat!("orders/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        ensure!(parts.status == StatusCode::OK, "the answer has the status {}", parts.status);
        let limit = usize::try_from(MAX_BYTES)?;
        let body = Limited::new(body, limit).collect().await;
        let json = body.map_err(anyhow::Error::from_boxed)?.to_bytes().to_vec();
        Ok(Published { json, max_age: max_age(&parts.headers), stamp: None })
    }
}

/// For how long an answer may be kept, by its `Cache-Control`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|text| text.trim().to_ascii_lowercase());
    let seconds = directives.filter_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        _ => directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok(),
    });
    // The strictest counts.
    seconds.min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_secret_free_and_safe_from_change() {
        for url in [
            "https://login.example/jwks?v=1",
            "http://127.0.0.1:9/jwks",
            "http://[::1]/k",
            "http://localhost:1",
        ] {
            assert!(JwksUrl::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://login.example/jwks",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "https://u:p@login.example/",
            "http://10.0.0.1/",
            "file:///etc/keys",
            "login.example",
            "/jwks",
            "",
        ] {
            assert!(JwksUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_strictest_directive_counts() {
        for (value, seconds) in [
            ("public, max-age=3600", Some(3600)),
            ("Max-Age=\"60\", s-maxage=5", Some(60)),
            ("no-cache, max-age=60", Some(0)),
            ("no-store", Some(0)),
            ("max-age=soon", None),
            ("public", None),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, value.parse().unwrap())]);
            assert_eq!(max_age(&headers), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }

    #[test]
    fn a_query_is_not_shown() {
        let shown = |url: &str| JwksUrl::parse(url).unwrap().shown();
        assert_eq!(shown("https://login.example/jwks?key=hush"), "https://login.example/jwks?…");
        assert_eq!(shown("https://login.example/jwks"), "https://login.example/jwks");
    }
}
