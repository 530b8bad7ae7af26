//! The service's answers about dead letters, with the members that the commands read, and the paged listing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FilterArgs;
use super::ids::checked_id;
use crate::api_client::{ApiClient, List};

/// One dead letter in a list. `others` keeps the members that the commands do not read, for `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeadLetterSummary {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_type: Option<String>,
    pub(super) parked_at: String,
    pub(super) receive_count: u32,
    pub(super) replays: u32,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

/// One dead letter with its body, its parked sequence and the predicted result of a redrive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeadLetterDetails {
    #[serde(flatten)]
    pub(super) summary: DeadLetterSummary,
    /// The ids of the first dead letters in the parked sequence of its order.
    #[serde(rename = "line")]
    pub(super) sequence: Vec<String>,
    /// Whether the order has more dead letters than `sequence` lists.
    #[serde(default, rename = "line_cut")]
    pub(super) sequence_is_cut: bool,
    pub(super) prediction: RedriveResult,
}

/// The predicted or actual result of redriving one dead letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RedriveResult {
    pub(super) result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
}

impl RedriveResult {
    pub(super) fn describe(&self) -> String {
        let version = self.version.map(|version| format!(" as version {version}")).unwrap_or_default();
        let detail = self.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        format!("{}{version}{detail}", self.result.replace('_', " "))
    }
}

/// One page of the answer to a redrive.
#[derive(Debug, Deserialize)]
pub(super) struct RedrivePage {
    pub(super) items: Vec<RedrivenDeadLetter>,
    pub(super) counts: BTreeMap<String, u64>,
    /// Whether a parked sequence has more dead letters than one request can redrive.
    #[serde(default, rename = "lines_cut")]
    pub(super) sequences_cut: bool,
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RedrivenDeadLetter {
    pub(super) id: String,
    #[serde(default)]
    pub(super) order_id: Option<String>,
    #[serde(default)]
    pub(super) event_id: Option<String>,
    #[serde(default)]
    pub(super) event_type: Option<String>,
    #[serde(flatten)]
    pub(super) redrive: RedriveResult,
}

/// The path of a dead letter. The id is checked first, because HTTP clients resolve `..` in a path.
pub(super) fn dead_letter_path(id: &str) -> anyhow::Result<String> {
    Ok(format!("/v1/dead-letters/{}", checked_id(id)?))
}

/// Lists up to `limit` dead letters, reading as many pages as necessary. Also returns whether the list has more.
pub(super) async fn list(
    client: &ApiClient,
    filter: &FilterArgs,
    state: Option<String>,
    limit: usize,
) -> anyhow::Result<(Vec<DeadLetterSummary>, bool)> {
    let mut filter = filter.pairs();
    filter.extend(state.map(|state| ("state", state)));
    List { path: "/v1/dead-letters", filter, cursor: "cursor" }.read(client, limit).await
}
