//! Implements `orders webhooks`, the commands for webhook subscriptions. All of them call the API of a running service, so
//! they work the same with every backend.

mod change;
mod deliveries;
mod display;
mod receiver;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api_client::{ApiClient, ApiClientArgs};
use crate::style::{shortened, without_controls};

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List all subscriptions with their progress, oldest first.
    List {
        #[command(flatten)]
        client: ApiClientArgs,
        /// Print one line of JSON for each subscription.
        #[arg(long)]
        json: bool,
    },
    /// Show a subscription and the progress of its deliveries.
    Show {
        #[command(flatten)]
        one: OneArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add a subscription, and print the secret that signs its deliveries. The secret is not shown again.
    Add(change::AddArgs),
    /// Change parts of a subscription.
    Update(change::UpdateArgs),
    /// Stop deliveries. Events that are recorded meanwhile are delivered after the subscription is resumed.
    Pause {
        #[command(flatten)]
        one: OneArgs,
    },
    /// Start deliveries again, even for a subscription that the service disabled. All undelivered events are then
    /// delivered.
    Resume {
        #[command(flatten)]
        one: OneArgs,
    },
    /// Delete a subscription with its deliveries.
    Delete {
        #[command(flatten)]
        one: OneArgs,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Make a new secret, and print it. The secret is not shown again.
    Rotate {
        #[command(flatten)]
        one: OneArgs,
        /// How long the earlier secrets still sign deliveries, such as 24h or 30m; at most 30 days. With 0s they end immediately.
        #[arg(long, default_value = "24h", value_parser = humantime::parse_duration, value_name = "TIME")]
        overlap: Duration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Post a test event to the receiver, and print the answer. Fails if the receiver does not accept the event.
    Test {
        #[command(flatten)]
        one: OneArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Deliver events again, in order.
    Replay {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        place: ReplayArgs,
    },
    /// List deliveries: first failed deliveries and the deliveries held because of them, then other recent ones.
    Deliveries {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        filter: deliveries::FilterArgs,
        /// Print one line of JSON for each delivery.
        #[arg(long)]
        json: bool,
    },
    /// Give up a delivery that failed, so that the later events of its order are delivered.
    Skip {
        #[command(flatten)]
        one: OneArgs,
        /// The id of the event.
        event_id: String,
        /// The reason, which the list of deliveries shows.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// The arguments of every command about one subscription.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    #[command(flatten)]
    client: ApiClientArgs,
    /// The id of the subscription.
    id: String,
}

impl OneArgs {
    fn client(&self) -> anyhow::Result<ApiClient> {
        ApiClient::new(&self.client)
    }

    /// The path of the subscription, with `rest` at its end.
    fn path(&self, rest: &str) -> anyhow::Result<String> {
        Ok(format!("/v1/webhooks/{}{rest}", checked_id(&self.id)?))
    }
}

/// Returns the id if it is a UUID. HTTP clients would resolve `..` in a path.
fn checked_id(id: &str) -> anyhow::Result<uuid::Uuid> {
    uuid::Uuid::try_parse(id)
        .with_context(|| format!("{:?} is not an id, which is a UUID", shortened(id, 100)))
}

/// Where a replay begins.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ReplayArgs {
    /// Deliver all events that were recorded at this time (RFC 3339) or later. With `oldest`, deliver all events.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Deliver all events of this order.
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// Deliver all events after this cursor of the feed.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

pub(crate) async fn run(command: WebhooksCommand) -> anyhow::Result<()> {
    match command {
        WebhooksCommand::List { client, json } => display::list(&ApiClient::new(&client)?, json).await,
        WebhooksCommand::Show { one, json } => display::show(&one, json).await,
        WebhooksCommand::Add(args) => change::add(&args).await,
        WebhooksCommand::Update(args) => change::update(&args).await,
        WebhooksCommand::Pause { one } => change::pause(&one, true).await,
        WebhooksCommand::Resume { one } => change::pause(&one, false).await,
        WebhooksCommand::Delete { one, yes } => change::delete(&one, yes).await,
        WebhooksCommand::Rotate { one, overlap, json } => change::rotate(&one, overlap, json).await,
        WebhooksCommand::Test { one, json } => deliveries::test(&one, json).await,
        WebhooksCommand::Replay { one, place } => replay(&one, &place).await,
        WebhooksCommand::Deliveries { one, filter, json } => deliveries::list(&one, &filter, json).await,
        WebhooksCommand::Skip { one, event_id, reason } => deliveries::skip(&one, &event_id, &reason).await,
    }
}

async fn replay(one: &OneArgs, place: &ReplayArgs) -> anyhow::Result<()> {
    let ReplayArgs { from, order, cursor } = place;
    let body = json!({ "from": from, "order_id": order, "cursor": cursor });
    let webhook: Value = one.client()?.post(&one.path("/replay")?, &body).await?;
    let lag = display::lag(&webhook["progress"]);
    crate::print(&without_controls(&format!("{} delivers again; it is behind by {lag}", one.id)))
}
