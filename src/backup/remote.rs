//! Reads a running service as the source of a backup, by way of `GET /v1/backup`.

use std::time::Duration;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use infra::backup::BackupError;
use infra::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use infra::backup::stream::{Frame, FrameDecoder, StreamFlaw};
use tokio::time::timeout;

use crate::api_client::{ApiClient, with_query};

/// The media types that the service may answer with.
const ACCEPT: &str = "application/octet-stream, application/problem+json";
/// The longest time without a byte from the service. The service sends a part after each read of its store.
const SILENCE: Duration = Duration::from_secs(60);

/// A running service, as the source of a backup.
pub(crate) struct ServiceSource {
    client: ApiClient,
    /// The answer of the service. `None` before reading has begun.
    response: Option<reqwest::Response>,
    decoder: FrameDecoder,
}

impl ServiceSource {
    pub(crate) fn new(client: ApiClient) -> Self {
        Self { client, response: None, decoder: FrameDecoder::default() }
    }

    /// The next frame, or an error if the stream ends before its last frame.
    async fn frame(&mut self) -> anyhow::Result<Frame> {
        let response = self.response.as_mut().context("the stream has not begun")?;
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(|flaw| of_flaw(&flaw))? {
                return Ok(frame);
            }
            let piece =
                timeout(SILENCE, response.chunk()).await.context("the service has stopped sending")?;
            let piece = piece.map_err(|error| {
                anyhow!(
                    "the stream of the service was cut off: {:#}",
                    anyhow::Error::new(error.without_url())
                )
            })?;
            match piece {
                Some(piece) => self.decoder.add(&piece),
                None => {
                    self.decoder.finish().map_err(|flaw| of_flaw(&flaw))?;
                    return Err(anyhow!("the stream of the service goes on after its end"));
                }
            }
        }
    }
}

fn of_flaw(flaw: &StreamFlaw) -> anyhow::Error {
    anyhow!("the stream of the service cannot be used: {flaw}")
}

#[async_trait]
impl BackupSource for ServiceSource {
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError> {
        let mut query = vec![("after", (request.from - 1).to_string())];
        query.extend(request.rejected_before.map(|rejected| ("rejected", rejected.to_string())));
        let path = with_query("/v1/backup", &query)?;
        self.response = Some(self.client.stream(&path, ACCEPT).await?);
        match self.frame().await? {
            Frame::Header(header) => Ok(*header),
            _ => Err(anyhow!("the stream of the service has no header").into()),
        }
    }

    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError> {
        match self.frame().await? {
            Frame::Part(part) => Ok(Some(part)),
            Frame::End => Ok(None),
            Frame::Header(_) => Err(anyhow!("the stream of the service has two headers").into()),
        }
    }
}
