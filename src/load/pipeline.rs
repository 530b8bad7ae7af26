//! `GET /v1/pipeline`: the service's own account of what it was given and what became of it, where it has one.

use hyper::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::client::{LoadClient, LoadRequest};
use super::target::BaseUrl;

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ServicePipeline {
    pub(super) ledger: ServiceLedger,
    pub(super) queue: ServiceQueue,
    pub(super) dead_letters: u64,
}

/// Every event that it ever accepted, by what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ServiceLedger {
    pub(super) accepted: u64,
    pub(super) recorded: u64,
    pub(super) rejected: u64,
    pub(super) duplicate: u64,
    pub(super) parked: u64,
    pub(super) in_flight: u64,
    /// Whether it adds up.
    pub(super) balanced: bool,
    /// Whether its counters are exact. A service that does not say so is taken to mean it.
    #[serde(default = "exact")]
    pub(super) exact: bool,
    /// Taken out of the dead letters by an operator.
    #[serde(default)]
    pub(super) discarded: u64,
}

fn exact() -> bool {
    true
}

/// What waits.
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

/// Asks for it. `None` if the service has none, or the token may not see it.
pub(super) async fn ask(client: &LoadClient, url: &BaseUrl) -> anyhow::Result<Option<ServicePipeline>> {
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
    fn the_contract_is_understood() {
        let text = r#"{"ledger":{"accepted":9,"recorded":5,"rejected":1,"duplicate":1,"parked":1,"in_flight":1,
            "balanced":true,"discarded":0},"queue":{"visible":1,"in_flight":2,"delayed":3,"oldest_seconds":null},
            "dead_letters":1}"#;
        let pipeline: ServicePipeline = serde_json::from_str(text).unwrap();
        assert_eq!((pipeline.ledger.accepted, pipeline.queue.depth(), pipeline.dead_letters), (9, 6, 1));
    }
}
