//! `orders dlq import`: an archive into a local data folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use domain::{Currency, DeadLetter, Envelope, ParkReason, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::embedded::{DataArgs, open};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A folder with an archive, looked through to its leaves, a file of one, or s3://bucket/prefix.
    source: String,
    #[command(flatten)]
    data: DataArgs,
}

/// What was read, and what could not be.
#[derive(Default)]
struct Read {
    letters: Vec<DeadLetter>,
    broken: Vec<String>,
}

pub(super) async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} letters, {eta} left")?;
    let bar = ProgressBar::new(0).with_style(style);
    let read = match args.source.strip_prefix("s3://") {
        Some(place) => Read { letters: of_bucket(place, &bar).await?, broken: Vec::new() },
        None => of_files(Path::new(&args.source), args.data.default_currency, &bar)?,
    };
    bar.finish_and_clear();
    if read.letters.is_empty() && read.broken.is_empty() {
        bail!("there are no dead letters at {}", args.source);
    }
    let engine = open(&args.data, args.data.options()).await?;
    let imported = engine.import(read.letters).await?;
    let (added, repaired, unchanged) = (imported.added, imported.repaired, imported.unchanged);
    crate::print(&format!("{added} added, {repaired} repaired, {unchanged} there already"))?;
    if !read.broken.is_empty() {
        bail!("{} could not be read:\n  {}", read.broken.len(), read.broken.join("\n  "));
    }
    Ok(())
}

#[cfg(feature = "aws")]
async fn of_bucket(place: &str, bar: &ProgressBar) -> anyhow::Result<Vec<DeadLetter>> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let sdk = infra::aws::config().await;
    let progress = |read, all| {
        bar.set_length(all as u64);
        bar.set_position(read as u64);
    };
    infra::aws::bucket(&sdk, bucket).letters(prefix, progress).await
}

#[cfg(not(feature = "aws"))]
async fn of_bucket(place: &str, _: &ProgressBar) -> anyhow::Result<Vec<DeadLetter>> {
    bail!("s3://{place} needs a program built with `--features aws`; or copy the objects into a folder first")
}

fn of_files(source: &Path, default_currency: Currency, bar: &ProgressBar) -> anyhow::Result<Read> {
    let files = files(source).with_context(|| format!("reading {}", source.display()))?;
    bar.set_length(files.len() as u64);
    let mut read = Read::default();
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match std::fs::read(&file)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| letter(name, bytes, default_currency))
        {
            Ok(letter) => read.letters.push(letter),
            Err(error) => read.broken.push(format!("{}: {error:#}", file.display())),
        }
        bar.inc(1);
    }
    Ok(read)
}

/// Every file below, in the order of their paths.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    let below = entries.into_iter().map(|entry| files(&entry.path()));
    Ok(below.collect::<std::io::Result<Vec<_>>>()?.concat())
}

/// The letter in a file: as the archive has it, as the article's processor of dead letters wrote it, or else the message
/// itself, of which nothing is known but its name.
fn letter(name: &str, bytes: Vec<u8>, default_currency: Currency) -> anyhow::Result<DeadLetter> {
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    let has = |member: &str| json.as_ref().is_some_and(|json| json.get(member).is_some());
    if has("id") && has("parked_at") {
        let letter: DeadLetter = serde_json::from_slice(&bytes).context("it is no dead letter")?;
        return Ok(DeadLetter { id: plain(&letter.id)?, ..letter });
    }
    if has("message") && has("attributes") {
        let json = json.unwrap_or_default();
        return Ok(of_article(&plain(name)?, &json));
    }
    let (reason, detail) = match Envelope::decode(&bytes, default_currency) {
        Err(error) => (error.reason(), error.to_string()),
        Ok(_) => (ParkReason::TriesExhausted, "it was brought in as a bare message".to_owned()),
    };
    Ok(DeadLetter::new(plain(name)?, bytes, reason, detail, infra::now()))
}

/// `{message, attributes, original_queue, processed_at}`, named after the message's id.
fn of_article(name: &str, json: &Value) -> DeadLetter {
    let time = json["processed_at"].as_str().and_then(|time| Timestamp::parse(time).ok());
    let body = match &json["message"] {
        Value::String(text) => text.clone().into_bytes(),
        message => message.to_string().into_bytes(),
    };
    let detail = "it was archived without a reason".to_owned();
    let at = time.unwrap_or_else(infra::now);
    let mut letter = DeadLetter::new(name, body, ParkReason::TriesExhausted, detail, at);
    let text = |name: &str| json["attributes"][name].as_str();
    let millis = |name: &str| Timestamp::from_millis(text(name)?.parse().ok()?);
    letter.origin = json["original_queue"].as_str().unwrap_or_default().to_owned();
    letter.group = text("MessageGroupId").map(str::to_owned);
    letter.receive_count = text("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(0);
    letter.sent_at = millis("SentTimestamp");
    letter.first_received_at = millis("ApproximateFirstReceiveTimestamp");
    letter
}

/// The name, if it can be the id of a letter.
fn plain(name: &str) -> anyhow::Result<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=100).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(name.to_owned());
    }
    bail!("{name:?} cannot be the id of a dead letter: 1–100 characters of [A-Za-z0-9_-]")
}

#[cfg(test)]
mod tests {
    use domain::Body;

    use super::*;

    fn letter(name: &str, bytes: Vec<u8>) -> anyhow::Result<DeadLetter> {
        super::letter(name, bytes, Currency::parse("EUR").unwrap())
    }

    #[test]
    fn letters_are_read_in_every_form_there_is() {
        let at = Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
        let ours = DeadLetter::new("a", vec![0xff], ParkReason::Invalid, "x".to_owned(), at);
        assert_eq!(letter("other", serde_json::to_vec(&ours).unwrap()).unwrap(), ours);

        let article = serde_json::json!({
            "message": { "type": "order_updated", "data": { "order_id": "A-1", "status": "paid" } },
            "attributes": { "ApproximateReceiveCount": "4", "SentTimestamp": "1763892000000" },
            "original_queue": "arn:aws:sqs:eu-central-1:1:orders", "processed_at": "2026-11-23T10:00:00.123456",
        });
        let read = letter("m-1", article.to_string().into_bytes()).unwrap();
        assert_eq!(
            (read.id.as_str(), read.order_id.unwrap().as_str(), read.receive_count),
            ("m-1", "A-1", 4)
        );
        assert_eq!(read.origin, "arn:aws:sqs:eu-central-1:1:orders");
        assert_eq!(read.body, Body(article["message"].to_string().into_bytes()));

        let bare = letter("m-2", b"{ noise".to_vec()).unwrap();
        assert_eq!((bare.reason, bare.body), (ParkReason::Malformed, Body(b"{ noise".to_vec())));
        assert!(letter("m 3", b"noise".to_vec()).unwrap_err().to_string().contains("m 3"));
        let broken = br#"{"id":"a","parked_at":"yesterday","body":"x"}"#.to_vec();
        assert!(format!("{:#}", letter("a", broken).unwrap_err()).contains("RFC 3339"));
    }
}
