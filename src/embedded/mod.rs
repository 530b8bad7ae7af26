//! The commands that work on a data folder, and their flags. `main` calls them.

mod alert_args;
mod alert_sinks;
mod backup_args;
mod drill;
mod inspect;
mod maintenance;
mod own_thread;
mod recover;
mod reminders;
mod restore;
#[cfg(feature = "aws")]
mod restore_aws;
mod serve;
mod settings;
#[cfg(feature = "dlq")]
mod verify;
mod webhook_args;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use domain::{Currency, Metadata};
use infra::embedded::Options;
use infra::embedded::maintenance::RebuildOptions;

use crate::auth::AuthArgs;
use crate::http::HttpArgs;
use crate::prometheus::MetricsArgs;

use alert_args::AlertArgs;
use backup_args::ContinuousBackupArgs;
use drill::DrillArgs;
pub(crate) use inspect::{InspectArgs, inspect};
pub(crate) use maintenance::{open, open_existing, rebuild};
pub(crate) use recover::recover;
pub(crate) use restore::{RestoreArgs, restore};
pub(crate) use serve::serve;
#[cfg(feature = "dlq")]
pub(crate) use verify::{VerifyArgs, verify};
use webhook_args::WebhookArgs;

#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// The data folder.
    #[arg(long, env = "ORDERS_DATA", default_value = "./orders-data", value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE", value_parser = Currency::parse)]
    pub(crate) default_currency: Currency,
}

#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Compare the projections with the logs, verify the checksum of every table, and change nothing. The command fails
    /// if anything differs.
    #[arg(long)]
    pub(crate) check: bool,
    /// Remove projections and list entries of orders that have no log. They may be the last trace of these orders, so
    /// keep a copy of the folder.
    #[arg(long, conflicts_with = "check")]
    pub(crate) remove_orphans: bool,
}

impl RebuildArgs {
    fn options(&self) -> RebuildOptions {
        RebuildOptions { check_only: self.check, remove_orphans: self.remove_orphans }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Only report what would be lost, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address or host name to listen on, and the port.
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = crate::listen::address)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) auth: AuthArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    /// Seconds until a message that was received but not finished is received again.
    #[arg(long, env = "ORDERS_VISIBILITY_TIMEOUT", default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) visibility_timeout: u64,
    /// How often a message is received before it is parked as a dead letter.
    #[arg(long, env = "ORDERS_MAX_RECEIVES", default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_receives: u32,
    /// Accept no new events while less than this much disk space is free, in MiB. Accepted events are still processed.
    #[arg(long, env = "ORDERS_MIN_FREE_DISK", default_value_t = 256, value_name = "MIB")]
    pub(crate) min_free_disk: u64,
    /// Put every event on the queue. By default, the commit that accepts an event also records it, if nothing of its
    /// order is queued.
    #[arg(long, env = "ORDERS_ALWAYS_QUEUE")]
    pub(crate) always_queue: bool,
    /// Accept no new events while this many messages are queued; 0 means no limit. The limit bounds the memory of the
    /// queue.
    #[arg(long, env = "ORDERS_MAX_QUEUE_DEPTH", default_value_t = 2_000_000, value_name = "COUNT")]
    pub(crate) max_queue_depth: usize,
    /// The keys of orders' metadata by which orders can be found, separated by commas: at most 8. Each key has an
    /// index. The first start with a different list fills the index, which takes some seconds for a million orders.
    #[arg(long, env = "ORDERS_SEARCHABLE_METADATA", value_name = "KEYS", value_parser = searchable_keys)]
    searchable_metadata: Option<SearchableKeys>,
    /// Propose to cancel orders that are unpaid at this age, such as `48h`. By default, only orders with an `expires_at` expire.
    #[arg(long, env = "ORDERS_EXPIRE_UNPAID", value_name = "DURATION", value_parser = crate::unpaid_age::parse)]
    pub(crate) expire_unpaid: Option<Duration>,
    #[command(flatten)]
    pub(crate) alerts: AlertArgs,
    #[command(flatten)]
    webhooks: WebhookArgs,
    #[command(flatten)]
    backup: ContinuousBackupArgs,
    #[command(flatten)]
    drill: DrillArgs,
}

/// The keys of a comma-separated list. The set has its own type, because clap treats a field of a collection type as a
/// flag that may be repeated.
#[derive(Debug, Clone)]
struct SearchableKeys(BTreeSet<String>);

fn searchable_keys(list: &str) -> Result<SearchableKeys, String> {
    const MAX_KEYS: usize = 8;
    let keys: BTreeSet<_> = list.split(',').map(|key| key.trim().to_owned()).collect();
    if keys.len() > MAX_KEYS {
        return Err(format!("must have at most {MAX_KEYS} keys"));
    }
    let entry = |key: &String| Metadata::parse(BTreeMap::from([(key.clone(), String::new())]));
    match keys.iter().find(|key| entry(key).is_err()) {
        Some(key) => Err(format!("{key:?} is not a valid key of the metadata")),
        None => Ok(SearchableKeys(keys)),
    }
}

impl DataArgs {
    pub(crate) fn options(&self) -> Options {
        Options::new(self.default_currency)
    }
}

impl ServeArgs {
    /// The searchable keys of the metadata.
    pub(crate) fn searchable_metadata(&self) -> BTreeSet<String> {
        self.searchable_metadata.clone().map(|SearchableKeys(keys)| keys).unwrap_or_default()
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            searchable_metadata: Some(self.searchable_metadata()),
            visibility_timeout: Duration::from_secs(self.visibility_timeout),
            max_receives: self.max_receives,
            min_free_bytes: self.min_free_disk.saturating_mul(1 << 20),
            inline: !self.always_queue,
            max_queue_depth: if self.max_queue_depth == 0 { usize::MAX } else { self.max_queue_depth },
            ..self.data.options()
        }
    }
}
