//! Implements `orders backup`: writes an increment of a backup, from a running service or from a data folder that no service
//! uses. `main` calls [`run`]. `infra::backup` is the format, and [`remote`] reads the running service.

mod remote;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::Currency;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use infra::backup::BackupError;
use infra::backup::increment::{IncrementOptions, IncrementReport, write_increment};
use infra::backup::retention::Retention;
use infra::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use infra::backup::target::Target;
use infra::embedded::backup::BackupPace;

use crate::api_client::{ApiClient, ApiClientArgs};
use crate::embedded::{DataArgs, VerifyArgs};
pub(crate) use remote::ServiceSource;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// Where to write: a folder, or s3://BUCKET/PREFIX. For a bucket, the variables AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL count.
    #[arg(value_name = "TARGET", required = true)]
    target: Option<String>,
    /// Read this data folder, and not the service at --url. No service may use the folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The currency (ISO 4217) of orders whose producer does not send one. It counts if --data names a folder of an
    /// earlier version, which is upgraded first.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE", value_parser = Currency::parse)]
    default_currency: Currency,
    /// Keep the newest increments, this many, and remove older ones from the target. By default, all are kept.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
    /// Read everything again, compare it with the previous increment, and write what the target lacks.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    client: ApiClientArgs,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Check every file of a backup, restore it into a scratch folder, and compare the result with the backup.
    ///
    /// The command names each damaged file and what it holds, and fails if there is one, or if the restored folder
    /// differs.
    Verify(VerifyArgs),
}

/// Runs `orders backup`, which writes one increment and removes old ones, or verifies a backup.
pub(crate) async fn run(args: BackupArgs) -> anyhow::Result<()> {
    if let Some(BackupCommand::Verify(args)) = &args.command {
        return crate::embedded::verify(args).await;
    }
    let target = Target::parse(args.target.as_deref().context("TARGET is missing")?)?;
    let source: Box<dyn BackupSource> = match &args.data {
        Some(data) => {
            let data = DataArgs { data: data.clone(), default_currency: args.default_currency };
            let engine = crate::embedded::open_existing(&data).await?;
            Box::new(engine.backup_source(BackupPace::Alone))
        }
        None => Box::new(ServiceSource::new(ApiClient::new(&args.client)?)),
    };
    let lock = target.lock().await?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} events, {per_sec}, {eta} left")?;
    let mut source = ShownSource { source, bar: ProgressBar::new(0).with_style(style) };
    let options = IncrementOptions { full: args.full };
    let report = write_increment(&target, &mut source, options).await?;
    source.bar.finish_and_clear();
    crate::print(&summary(&report, target.location()))?;
    if report.contradicts_ledger {
        let IncrementReport { events, recorded, .. } = report;
        crate::telemetry::print(&format!(
            "warning: the backup has {events} events, and the ledger of the folder counts {recorded}: the folder was \
             damaged; see `orders rebuild --check`"
        ));
    }
    if let Some(keep) = args.keep {
        let removed = Retention::default().apply(&target, keep).await?;
        crate::print(&format!("removed {removed} older increments"))?;
    }
    drop(lock);
    Ok(())
}

fn summary(report: &IncrementReport, location: &str) -> String {
    let IncrementReport { number, position, new_events, segments_written, bytes_written, .. } = report;
    if report.unchanged {
        return format!(
            "{location}: nothing has changed since increment {number}, up to position {position}"
        );
    }
    format!(
        "{location}: increment {number}, {new_events} new events up to position {position}, {segments_written} segments \
         and {} written",
        HumanBytes(*bytes_written)
    )
}

/// The source of a backup, with a progress bar.
struct ShownSource {
    source: Box<dyn BackupSource>,
    bar: ProgressBar,
}

#[async_trait::async_trait]
impl BackupSource for ShownSource {
    async fn begin(&mut self, request: BackupRequest) -> Result<SourceHeader, BackupError> {
        let header = self.source.begin(request).await?;
        self.bar.set_length((header.folder.position + 1).saturating_sub(request.from));
        Ok(header)
    }

    async fn next(&mut self) -> Result<Option<BackupPart>, BackupError> {
        let part = self.source.next().await?;
        if let Some(BackupPart::Log(records)) = &part {
            self.bar.inc(records.len() as u64);
        }
        Ok(part)
    }
}
