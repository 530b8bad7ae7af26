//! Implements `orders backup verify`, which checks every file of a backup and restores it into a scratch folder.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use clap::Args;
use domain::Currency;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use infra::backup::target::Target;
use infra::backup::verify::{FileCheck, check_files};
use infra::embedded::restore::drill::{Rehearsal, rehearse_within};
use serde_json::json;
use tokio::runtime::Handle;

use super::restore::{Display, flow, stoppable};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The backup: a folder, or s3://BUCKET/PREFIX.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Only check the files, and do not restore them into a scratch folder.
    #[arg(long)]
    files_only: bool,
    /// Where to make the scratch folder. It needs as much space as the data folder. The default is the folder for
    /// temporary files.
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE", value_parser = Currency::parse)]
    default_currency: Currency,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies the backup, and prints what is wrong with it.
pub(crate) async fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let source = Target::parse(&args.source)?;
    let (currency, runtime) = (args.default_currency, Handle::current());
    let scratch = (!args.files_only).then(|| args.scratch.clone().unwrap_or_else(std::env::temp_dir));
    let work = move |stop: &AtomicBool| -> anyhow::Result<(FileCheck, Option<Rehearsal>)> {
        let style = ProgressStyle::with_template("{spinner} {binary_bytes} of segments checked")?;
        let bar = ProgressBar::new_spinner().with_style(style);
        let files = check_files(&runtime, &source, &|bytes| {
            bar.set_position(bytes);
            flow(stop)
        })?;
        bar.finish_and_clear();
        let Some(scratch) = scratch.filter(|_| files.flaws.is_empty()) else { return Ok((files, None)) };
        let display = Display::new();
        let show = |progress| display.update(progress, stop);
        let rehearsal = rehearse_within(&runtime, &source, &scratch, currency, &show)?;
        Ok((files, Some(rehearsal)))
    };
    let (files, rehearsal) = stoppable(work).await??;
    let findings = rehearsal.as_ref().map_or(0, |rehearsal| rehearsal.findings.len());
    if args.json {
        crate::print(&serde_json::to_string_pretty(&json!({ "files": files, "restored": rehearsal }))?)?;
    } else {
        print(&files, rehearsal.as_ref())?;
    }
    if !files.flaws.is_empty() || findings > 0 {
        bail!("the backup is damaged");
    }
    Ok(())
}

fn print(files: &FileCheck, rehearsal: Option<&Rehearsal>) -> anyhow::Result<()> {
    let FileCheck { manifests, segments, bytes, unlisted, flaws } = files;
    let size = HumanBytes(*bytes);
    crate::print(&format!("{manifests} manifests and {segments} segments ({size}) checked"))?;
    if *unlisted > 0 {
        crate::print(&format!(
            "{unlisted} segments are in no manifest; the next backups use or remove them"
        ))?;
    }
    for flaw in flaws {
        let holds = if flaw.holds.is_empty() { String::new() } else { format!(" ({})", flaw.holds) };
        crate::print(&format!("DAMAGED: {}{holds}: {}", flaw.path, flaw.what))?;
    }
    if let Some(Rehearsal { restored, findings }) = rehearsal {
        let (events, orders, position) = (restored.events, restored.orders, restored.position);
        crate::print(&format!(
            "restored and folded: {events} events of {orders} orders, up to position {position}"
        ))?;
        crate::print(&format!("hash {}", restored.hash))?;
        findings.iter().try_for_each(|finding| crate::print(&format!("DIFFERS: {finding}")))?;
    }
    Ok(())
}
