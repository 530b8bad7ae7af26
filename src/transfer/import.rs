//! Implements `orders import`: reads lines of an export in batches, imports each batch, and audits the result.
//!
//! A data folder records each batch in one commit. An import that was killed can run again: events that the target
//! already has are compared and skipped.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use api::export::format::is_export_end;
use consumer::import::{ImportLine, ImportTarget, RefusedLine, plan};
use domain::Currency;

use super::args::{ImportArgs, OnError};
use super::audit::{AuditFile, Audited};
use super::check::{PARTIAL, WholeCheck, check_file};
use super::lines::{Line, LineReader, MAX_LINE_BYTES, decode};
use super::progress::Progress;
use crate::embedded::open;
use crate::style::without_controls;

/// A batch with this many lines or bytes ends at the next order.
const BATCH_LINES: usize = 500;
const BATCH_BYTES: usize = 2 << 20;
/// A batch with this many lines or bytes ends even within an order.
const MAX_BATCH_LINES: usize = 5000;
const MAX_BATCH_BYTES: usize = 6 << 20;

pub(crate) async fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let is_stdin = args.file.as_os_str() == "-";
    // Any other input, such as a pipe, can be read only once, so it is checked while it is imported.
    if args.file.is_file() && !is_stdin && !args.partial {
        check_file(&args.file)?;
    }
    let (input, length): (Box<dyn BufRead + Send>, _) = match is_stdin {
        true => (Box::new(BufReader::with_capacity(1 << 20, stdin())), None),
        false => open_file(&args.file)?,
    };
    #[cfg(feature = "aws")]
    if args.table.aws {
        let table = crate::aws::transfer_table(&args.table, args.data.default_currency).await?;
        return run(args, input, length, &table).await;
    }
    let engine = open(&args.data, args.data.options()).await?;
    run(args, input, length, &engine).await
}

fn open_file(path: &Path) -> anyhow::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file.metadata().ok().map(|data| data.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, file)), length))
}

async fn run(
    args: &ImportArgs,
    input: Box<dyn BufRead + Send>,
    length: Option<u64>,
    target: &dyn ImportTarget,
) -> anyhow::Result<()> {
    let mut lines = ImportReader {
        lines: LineReader::new(input),
        default_currency: args.data.default_currency,
        whole: WholeCheck::default(),
        is_checked: !args.partial,
        pending: None,
    };
    let mut import = Import {
        target,
        stops: args.on_error == OnError::Stop,
        audit: AuditFile::create()?,
        imported: 0,
        existing: 0,
        refused: 0,
    };
    let mut progress = Progress::new("importing", length);
    while let Some(batch) = lines.batch(import.stops)? {
        import.batch(batch).await?;
        progress.show(import.imported + import.existing, lines.lines.bytes());
        if import.stops && import.refused > 0 {
            break;
        }
    }
    let took = progress.end();
    let is_cut = lines.is_checked && import.refused == 0 && !lines.whole.is_whole();
    import.finish(took, is_cut).await
}

struct Import<'a> {
    target: &'a dyn ImportTarget,
    /// Whether the first refused line ends the import.
    stops: bool,
    audit: AuditFile,
    imported: u64,
    existing: u64,
    refused: u64,
}

#[derive(Default)]
struct ImportBatch {
    lines: Vec<ImportLine>,
    refused: Vec<RefusedLine>,
    /// The number of lines, and the number of their bytes.
    count: usize,
    bytes: usize,
}

