//! Reads `GET /v1/pipeline`, the service's own ledger and queue depth. The progress display and the audit use it.

use hyper::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::client::{LoadClient, LoadRequest};
use crate::base_url::BaseUrl;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ServicePipeline {
    pub(super) ledger: ServiceLedger,
    pub(super) queue: ServiceQueue,
    pub(super) dead_letters: u64,
}

/// All events that the service ever accepted, by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ServiceLedger {
    pub(super) accepted: u64,
    pub(super) recorded: u64,
    pub(super) rejected: u64,
    pub(super) duplicate: u64,
    pub(super) parked: u64,
    pub(super) in_flight: u64,
    /// Whether the conservation equation holds. `None` if the service cannot compare, because it does not count what it
    /// accepts.
    pub(super) balanced: Option<bool>,
    /// Whether the counters are exact. If the answer omits this member, the counters are exact.
    #[serde(default = "exact")]
    pub(super) exact: bool,
    /// Dead letters that an operator discarded. They are part of `rejected`.
    #[serde(default)]
    pub(super) discarded: u64,
}

fn exact() -> bool {
    true
}

/// The messages on the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ServiceQueue {
    pub(super) visible: u64,
    pub(super) in_flight: u64,
    pub(super) delayed: u64,
}

impl ServiceQueue {
    pub(super) fn depth(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Reads the pipeline. `None` if the service does not have this path, or if the token may not read it.
pub(super) async fn read(client: &LoadClient, url: &BaseUrl) -> anyhow::Result<Option<ServicePipeline>> {
    let answer =
        client.send(&LoadRequest::get(&url.path("/v1/pipeline"))).await.map_err(|failure| failure.error)?;
    match answer.status {
        StatusCode::OK => Ok(Some(serde_json::from_slice(&answer.body)?)),
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
        status => anyhow::bail!("GET /v1/pipeline: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_decoded() {
        let text = r#"{"ledger":{"accepted":9,"recorded":5,"rejected":1,"duplicate":1,"parked":1,"in_flight":1,
            "balanced":true,"discarded":0},"queue":{"visible":1,"in_flight":2,"delayed":3,"oldest_seconds":null},
            "dead_letters":1}"#;
        let pipeline: ServicePipeline = serde_json::from_str(text).unwrap();
        assert_eq!((pipeline.ledger.accepted, pipeline.queue.depth(), pipeline.dead_letters), (9, 6, 1));
    }
}
