//! Loads a key set from a file or a URL. `keys` calls this module.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use reqwest::Client;

use crate::http_client;

/// The maximum size of a key set, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// The time limit for loading a URL, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The URL of a key set. The URL must use `https`; only a URL of this machine may use `http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Uri);

impl JwksUrl {
    /// Parses the URL of a key set. If the URL is not allowed, the error states the rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "must be a URL")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("must be a URL with a host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("must not contain a user name or a password");
        }
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = host == "localhost" || literal.is_ok_and(|ip| ip.to_canonical().is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_here => Ok(Self(uri)),
            // Over plain http, an attacker on the network could add keys to the set.
            Some("http") => Err("must be an https URL; http is allowed only for this machine"),
            _ => Err("must be an https URL"),
        }
    }
}

impl JwksUrl {
    /// The URL in the form that logs show. The query is omitted, because it may contain a secret.
    fn shown(&self) -> String {
        let text = self.0.to_string();
        text.split_once('?').map_or(text.clone(), |(address, _)| format!("{address}?…"))
    }
}

/// A key set as the issuer has published it.
pub(super) struct KeyDocument {
    pub(super) json: Vec<u8>,
    /// How long the key set may be cached, if the issuer's answer states it.
    pub(super) max_age: Option<Duration>,
    /// The stamp of the file that was read. `None` for a URL.
    pub(super) stamp: Option<FileStamp>,
}

/// The stamp of a file: its modification time and its length. If the stamp differs, the file has changed.
pub(super) type FileStamp = (SystemTime, u64);

#[derive(Debug)]
pub(super) enum KeySource {
    File(PathBuf),
    Url(Box<JwksEndpoint>),
}

impl KeySource {
    /// Loads the key set. Returns `None` if the set is in a file whose stamp still equals `unless`, because the file
    /// has not changed.
    pub(super) async fn load(&self, unless: Option<FileStamp>) -> anyhow::Result<Option<KeyDocument>> {
        match self {
            Self::File(path) => {
                let file = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&file, unless)).await?;
                read.with_context(|| format!("cannot load keys from {}", path.display()))
            }
            Self::Url(endpoint) => {
                let fetched = tokio::time::timeout(TIMEOUT, endpoint.fetch()).await;
                let fetched = fetched.unwrap_or_else(|_| bail!("no answer in {} s", TIMEOUT.as_secs()));
                Ok(Some(fetched.with_context(|| format!("cannot load keys from {}", endpoint.url.shown()))?))
            }
        }
    }
}

fn read(path: &PathBuf, unless: Option<FileStamp>) -> anyhow::Result<Option<KeyDocument>> {
    let metadata = std::fs::metadata(path)?;
    let stamp = (metadata.modified()?, metadata.len());
    if unless == Some(stamp) {
        return Ok(None);
    }
    ensure!(stamp.1 <= MAX_BYTES, "the file has more than {MAX_BYTES} bytes");
    Ok(Some(KeyDocument { json: std::fs::read(path)?, max_age: None, stamp: Some(stamp) }))
}

/// The URL of a key set, and the HTTP client that loads it. The client follows no redirects, so keys come only from the
/// configured URL.
#[derive(Debug)]
pub(super) struct JwksEndpoint {
    url: JwksUrl,
    client: Client,
}

impl JwksEndpoint {
    pub(super) fn new(url: JwksUrl) -> anyhow::Result<Self> {
        // The keys are loaded minutes apart, so the client keeps no idle connections.
        let client = http_client::builder()?.pool_max_idle_per_host(0).build();
        Ok(Self { url, client: client.context("cannot set up the HTTP client for the key set")? })
    }

    async fn fetch(&self) -> anyhow::Result<KeyDocument> {
        let request = self.client.get(self.url.0.to_string());
        let request = request.header(header::ACCEPT, "application/jwk-set+json, application/json");
        // reqwest's errors contain the URL, whose query may be secret.
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status() == StatusCode::OK, "the answer has the status {}", answer.status());
        let max_age = max_age(answer.headers());
        let mut json = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            let length = (json.len() + chunk.len()) as u64;
            ensure!(length <= MAX_BYTES, "the answer has more than {MAX_BYTES} bytes");
            json.extend_from_slice(&chunk);
        }
        Ok(KeyDocument { json, max_age, stamp: None })
    }
}

/// How long an answer may be cached, according to its `Cache-Control`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|text| text.trim().to_ascii_lowercase());
    let seconds = directives.filter_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        _ => directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok(),
    });
    // If the header has several of these directives, the shortest time applies.
    seconds.min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_local_and_contain_no_password() {
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
