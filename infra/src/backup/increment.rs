//! Writes one increment: reads a source, and stores the segments that the target does not have. The manifest is written
//! last. The command `orders backup` and the continuous backup of the service call [`write_increment`].
//!
//! The memory is bounded: it holds a part of the source, one log segment, one state segment and their compressed files.

use domain::Timestamp;

use super::error::BackupError;
use super::log_writer::{LogCutter, LogFlaw, LogLines};
use super::manifest::{FolderState, LogSegment, Manifest, StateSegment};
use super::record::LogRecord;
use super::row::StateRow;
use super::running_hash::RunningHash;
use super::segment::{FileHash, SegmentRef, pack};
use super::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use super::state_writer::{StateCutter, StateLines};
use super::target::Target;
use super::{FORMAT, STATE_KEYSPACES};

const RECEIPTS: &str = STATE_KEYSPACES[0];

/// The result of writing an increment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementReport {
    /// The number of the increment. If nothing has changed, the number of the previous increment.
    pub number: u64,
    /// Whether the folder has not changed since the previous increment, so that nothing was written.
    pub unchanged: bool,
    /// When the source began to read.
    pub time: Timestamp,
    /// The position up to which the events are stored.
    pub position: u64,
    /// The number of events since the previous increment.
    pub new_events: u64,
    /// The number of events in the backup.
    pub events: u64,
    /// The number of recorded events according to the ledger of the folder.
    pub recorded: u64,
    /// Whether the ledger contradicts the number of events, because the folder was damaged.
    pub contradicts_ledger: bool,
    /// The number of segments that were written.
    pub segments_written: u64,
    /// The size of all files that were written.
    pub bytes_written: u64,
}

/// The options of an increment.
#[derive(Debug, Clone, Copy, Default)]
pub struct IncrementOptions {
    /// Read the whole folder again, and write the segments that the target lacks. By default, full log segments are not
    /// read again.
    pub full: bool,
}

/// Writes the next increment. The caller holds the lock of the target.
pub async fn write_increment(
    target: &Target,
    source: &mut dyn BackupSource,
    options: IncrementOptions,
) -> Result<IncrementReport, BackupError> {
    let previous = target.newest_manifest().await?;
    let mut increment = Increment::new(target, previous.as_ref(), options);
    let header = source.begin(increment.request(options)).await?;
    if let Some((previous, _)) = &previous {
        require_continuation(target, previous, &header.folder)?;
        if previous.folder == header.folder && !options.full {
            return Ok(unchanged(previous, header.time));
        }
    }
    while let Some(part) = source.next().await? {
        increment.add(part).await?;
    }
    increment.finish(header).await
}

fn require_continuation(
    target: &Target,
    previous: &Manifest,
    folder: &FolderState,
) -> Result<(), BackupError> {
    let location = target.location().to_owned();
    let there = &previous.folder;
    if there.name != folder.name {
        let (there, here) = (there.name.clone(), folder.name.clone());
        return Err(BackupError::OtherFolder { location, there, here });
    }
    if folder.position < there.position {
        let what =
            format!("the folder ends at position {}, and the backup at {}", folder.position, there.position);
        return Err(BackupError::Diverged { location, what });
    }
    Ok(())
}

fn unchanged(previous: &Manifest, time: Timestamp) -> IncrementReport {
    IncrementReport {
        number: previous.number,
        unchanged: true,
        time,
        position: previous.folder.position,
        new_events: 0,
        events: previous.events(),
        recorded: previous.folder.ledger.recorded,
        contradicts_ledger: previous.contradicts_ledger(),
        segments_written: 0,
        bytes_written: 0,
    }
}

struct Increment<'a> {
    target: &'a Target,
    previous: Option<&'a (Manifest, FileHash)>,
    log: Vec<LogSegment>,
    log_cutter: LogCutter,
    state: Vec<StateSegment>,
    state_cutter: StateCutter,
    segments_written: u64,
    bytes_written: u64,
}

impl<'a> Increment<'a> {
    fn new(
        target: &'a Target,
        previous: Option<&'a (Manifest, FileHash)>,
        options: IncrementOptions,
    ) -> Self {
        let manifest = previous.map(|(manifest, _)| manifest);
        // The last segment is read again, because it may not be full, and because the comparison shows that the folder
        // still has its events.
        let kept = manifest.and_then(|it| it.log.split_last()).map_or(&[][..], |(_, kept)| kept);
        let kept = if options.full { &[] } else { kept };
        Self {
            target,
            previous,
            log: kept.to_vec(),
            log_cutter: LogCutter::new(manifest, kept),
            state: Vec::new(),
            state_cutter: StateCutter::default(),
            segments_written: 0,
            bytes_written: 0,
        }
    }

