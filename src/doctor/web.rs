//! Checks a running API from outside, as any client sees it. `doctor` calls it for a URL.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{StatusCode, header};

use super::model::{Area, Attribute, Deployment, RunningService};
use crate::base_url::BaseUrl;
use crate::http_client;

/// The time limit of one request, from the connection to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of bytes to read from an answer. A reason why a service is not ready is always shorter.
const MAX_BYTES: usize = 64 * 1024;

pub(super) async fn read(url: &BaseUrl) -> anyhow::Result<Deployment> {
    let literal = url.host().parse::<IpAddr>();
    let local = url.host() == "localhost" || literal.is_ok_and(|ip| ip.to_canonical().is_loopback());
    let in_the_clear = !url.is_https() && !local;

    let http = http_client::new(TIMEOUT)?;
    let not_ready = match get(&http, url, "/readyz?for=writes").await {
        Ok((StatusCode::OK, _)) => Attribute::Absent,
        Ok((status, body)) => Attribute::Known(format!("{status}: {}", super::value::shortened(body.trim()))),
        Err(error) => Attribute::Known(format!("{error:#}")),
    };
    let status = |answer: anyhow::Result<(StatusCode, String)>| match answer {
        Ok((status, _)) => Attribute::Known(status.as_u16()),
        Err(error) => Attribute::Unknown(format!("{error:#}")),
    };
    // No order belongs to the customer `orders-doctor`. So the answer contains no customer data, even if the service
    // requires no token.
    let without_token = status(get(&http, url, "/v1/orders?customer_id=orders-doctor&limit=1").await);
    let metrics = status(get(&http, url, "/metrics").await);
    let service =
        RunningService { url: url.to_string(), local, in_the_clear, not_ready, without_token, metrics };
    Ok(Deployment { service: Some(service), seen: [Area::Service].into(), ..Deployment::default() })
}

async fn get(http: &reqwest::Client, url: &BaseUrl, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let request = http
        .get(format!("{url}{path}"))
        .header(header::USER_AGENT, concat!("orders-doctor/", env!("CARGO_PKG_VERSION")));
    let answer = async {
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        let body = http_client::body(response, MAX_BYTES).await?;
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    match answer.await {
        Err(error) if error.downcast_ref().is_some_and(reqwest::Error::is_timeout) => {
            bail!("{url}{path} does not answer within {} s", TIMEOUT.as_secs())
        }
        answer => answer.with_context(|| format!("cannot read {url}{path}")),
    }
}
