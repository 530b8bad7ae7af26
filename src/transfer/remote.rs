//! Reads an export from a running service, over HTTP. [`super::source`] uses this module.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use api::export::format::{ExportCheck, is_export_end};
use api::ports::export::{ExportFilter, ExportReader};
use async_trait::async_trait;
use domain::{Currency, RecordedEvent};
use tokio::time::timeout;

use super::args::{ExportArgs, ServiceArgs};
use super::lines::{MAX_LINE_BYTES, decode};
use crate::api_client::{ApiClient, ApiClientArgs, with_query};
use crate::base_url::BaseUrl;

/// The media types that the service may answer with.
const ACCEPT: &str = "application/x-ndjson, application/problem+json";
/// The longest time without a byte from the service. The service may examine millions of events before it finds one
/// that the filter selects.
const SILENCE: Duration = Duration::from_secs(600);

/// Requests an export from the service.
pub(super) async fn open(
    args: &ExportArgs,
    url: &BaseUrl,
    filter: &ExportFilter,
) -> anyhow::Result<RemoteExport> {
    let ServiceArgs { token, token_file, .. } = args.service.clone();
    let client = ApiClient::new(&ApiClientArgs { url: url.clone(), token, token_file })?;
    let mut pairs = Vec::new();
    pairs.extend(filter.from.map(|from| ("from", from.to_string())));
    pairs.extend(filter.customer_id.as_ref().map(|customer| ("customer_id", customer.as_str().to_owned())));
    let answer = client.stream(&with_query("/v1/export", &pairs)?, ACCEPT).await?;
    Ok(RemoteExport {
        answer: Some(answer),
        unread: VecDeque::new(),
        check: ExportCheck::default(),
        default_currency: args.data.default_currency,
    })
}

/// An export that is being received.
pub(super) struct RemoteExport {
    /// `None` after the last line.
    answer: Option<reqwest::Response>,
    /// The received bytes of an incomplete line.
    unread: VecDeque<u8>,
    check: ExportCheck,
    default_currency: Currency,
}

#[async_trait]
impl ExportReader for RemoteExport {
    async fn next(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        let Some(answer) = &mut self.answer else { return Ok(None) };
        let chunk = timeout(SILENCE, answer.chunk()).await;
        let chunk =
            chunk.map_err(|_| anyhow::anyhow!("the service sent nothing for {} s", SILENCE.as_secs()))?;
        match chunk.map_err(reqwest::Error::without_url).context(CUT)? {
            Some(bytes) => self.lines(&bytes).map(Some),
            None => bail!("{CUT}"),
        }
    }
}

const CUT: &str =
    "the export was cut off, because the service stopped or the connection broke; run the command again";

impl RemoteExport {
    /// Adds received bytes, and returns the events of all lines that are now complete.
    fn lines(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<RecordedEvent>> {
        self.unread.extend(bytes);
        let mut events = Vec::new();
        while let Some(newline) = self.unread.iter().position(|byte| *byte == b'\n') {
            let mut line: Vec<u8> = self.unread.drain(..=newline).collect();
            line.pop();
            if is_export_end(&line) {
                self.check.finish(&line).map_err(anyhow::Error::msg)?;
                ensure!(self.unread.is_empty(), "the service sent lines after the last line of the export");
                self.answer = None;
                break;
            }
            let event = decode(&line, self.default_currency).map_err(anyhow::Error::msg);
            let event = event
                .context("the service sent a line that is not an event of an export; is the URL right?")?;
            self.check.add(&line);
            events.push(event);
        }
        ensure!(self.unread.len() <= MAX_LINE_BYTES, "the service sent a line that is too long for an event");
        Ok(events)
    }
}
