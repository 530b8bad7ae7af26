//! Validates the settings of the commands that move orders: `orders export --aws`, `orders import --aws` and
//! `orders restore --aws`.

use std::time::Duration;

use infra::aws::SdkConfig;

use super::ConfigErrors;
use crate::aws::args::{FillArgs, OperatedTableArgs};

/// The table of orders, with the settings that a writer of the table needs.
#[derive(Debug)]
pub(crate) struct TransferSettings {
    pub(crate) table_name: String,
    /// Whether the table has the search index.
    pub(crate) search_index: bool,
    /// The age at which unpaid orders expire.
    pub(crate) unpaid_age: Option<Duration>,
}

pub(crate) fn of_transfer(
    mut errors: ConfigErrors,
    args: &OperatedTableArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<TransferSettings> {
    let settings = transfer(&mut errors, args, sdk);
    errors.finish(settings)
}

fn transfer(
    errors: &mut ConfigErrors,
    args: &OperatedTableArgs,
    sdk: &SdkConfig,
) -> Option<TransferSettings> {
    errors.region(sdk);
    let table_name = errors.table("TABLE_NAME", args.table_name.as_ref());
    let unpaid_age = errors.unpaid_age(&args.unpaid);
    let search_index = args.search.search_index;
    table_name.map(|table_name| TransferSettings { table_name, search_index, unpaid_age })
}

/// The resources that a restore fills.
#[derive(Debug)]
pub(crate) struct FillSettings {
    pub(crate) table: TransferSettings,
    pub(crate) queue_url: String,
    /// The bucket of dead letters, if there is one.
    pub(crate) bucket: Option<String>,
    /// The outbound table, if there is one.
    pub(crate) outbound: Option<String>,
    /// The queue of webhook deliveries, if there is one.
    pub(crate) webhook_queue: Option<String>,
}

pub(crate) fn of_fill(
    mut errors: ConfigErrors,
    table: &OperatedTableArgs,
    args: &FillArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<FillSettings> {
    let table = transfer(&mut errors, table, sdk);
    let queue_url = errors.queue("QUEUE_URL", args.queue_url.as_ref());
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let bucket = given(&args.dlq_bucket).and_then(|name| errors.bucket(Some(&name)));
    let outbound = given(&args.outbound_table).and_then(|name| errors.table("OUTBOUND_TABLE", Some(&name)));
    let webhook_queue =
        given(&args.webhook_queue_url).and_then(|url| errors.queue("WEBHOOK_QUEUE_URL", Some(&url)));
    let settings = (|| {
        let (table, queue_url) = (table?, queue_url?);
        Some(FillSettings { table, queue_url, bucket, outbound, webhook_queue })
    })();
    errors.finish(settings)
}
