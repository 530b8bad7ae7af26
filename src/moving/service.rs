//! The service that is moved: its fence, its queue, and its content as the source of a fill.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use infra::aws::fill::FillSource;
use infra::backup::BackupError;
use infra::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::api_client::{ApiClient, StreamRefused};
use crate::backup::ServiceSource;

const FENCE: &str = "/v1/fence";
/// How often a stream is requested while the service still sends another one, and the pause between two requests. The
/// service notices that a stream was dropped only when it sends the next part.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(300);

/// The running service that is moved.
#[derive(Clone)]
pub(super) struct MovedService(ApiClient);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Fence {
    #[serde(default)]
    pub(super) since: Option<Timestamp>,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(rename = "final")]
    pub(super) is_final: bool,
}

#[derive(Deserialize)]
struct Pipeline {
    queue: QueueCounts,
}

#[derive(Deserialize)]
struct QueueCounts {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

impl Fence {
    /// When the fence was set, as text.
    pub(super) fn since_text(&self) -> String {
        self.since.map(|since| since.to_string()).unwrap_or_default()
    }
}

impl MovedService {
    pub(super) fn new(client: ApiClient) -> Self {
        Self(client)
    }

    /// The name of the data folder.
    pub(super) async fn folder_name(&self) -> anyhow::Result<String> {
        let header = self.source().begin(BackupRequest { from: 1, rejected_before: None }).await?;
        Ok(header.folder.name)
    }

    pub(super) async fn fence(&self) -> anyhow::Result<Fence> {
        self.0.get(FENCE).await
    }

    pub(super) async fn set_fence(&self, address: Option<&str>, is_final: bool) -> anyhow::Result<Fence> {
        let mut body = json!({ "final": is_final });
        if let Some(address) = address {
            body["address"] = address.into();
        }
        self.0.post(FENCE, &body).await
    }

    pub(super) async fn lift_fence(&self) -> anyhow::Result<()> {
        self.0.delete(FENCE).await
    }

    /// The number of messages on the queue.
    pub(super) async fn queued(&self) -> anyhow::Result<u64> {
        let Pipeline { queue } = self.0.get("/v1/pipeline").await?;
        Ok(queue.visible + queue.in_flight + queue.delayed)
    }

    /// Reads the content of the service from the beginning.
    pub(super) fn source(&self) -> Box<dyn BackupSource> {
        Box::new(PatientSource(ServiceSource::new(self.0.clone())))
    }
}

#[async_trait]
impl FillSource for MovedService {
    async fn open(&self) -> anyhow::Result<Box<dyn BackupSource>> {
        Ok(self.source())
    }
}

/// A source that waits while the service still sends an earlier stream.
struct PatientSource(ServiceSource);

#[async_trait]
impl BackupSource for PatientSource {
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError> {
        for _ in 1..BUSY_TRIES {
            match self.0.begin(request).await {
                Err(BackupError::Source(error)) if is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
                begun => return begun,
            }
        }
        self.0.begin(request).await
    }

    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError> {
        self.0.next().await
    }
}

fn is_busy(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StreamRefused>().is_some_and(|refused| refused.status == StatusCode::CONFLICT)
}
