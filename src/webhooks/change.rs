//! The commands that change subscriptions: `add`, `update`, `pause`, `resume`, `rotate` and `delete`.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use domain::EventType;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::OneArgs;
use super::receiver::{HeaderArgs, TypeList};
use crate::api_client::{ApiClient, ApiClientArgs};
use crate::confirm::confirm;
use crate::style::without_controls;

/// The arguments of `orders webhooks add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    client: ApiClientArgs,
    /// The URL to post events to: https, or http if the service allows private addresses.
    receiver: String,
    /// Deliver only events of these types, separated by commas, such as order_paid,order_shipped.
    #[arg(long, value_name = "TYPES")]
    types: Option<TypeList>,
    /// Deliver only events of this customer's orders.
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// What the subscription is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    headers: HeaderArgs,
    /// Add the subscription paused.
    #[arg(long)]
    paused: bool,
    /// Where deliveries begin: latest (events recorded from now on), oldest (all events), or a time (RFC 3339).
    #[arg(long, default_value = "latest", value_name = "PLACE")]
    from: String,
    /// The idempotency key. With the same key, a repeated command adds no second subscription.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn add(args: &AddArgs) -> anyhow::Result<()> {
    let client = ApiClient::new(&args.client)?;
    let body = json!({
        "url": args.receiver, "types": args.types.as_ref().map(|types| names(types)),
        "customer_id": args.customer, "description": args.description, "headers": args.headers.read()?,
        "paused": args.paused, "from": args.from,
    });
    let key = args.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let headers = [("idempotency-key", key.as_str())];
    let webhook: Value = client.change(Method::POST, "/v1/webhooks", &headers, &body).await?;
    with_secret(&webhook, args.json, "added")
}

fn names(TypeList(types): &TypeList) -> Vec<&'static str> {
    types.iter().copied().map(EventType::as_str).collect()
}

/// Prints a subscription with its new secret.
fn with_secret(webhook: &Value, json: bool, what: &str) -> anyhow::Result<()> {
    if json {
        return crate::print(&serde_json::to_string_pretty(webhook)?);
    }
    let id = webhook["id"].as_str().context("the answer has no id")?;
    let url = webhook["url"].as_str().unwrap_or_default();
    crate::print(&without_controls(&format!("{id} {what}: it delivers to {url}")))?;
    match webhook["secret"].as_str() {
        Some(secret) => crate::print(&without_controls(&format!(
            "secret {secret}\nstore the secret now, because it is not shown again; the receiver needs the secret to verify deliveries"
        ))),
        None => crate::print(&format!(
            "an earlier command with this key showed the secret; to get a new one, run: orders webhooks rotate {id}"
        )),
    }
}

/// The arguments of `orders webhooks update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The new URL of the receiver.
    #[arg(long, value_name = "URL")]
    receiver: Option<String>,
    /// Deliver only events of these types, separated by commas.
    #[arg(long, value_name = "TYPES", conflicts_with = "all_types")]
    types: Option<TypeList>,
    /// Deliver events of all types.
    #[arg(long)]
    all_types: bool,
    /// Deliver only events of this customer's orders.
    #[arg(long, value_name = "CUSTOMER", conflicts_with = "all_customers")]
    customer: Option<String>,
    /// Deliver events of all customers' orders.
    #[arg(long)]
    all_customers: bool,
    /// What the subscription is for. An empty text removes the description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    headers: HeaderArgs,
    /// Remove this header. Repeat the flag for several headers.
    #[arg(long = "remove-header", value_name = "NAME")]
    removed_headers: Vec<String>,
    /// Change the subscription only if it is at this revision, which `orders webhooks show` prints.
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl UpdateArgs {
    /// The JSON merge patch that the flags describe.
    fn patch(&self) -> anyhow::Result<Value> {
        let mut patch = Map::new();
        let mut set = |name: &str, value: Value| patch.insert(name.to_owned(), value);
        self.receiver.iter().for_each(|url| drop(set("url", json!(url))));
        self.types.iter().for_each(|types| drop(set("types", json!(names(types)))));
        self.customer.iter().for_each(|customer| drop(set("customer_id", json!(customer))));
        if self.all_types {
            set("types", Value::Null);
        }
        if self.all_customers {
            set("customer_id", Value::Null);
        }
        if let Some(text) = &self.description {
            set("description", if text.is_empty() { Value::Null } else { json!(text) });
        }
        let mut headers = self.headers.read()?;
        headers.extend(self.removed_headers.iter().map(|name| (name.clone(), Value::Null)));
        if !headers.is_empty() {
            set("headers", headers.into());
        }
        if patch.is_empty() {
            bail!("nothing to change: see orders webhooks update --help");
        }
        Ok(patch.into())
    }
}

pub(super) async fn update(args: &UpdateArgs) -> anyhow::Result<()> {
    let patch = args.patch()?;
    let tag = args.if_revision.map(|revision| format!("\"{revision}\""));
    let condition: Vec<_> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
    let client = args.one.client()?;
    let webhook: Value = client.change(Method::PATCH, &args.one.path("")?, &condition, &patch).await?;
    if args.json {
        return crate::print(&serde_json::to_string_pretty(&webhook)?);
    }
    crate::print(&format!("{} is updated; it is at revision {}", args.one.id, webhook["revision"]))
}

pub(super) async fn pause(one: &OneArgs, paused: bool) -> anyhow::Result<()> {
    let body = json!({ "paused": paused });
    let webhook: Value = one.client()?.change(Method::PATCH, &one.path("")?, &[], &body).await?;
    let state = webhook["state"].as_str().unwrap_or_default();
    crate::print(&without_controls(&format!("{} is {state}", one.id)))
}

pub(super) async fn rotate(one: &OneArgs, overlap: Duration, json: bool) -> anyhow::Result<()> {
    let body = json!({ "overlap_seconds": overlap.as_secs() });
    let webhook: Value = one.client()?.post(&one.path("/rotate")?, &body).await?;
    with_secret(&webhook, json, "has a new secret")?;
    let end = webhook["secrets"][1]["expires_at"].as_str();
    match end.filter(|_| !json) {
        Some(end) => {
            crate::print(&without_controls(&format!("earlier secrets sign deliveries until {end} at most")))
        }
        None => Ok(()),
    }
}

pub(super) async fn delete(one: &OneArgs, yes: bool) -> anyhow::Result<()> {
    let path = one.path("")?;
    let client = one.client()?;
    let question = async || {
        let webhook: Value = client.get(&path).await?;
        let url = webhook["url"].as_str().unwrap_or_default();
        Ok(format!("Deliveries to {url} will end. Delete the subscription?"))
    };
    confirm(yes, question, "nothing was deleted").await?;
    client.delete(&path).await?;
    crate::print(&format!("{} is deleted", one.id))
}
