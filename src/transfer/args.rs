//! The flags of `orders export` and `orders import`.

use std::path::PathBuf;

use api::ports::export::ExportFilter;
use clap::{Args, ValueEnum};
use domain::{CustomerId, Timestamp};

#[cfg(feature = "aws")]
use crate::aws::args::TransferTableArgs;
#[cfg(feature = "dlq")]
use crate::base_url::BaseUrl;
use crate::embedded::DataArgs;
#[cfg(feature = "dlq")]
use crate::secret::TokenFile;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[cfg(feature = "dlq")]
    #[command(flatten)]
    pub(super) service: ServiceArgs,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) table: TransferTableArgs,
    /// Export only events that were recorded at this time (RFC 3339) or later. A CSV has the orders that have such an event, as
    /// they are now.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_with_offset)]
    pub(super) from: Option<Timestamp>,
    /// Export only the orders of this customer.
    #[arg(long, value_name = "CUSTOMER", value_parser = CustomerId::parse)]
    pub(super) customer: Option<CustomerId>,
    /// Print one line of JSON for each event, or tables of the orders as they are now.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl, value_name = "FORMAT")]
    pub(super) format: ExportFormat,
    /// Print only this table of a CSV: one row for each order, for each of its lines, or for each of its payments.
    #[arg(long = "table", value_enum, value_name = "TABLE", conflicts_with = "folder")]
    pub(super) csv_table: Option<CsvTable>,
    /// Write the tables of a CSV to files in this folder: orders.csv, lines.csv and payments.csv. No file is replaced.
    #[arg(long = "to", id = "folder", value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Jsonl,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CsvTable {
    Orders,
    Lines,
    Payments,
}

/// A running service. The URL has no variable, so that a command without flags always means the data folder.
#[cfg(feature = "dlq")]
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceArgs {
    /// Export from the running service at this URL, and not from a data folder. The export has everything that was recorded
    /// when it began.
    #[arg(long, value_name = "URL")]
    #[cfg_attr(feature = "aws", arg(conflicts_with = "aws"))]
    pub(super) url: Option<BaseUrl>,
    /// The bearer token, if the service at --url requires one. It needs the scope orders.operate. Other users of this machine can
    /// see flags: prefer the variable or --token-file.
    #[arg(long, env = "ORDERS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    #[command(flatten)]
    pub(super) token_file: TokenFile,
}

impl ExportArgs {
    /// The events to read. A table shows whole orders, so all their events are read.
    pub(super) fn filter(&self) -> ExportFilter {
        let from = self.from.filter(|_| self.format == ExportFormat::Jsonl);
        ExportFilter { from, customer_id: self.customer.clone() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The export: a file, or `-` for standard input.
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) table: TransferTableArgs,
    /// What to do with a line that cannot be imported: stop, after everything before it is imported, or skip it and go on.
    #[arg(long, value_enum, default_value_t = OnError::Stop, value_name = "ACTION")]
    pub(super) on_error: OnError,
    /// Import lines that are not a whole export, such as a selection of its lines. Lines that are missing or were changed are
    /// then not noticed.
    #[arg(long)]
    pub(super) partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    Stop,
    Skip,
}