    fn request(&self, options: IncrementOptions) -> BackupRequest {
        let folder = self.previous.map(|(manifest, _)| &manifest.folder);
        let quiet = folder.filter(|it| it.queued == 0 && it.dead_letters == 0 && !options.full);
        BackupRequest {
            from: self.log_cutter.next(),
            rejected_before: quiet.map(|folder| folder.ledger.rejected),
        }
    }

    async fn add(&mut self, part: BackupPart) -> Result<(), BackupError> {
        match part {
            BackupPart::Log(records) => self.add_records(&records).await,
            BackupPart::State { keyspace, rows } => self.add_rows(&keyspace, &rows).await,
        }
    }

    async fn add_records(&mut self, records: &[LogRecord]) -> Result<(), BackupError> {
        for record in records {
            let full = self.log_cutter.add(record).map_err(|flaw| self.log_error(flaw))?;
            if let Some(lines) = full {
                self.store_log(lines).await?;
            }
        }
        Ok(())
    }

    async fn add_rows(&mut self, keyspace: &str, rows: &[StateRow]) -> Result<(), BackupError> {
        for row in rows {
            for lines in self.state_cutter.add(keyspace, row)?.into_iter().flatten() {
                self.store_state(lines).await?;
            }
        }
        Ok(())
    }

    fn log_error(&self, flaw: LogFlaw) -> BackupError {
        match flaw {
            LogFlaw::Gap { expected, found } => {
                BackupError::Source(anyhow::anyhow!("after position {expected} comes position {found}"))
            }
            LogFlaw::Diverged { position } => BackupError::Diverged {
                location: self.target.location().to_owned(),
                what: format!("the events up to position {position} differ"),
            },
            LogFlaw::Source(error) => error.into(),
        }
    }

    async fn store_log(&mut self, mut lines: LogLines) -> Result<(), BackupError> {
        let content = std::mem::take(&mut lines.lines);
        let file = self.store(content).await?;
        self.log.push(lines.listed(file));
        Ok(())
    }

    async fn store_state(&mut self, lines: StateLines) -> Result<(), BackupError> {
        let StateLines { keyspace, rows, lines } = lines;
        let file = self.store(lines).await?;
        self.state.push(StateSegment { file, keyspace, rows });
        Ok(())
    }

    async fn store(&mut self, lines: Vec<u8>) -> Result<SegmentRef, BackupError> {
        let packed = tokio::task::spawn_blocking(move || pack(&lines)).await.map_err(anyhow::Error::from)?;
        let (segment, file) = packed.map_err(anyhow::Error::from)?;
        if self.target.put_segment(&segment, file).await? {
            self.segments_written += 1;
            self.bytes_written += segment.bytes;
        }
        Ok(segment)
    }

    async fn finish(mut self, header: SourceHeader) -> Result<IncrementReport, BackupError> {
        if let Some(lines) = self.log_cutter.take() {
            self.store_log(lines).await?;
        }
        if let Some(lines) = self.state_cutter.take() {
            self.store_state(lines).await?;
        }
        let SourceHeader { time, folder, receipts_unchanged } = header;
        if self.log_cutter.next() != folder.position + 1 {
            let last = self.log_cutter.next() - 1;
            let what = format!("the events end at position {last}, and the folder at {}", folder.position);
            return Err(BackupError::Source(anyhow::anyhow!(what)));
        }
        let previous = self.previous.map(|(manifest, _)| manifest);
        if let Some(previous) = previous.filter(|_| receipts_unchanged) {
            let receipts = previous.state.iter().filter(|segment| segment.keyspace == RECEIPTS);
            self.state.splice(..0, receipts.cloned());
        }
        let manifest = self.manifest(time, folder, self.log_cutter.hash());
        self.target.put_manifest(&manifest).await?;
        let events = manifest.events();
        Ok(IncrementReport {
            number: manifest.number,
            unchanged: false,
            time,
            position: manifest.folder.position,
            new_events: events.saturating_sub(previous.map_or(0, Manifest::events)),
            events,
            recorded: manifest.folder.ledger.recorded,
            contradicts_ledger: manifest.contradicts_ledger(),
            segments_written: self.segments_written,
            bytes_written: self.bytes_written + manifest.encode().len() as u64,
        })
    }

    fn manifest(&self, time: Timestamp, folder: FolderState, hash: RunningHash) -> Manifest {
        Manifest {
            format: FORMAT,
            number: self.previous.map_or(0, |(manifest, _)| manifest.number) + 1,
            previous: self.previous.map(|(_, hash)| *hash),
            service_version: env!("CARGO_PKG_VERSION").to_owned(),
            time,
            folder,
            hash,
            log: self.log.clone(),
            state: self.state.clone(),
        }
    }
}
