//! Implements `orders dlq import`, which loads an archive of dead letters into a local data folder.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use domain::Currency;
use indicatif::{ProgressBar, ProgressStyle};
use infra::embedded::Incoming;

use super::files::{self, ArchiveFiles};
use super::{archive, print_untrusted};
use crate::embedded::{DataArgs, open};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The archive: a folder, a single file, or s3://bucket/prefix. A folder is searched recursively, and links in it
    /// are not followed.
    source: String,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Default)]
struct ArchiveContents {
    letters: Vec<Incoming>,
    /// The entries that could not be decoded, each with the reason.
    skipped: Vec<String>,
}

impl ArchiveContents {
    fn add(&mut self, from: String, name: &str, bytes: anyhow::Result<Vec<u8>>, default_currency: Currency) {
        let place = from.clone();
        match bytes.and_then(|bytes| archive::decode(from, name, bytes, default_currency)) {
            Ok(letter) => self.letters.push(letter),
            Err(error) => self.skipped.push(format!("{place}: {error:#}")),
        }
    }
}

fn progress_bar(what: &str) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos} of {len} dead letters, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style).with_message(what.to_owned()))
}

pub(super) async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let reading = progress_bar("reading")?;
    let read = match args.source.strip_prefix("s3://") {
        Some(place) => read_bucket(place, args.data.default_currency, &reading).await?,
        None => read_files(Path::new(&args.source), args.data.default_currency, &reading)?,
    };
    reading.finish_and_clear();
    let ArchiveContents { letters, mut skipped } = read;
    if letters.is_empty() && skipped.is_empty() {
        bail!("there are no dead letters at {}", args.source);
    }
    let engine = open(&args.data, args.data.options()).await?;
    let importing = progress_bar("importing")?;
    importing.set_length(letters.len() as u64);
    let imported = engine.import(letters, &|done| importing.set_position(done)).await?;
    importing.finish_and_clear();
    let (added, repaired, unchanged) = (imported.added, imported.repaired, imported.unchanged);
    crate::print(&format!("{added} added, {repaired} repaired, {unchanged} already there"))?;
    skipped.extend(imported.conflicts);
    if skipped.is_empty() {
        return Ok(());
    }
    skipped.iter().try_for_each(|skipped| print_untrusted(&format!("not imported: {skipped}")))?;
    bail!("{} entries of the archive could not be imported; see the list above", skipped.len())
}

#[cfg(feature = "aws")]
async fn read_bucket(
    place: &str,
    default_currency: Currency,
    bar: &ProgressBar,
) -> anyhow::Result<ArchiveContents> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let sdk = infra::aws::config().await;
    let mut read = ArchiveContents::default();
    let each = |key: &str, bytes, all| {
        bar.set_length(all as u64);
        bar.inc(1);
        let name = key.rsplit('/').next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        read.add(format!("s3://{bucket}/{key}"), stem, bytes, default_currency);
    };
    infra::aws::bucket(&sdk, bucket).each_object(prefix, files::MAX_BYTES, each).await?;
    Ok(read)
}

#[cfg(not(feature = "aws"))]
async fn read_bucket(place: &str, _: Currency, _: &ProgressBar) -> anyhow::Result<ArchiveContents> {
    bail!("s3://{place} needs a build with `--features aws`; or copy the objects into a folder first")
}

fn read_files(
    source: &Path,
    default_currency: Currency,
    bar: &ProgressBar,
) -> anyhow::Result<ArchiveContents> {
    let ArchiveFiles { files, skipped } = ArchiveFiles::below(source)?;
    bar.set_length(files.len() as u64);
    let mut read = ArchiveContents { skipped, ..ArchiveContents::default() };
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        read.add(file.display().to_string(), name, files::read(&file), default_currency);
        bar.inc(1);
    }
    Ok(read)
}