impl Import<'_> {
    async fn batch(&mut self, batch: ImportBatch) -> anyhow::Result<()> {
        let plan = plan(self.target, batch.lines, self.stops).await?;
        if let Err(error) = self.target.import(&plan.appends).await {
            let (first, last) = (plan.accepted.first(), plan.accepted.last());
            let number = |line: Option<&ImportLine>| line.map_or(0, |line| line.number);
            let place = format!(
                "lines {} to {} were not all imported; run the command again",
                number(first),
                number(last)
            );
            return Err(anyhow::Error::from(error).context(place));
        }
        self.existing += plan.existing;
        self.imported += plan.accepted.len() as u64 - plan.existing;
        plan.accepted.iter().try_for_each(|line| self.audit.add(&line.event))?;
        let mut refused = plan.refused;
        // If the plan stopped at a refused line, the lines after it were not planned.
        if !self.stops || refused.is_empty() {
            refused.extend(batch.refused);
            refused.sort_by_key(|line| line.number);
        }
        self.refused += refused.len() as u64;
        for RefusedLine { number, reason } in refused {
            crate::print(&without_controls(&format!("line {number}: {reason}")))?;
        }
        Ok(())
    }

    async fn finish(self, took: Duration, is_cut: bool) -> anyhow::Result<()> {
        let Self { imported, existing, refused, .. } = self;
        let rate = (imported + existing) as f64 / took.as_secs_f64().max(0.001);
        crate::print(&format!(
            "{imported} events imported, {existing} were there already, {refused} lines refused ({rate:.0} events/s)"
        ))?;
        let Audited { parts, events, differences, differing } = self.audit.compare(self.target).await?;
        crate::print(&format!(
            "audit: {events} events in {parts} parts of logs read from the target, {differing} parts differ from the lines"
        ))?;
        differences.iter().try_for_each(|difference| crate::print(&format!("  {difference}")))?;
        if differing > 0 {
            bail!("the target does not have what the lines have");
        }
        if refused > 0 && self.stops {
            bail!("stopped at a line that cannot be imported; everything before it is imported");
        }
        if refused > 0 {
            bail!("{refused} lines were not imported; the reasons are above");
        }
        if is_cut {
            bail!(
                "the input does not end with the last line of an export, so events may be missing; {PARTIAL}"
            );
        }
        Ok(())
    }
}

struct ImportReader {
    lines: LineReader<Box<dyn BufRead + Send>>,
    default_currency: Currency,
    whole: WholeCheck,
    /// Whether the lines must be a whole export.
    is_checked: bool,
    /// A line that was read and belongs to the next batch.
    pending: Option<ImportLine>,
}

impl ImportReader {
    /// The next batch, or `None` at the end. With `stops`, a batch ends at the first line that cannot be decoded.
    /// Otherwise, a batch has at most [`BATCH_LINES`] such lines.
    fn batch(&mut self, stops: bool) -> anyhow::Result<Option<ImportBatch>> {
        let mut batch = ImportBatch::default();
        batch.lines.extend(self.pending.take());
        while let Some((length, read)) = self.next()? {
            batch.count += 1;
            batch.bytes += length;
            match read {
                Ok(None) => {}
                Ok(Some(line)) if batch.is_full_before(&line) => {
                    self.pending = Some(line);
                    return Ok(Some(batch));
                }
                Ok(Some(line)) => batch.lines.push(line),
                Err(refused) => {
                    batch.refused.push(refused);
                    if stops || batch.refused.len() >= BATCH_LINES {
                        return Ok(Some(batch));
                    }
                }
            }
        }
        let is_empty = batch.lines.is_empty() && batch.refused.is_empty();
        Ok((!is_empty).then_some(batch))
    }

    /// Reads a line. Returns its length, and its event if it has one. `None` at the end.
    #[expect(clippy::type_complexity, reason = "a name would hide that a line may have no event")]
    fn next(&mut self) -> anyhow::Result<Option<(usize, Result<Option<ImportLine>, RefusedLine>)>> {
        let number = self.lines.number() + 1;
        let refuse = |reason: String| RefusedLine { number, reason };
        let Some(line) = self.lines.next().context("cannot read the export")? else { return Ok(None) };
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => {
                let reason = format!("the line is longer than {MAX_LINE_BYTES} bytes");
                return Ok(Some((0, Err(refuse(reason)))));
            }
        };
        let length = line.len();
        let checked = if self.is_checked { self.whole.add(line) } else { Ok(()) };
        if let Err(reason) = checked {
            return Ok(Some((length, Err(refuse(reason)))));
        }
        if is_export_end(line) {
            return Ok(Some((length, Ok(None))));
        }
        let event = decode(line, self.default_currency);
        let read = event.map(|event| Some(ImportLine { number, event })).map_err(refuse);
        Ok(Some((length, read)))
    }
}

impl ImportBatch {
    /// Whether the batch ends before `line`. A batch ends between two orders, unless an order is very long.
    fn is_full_before(&self, line: &ImportLine) -> bool {
        let Some(last) = self.lines.last() else { return false };
        let is_full = self.count > BATCH_LINES || self.bytes > BATCH_BYTES;
        let is_overfull = self.count > MAX_BATCH_LINES || self.bytes > MAX_BATCH_BYTES;
        is_overfull || (is_full && last.event.envelope.order_id != line.event.envelope.order_id)
    }
}
