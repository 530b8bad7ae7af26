//! Validates the settings of `orders export --aws` and `orders import --aws`.

use std::time::Duration;

use infra::aws::SdkConfig;

use super::ConfigErrors;
use crate::aws::args::TransferTableArgs;

/// The table, with the settings of those who write it.
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
    args: &TransferTableArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<TransferSettings> {
    errors.region(sdk);
    let table_name = errors.table("TABLE_NAME", args.table_name.as_ref());
    let unpaid_age = errors.unpaid_age(&args.unpaid);
    let search_index = args.search.search_index;
    errors.finish(table_name.map(|table_name| TransferSettings { table_name, search_index, unpaid_age }))
}
