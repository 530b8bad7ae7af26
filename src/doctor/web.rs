//! Checks a running API from outside, as any client sees it. `doctor::read` calls it for a URL.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::model::{Area, Attribute, Deployment, RunningService};

/// The longest time from connecting to the last byte of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read: the reasons of a service that is not ready are shorter.
const MAX_BYTES: usize = 64 * 1024;

type HttpsClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

pub(super) async fn read(url: &str) -> anyhow::Result<Deployment> {
    let base = url.trim_end_matches('/');
    let shown = crate::redact::url(url);
    ensure!(shown == url, "{shown} must be the address of the API, without user, password and query");
    let uri: Uri = base.parse().with_context(|| format!("{url:?} is not a URL"))?;
    let host = uri.host().with_context(|| format!("{url:?} must be an absolute http(s) URL"))?;
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host == "localhost" || literal.is_ok_and(|ip| ip.to_canonical().is_loopback());
    let in_the_clear = uri.scheme_str() == Some("http") && !here;

    let web = web()?;
    let not_ready = match get(&web, base, "/readyz?for=writes").await {
        Ok((StatusCode::OK, _)) => Attribute::Absent,
        Ok((status, body)) => Attribute::Known(format!("{status}: {}", super::value::shortened(body.trim()))),
        Err(error) => Attribute::Known(format!("{error:#}")),
    };
    let status = |answer: anyhow::Result<(StatusCode, String)>| match answer {
        Ok((status, _)) => Attribute::Known(status.as_u16()),
        Err(error) => Attribute::Unknown(format!("{error:#}")),
    };
    // No order has this customer, so the answer contains no order even if the API is open.
    let without_token = status(get(&web, base, "/v1/orders?customer_id=orders-doctor&limit=1").await);
    let metrics = status(get(&web, base, "/metrics").await);
    let service =
        RunningService { url: base.to_owned(), local: here, in_the_clear, not_ready, without_token, metrics };
    Ok(Deployment { service: Some(service), seen: [Area::Service].into(), ..Deployment::default() })
}

fn web() -> anyhow::Result<HttpsClient> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("cannot read the system's trusted certificates")?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn get(web: &HttpsClient, base: &str, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let request = Request::get(format!("{base}{path}"))
        .header("user-agent", concat!("orders-doctor/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())?;
    let answer = async {
        let (parts, body) = web.request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
        anyhow::Ok((parts.status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(answer) => answer.with_context(|| format!("cannot get {base}{path}")),
        Err(_) => bail!("{base}{path} did not answer within {} s", TIMEOUT.as_secs()),
    }
}
