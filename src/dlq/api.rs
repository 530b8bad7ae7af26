//! What the service answers, as far as it is looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FilterArgs;
use crate::api_client::{ApiClient, with_query};

/// A dead letter in a list. What is not looked at is kept all the same.
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

#[derive(Debug, Deserialize)]
struct DeadLetterPage {
    items: Vec<DeadLetterSummary>,
    next_cursor: Option<String>,
}

/// A dead letter with its body and its prospects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeadLetterDetails {
    #[serde(flatten)]
    pub(super) summary: DeadLetterSummary,
    pub(super) line: Vec<String>,
    #[serde(default)]
    pub(super) line_cut: bool,
    pub(super) prediction: RedriveResult,
}

/// What a redrive would do, or did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RedriveResult {
    pub(super) result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
}

impl RedriveResult {
    /// In words.
    pub(super) fn told(&self) -> String {
        let version = self.version.map(|version| format!(" as version {version}")).unwrap_or_default();
        let detail = self.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        format!("{}{version}{detail}", self.result.replace('_', " "))
    }
}

/// The answer to a redrive.
#[derive(Debug, Deserialize)]
pub(super) struct RedrivePage {
    pub(super) items: Vec<RedrivenDeadLetter>,
    pub(super) counts: BTreeMap<String, u64>,
    #[serde(default)]
    pub(super) lines_cut: bool,
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
    pub(super) prediction: RedriveResult,
}

/// Lists up to `limit` letters, over as many pages as it takes.
pub(super) async fn list(
    client: &ApiClient,
    filter: &FilterArgs,
    state: Option<String>,
    limit: usize,
) -> anyhow::Result<(Vec<DeadLetterSummary>, bool)> {
    let (mut letters, mut cursor) = (Vec::new(), None);
    loop {
        let mut pairs = filter.pairs();
        pairs.extend(state.clone().map(|state| ("state", state)));
        pairs.push(("limit", (limit - letters.len()).clamp(1, 200).to_string()));
        pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: DeadLetterPage = client.get(&with_query("/v1/dead-letters", &pairs)?).await?;
        letters.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() || letters.len() >= limit {
            return Ok((letters, cursor.is_some()));
        }
    }
}
