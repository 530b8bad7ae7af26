//! Implements `orders export`: reads a source, and prints lines of JSON or tables.

use std::io::{BufWriter, ErrorKind, Write, stdout};

use anyhow::{bail, ensure};
use api::export::format::ExportWriter;
use domain::RecordedEvent;

use super::args::{ExportArgs, ExportFormat};
use super::csv_tables::CsvTables;
use super::progress::Progress;
use super::source::ExportSource;

pub(crate) async fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let is_csv = args.format == ExportFormat::Csv;
    ensure!(is_csv || args.csv_table.is_none(), "--table needs --format csv");
    ensure!(is_csv || args.folder.is_none(), "--to needs --format csv");
    if is_csv && args.csv_table.is_none() && args.folder.is_none() {
        bail!(
            "a CSV has three tables: add --table orders, lines or payments, or --to FOLDER for all of them"
        );
    }
    let mut source = ExportSource::open(args).await?;
    let mut sink = match args.format {
        ExportFormat::Jsonl => ExportSink::Lines(ExportWriter::default(), BufWriter::new(stdout())),
        ExportFormat::Csv => ExportSink::Tables(Box::new(CsvTables::open(args)?)),
    };
    let (mut events, mut progress) = (0, Progress::new("exporting", source.about));
    while let Some(chunk) = source.reader.next().await? {
        events += chunk.len() as u64;
        progress.show(events, events);
        if !is_open(sink.add(&chunk))? {
            return Ok(());
        }
    }
    progress.end();
    if is_open(sink.end())? {
        tracing::info!(events, "exported");
    }
    Ok(())
}

/// Whether the output is still open. A reader that closes the pipe early, as `head` does, is not an error.
fn is_open(written: anyhow::Result<()>) -> anyhow::Result<bool> {
    let is_closed = |error: &anyhow::Error| {
        error.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
        })
    };
    match written {
        Err(error) if is_closed(&error) => Ok(false),
        written => written.map(|()| true),
    }
}

enum ExportSink {
    Lines(ExportWriter, BufWriter<std::io::Stdout>),
    Tables(Box<CsvTables>),
}

impl ExportSink {
    fn add(&mut self, events: &[RecordedEvent]) -> anyhow::Result<()> {
        match self {
            Self::Lines(writer, out) => {
                let mut lines = Vec::new();
                events.iter().for_each(|event| writer.add(&mut lines, event));
                Ok(out.write_all(&lines)?)
            }
            Self::Tables(tables) => events.iter().try_for_each(|event| tables.add(event)),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Lines(writer, mut out) => {
                out.write_all(&writer.end())?;
                Ok(out.flush()?)
            }
            Self::Tables(tables) => tables.end(),
        }
    }
}
