//! Implements `orders health`: asks a running service whether it is ready, for health checks in containers, whose images have
//! neither a shell nor curl.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::base_url::{BaseUrl, LOCAL_SERVICE};
use crate::http_client;

/// The time limit of the check. It is shorter than that of most health checks (30 s in Docker), so that the reason is
/// printed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of an answer.
const MAX_BYTES: usize = 4 << 20;
/// The maximum length of the answer that is printed, in characters.
const MAX_PRINTED: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The service's URL.
    #[arg(long, env = "ORDERS_URL", default_value = LOCAL_SERVICE, value_name = "URL")]
    url: BaseUrl,
    /// What to ask: `/readyz`, `/readyz?for=writes` or `/healthz`. A role without an API has `/metrics`, at the address of
    /// its metrics.
    #[arg(long, default_value = "/readyz", value_name = "PATH", value_parser = path)]
    path: String,
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("must begin with a slash".to_owned()) }
}

/// Fails if the service does not answer with a status of success.
pub(crate) async fn check(args: &HealthArgs) -> anyhow::Result<()> {
    let HealthArgs { url, path } = args;
    let answer = http_client::new(TIMEOUT)?.get(format!("{url}{path}")).send().await;
    let answer =
        answer.map_err(reqwest::Error::without_url).with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    let body = http_client::body(answer, MAX_BYTES).await?;
    let body: String = String::from_utf8_lossy(&body).trim().chars().take(MAX_PRINTED).collect();
    ensure!(status.is_success(), "{url}{path} answers {status}: {body}");
    // Metrics are long, and nobody reads them here.
    let shown = if body.starts_with('{') { body } else { String::new() };
    crate::print(format!("{status} {shown}").trim_end())
}
