//! The HTTP client of `orders dlq`, `orders tail` and `orders doctor`, which call a running service. `orders load` has a separate
//! client (see `docs/decisions/load-generator-http-client.md`).

use std::time::Duration;

use anyhow::{Context, ensure};

/// A client with the settings that these commands share. A request fails after `timeout`, which includes the connection
/// and the whole answer.
pub(crate) fn new(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    api::http_client::builder()?.timeout(timeout).build().context("cannot set up the HTTP client")
}

/// Reads the body of an answer. A body longer than `max_bytes` is an error.
pub(crate) async fn body(mut response: reqwest::Response, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + chunk.len() <= max_bytes, "the answer is longer than {max_bytes} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
