//! The audit at the end of an import: reads every imported order from the target, and compares it with the imported
//! lines.
//!
//! While lines are imported, the hash of each order's lines goes to a temporary file, so that an import of any size
//! takes little memory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};

use anyhow::{Context, bail};
use consumer::import::ImportTarget;
use domain::{OrderId, RecordedEvent};
use sha2::{Digest, Sha256};

use super::progress::Progress;

/// The number of log entries that are read from the target in one call.
const ENTRIES_PER_READ: usize = 200;

/// A temporary file with the hashes of the imported lines.
pub(super) struct AuditFile {
    file: BufWriter<File>,
    current: Option<Run>,
    events: u64,
}

/// Consecutive versions of an order, on lines that follow each other.
struct Run {
    order_id: OrderId,
    first: u64,
    last: u64,
    hash: Sha256,
}

impl Run {
    fn begin(order_id: OrderId, first: u64) -> Self {
        Self { order_id, first, last: first.saturating_sub(1), hash: Sha256::new() }
    }

    fn add(&mut self, event: &RecordedEvent) {
        self.last = event.version;
        self.hash.update(event.encode());
        self.hash.update(b"\n");
    }

    fn finish(self) -> String {
        let mut line = format!("{}\t{}\t{}\t", self.order_id, self.first, self.last);
        self.hash.finalize().iter().for_each(|byte| {
            let _ = write!(line, "{byte:02x}");
        });
        line
    }
}

/// The result of the audit.
pub(super) struct Audited {
    /// The number of parts of logs: consecutive versions of an order, on lines that follow each other.
    pub(super) parts: u64,
    pub(super) events: u64,
    /// Descriptions of the parts that differ, at most [`MAX_DIFFERENCES`].
    pub(super) differences: Vec<String>,
    pub(super) differing: u64,
}

const MAX_DIFFERENCES: usize = 20;

impl AuditFile {
    pub(super) fn create() -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot create a temporary file for the audit")?;
        Ok(Self { file: BufWriter::new(file), current: None, events: 0 })
    }

    /// Adds the event of a line that was imported or was in the target already.
    pub(super) fn add(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let order_id = &event.envelope.order_id;
        let follows = |run: &Run| run.order_id == *order_id && run.last + 1 == event.version;
        if !self.current.as_ref().is_some_and(follows) {
            self.finish_run()?;
        }
        self.current.get_or_insert_with(|| Run::begin(order_id.clone(), event.version)).add(event);
        self.events += 1;
        Ok(())
    }

    fn finish_run(&mut self) -> anyhow::Result<()> {
        let Some(run) = self.current.take() else { return Ok(()) };
        writeln!(self.file, "{}", run.finish()).context("cannot write the temporary file of the audit")
    }

    /// Compares the target with the lines.
    pub(super) async fn compare(mut self, target: &dyn ImportTarget) -> anyhow::Result<Audited> {
        self.finish_run()?;
        let mut file = self.file.into_inner().context("cannot write the temporary file of the audit")?;
        file.rewind()?;
        let mut audited = Audited { parts: 0, events: 0, differences: Vec::new(), differing: 0 };
        let mut progress = Progress::new("auditing", Some(self.events));
        for line in BufReader::new(file).lines() {
            let line = line.context("cannot read the temporary file of the audit")?;
            let fields: Vec<_> = line.split('\t').collect();
            let [order_id, first, last, _] = fields[..] else {
                bail!("the temporary file of the audit is damaged")
            };
            let (order_id, first, last) =
                (OrderId::parse(order_id)?, first.parse::<u64>()?, last.parse::<u64>()?);
            let found = read(target, &order_id, first, last).await?;
            audited.parts += 1;
            audited.events += last - first + 1;
            if found.finish() != line {
                audited.differing += 1;
                if audited.differences.len() < MAX_DIFFERENCES {
                    audited.differences.push(format!("order {order_id}, versions {first} to {last}"));
                }
            }
            progress.show(audited.events, audited.events);
        }
        progress.end();
        Ok(audited)
    }
}

/// Hashes the versions `first` to `last` of an order in the target.
async fn read(target: &dyn ImportTarget, order_id: &OrderId, first: u64, last: u64) -> anyhow::Result<Run> {
    let mut run = Run::begin(order_id.clone(), first);
    while run.last < last {
        let after = run.last;
        let entries = target.entries(order_id, after, ENTRIES_PER_READ).await?;
        let consecutive =
            entries.iter().zip(after + 1..=last).take_while(|(entry, version)| entry.version == *version);
        consecutive.for_each(|(entry, _)| run.add(entry));
        if run.last == after {
            break;
        }
    }
    Ok(run)
}
