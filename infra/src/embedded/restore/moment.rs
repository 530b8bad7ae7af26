//! Determines which increments of a backup are needed to restore a moment. The parent calls [`find`].

use domain::Timestamp;
use tokio::runtime::Handle;

use super::{RestoreError, Until};
use crate::backup::BackupError;
use crate::backup::manifest::{LogSegment, Manifest};
use crate::backup::record::LogRecord;
use crate::backup::segment::{SegmentFlaw, lines};
use crate::backup::target::Target;
use crate::backup::verify::holds_events;
use crate::embedded::store::folder::FORMAT_NUMBER;

/// A moment of a backup, and the increments from which it is restored.
pub(super) struct Moment {
    /// The position of the latest event to restore.
    pub(super) position: u64,
    /// The newest increment, which lists the whole log.
    pub(super) newest: Manifest,
    /// The latest increment at or before the moment, which provides the state. `None` if all increments are later.
    pub(super) state: Option<Manifest>,
}

impl Moment {
    /// Whether the increment was made at the position of the moment.
    pub(super) fn is_at(&self, increment: &Manifest) -> bool {
        increment.folder.position == self.position
    }

    /// The numbers of the increments that the restore reads.
    pub(super) fn increments(&self) -> impl Iterator<Item = u64> {
        std::iter::once(&self.newest).chain(&self.state).map(|manifest| manifest.number)
    }

    /// The log segments that contain the events up to the moment.
    pub(super) fn log(&self) -> impl Iterator<Item = &LogSegment> {
        self.newest.log.iter().take_while(|segment| segment.first <= self.position)
    }
}

pub(super) fn find(runtime: &Handle, source: &Target, until: Until) -> Result<Moment, RestoreError> {
    runtime.block_on(find_in(source, until))
}

async fn find_in(source: &Target, until: Until) -> Result<Moment, RestoreError> {
    let numbers = source.manifests().await?;
    let Some((last, earlier)) = numbers.split_last() else {
        return Err(BackupError::Empty { location: source.location().to_owned() }.into());
    };
    let (newest, _) = source.manifest(*last).await?;
    let found = newest.folder.format;
    if found != FORMAT_NUMBER {
        return Err(RestoreError::OtherFormat { found, readable: FORMAT_NUMBER });
    }
    let end = newest.folder.position;
    let position = match until {
        Until::End => end,
        Until::Position(asked) if asked > end => return Err(RestoreError::AfterEnd { asked, end }),
        Until::Position(position) => position,
        Until::Time(time) => position_at(source, &newest, time).await?,
    };
    let is_before = |manifest: &Manifest| {
        manifest.folder.position <= position && !matches!(until, Until::Time(time) if manifest.time > time)
    };
    if is_before(&newest) {
        return Ok(Moment { position, state: Some(newest.clone()), newest });
    }
    for number in earlier.iter().rev() {
        let (manifest, _) = source.manifest(*number).await?;
        if is_before(&manifest) {
            return Ok(Moment { position, newest, state: Some(manifest) });
        }
    }
    Ok(Moment { position, newest, state: None })
}

/// The position of the latest event that was recorded at `time` or earlier. The times of events in the feed never
/// decrease, so a bisection finds the segment.
async fn position_at(source: &Target, newest: &Manifest, time: Timestamp) -> Result<u64, RestoreError> {
    let (mut low, mut high) = (0, newest.log.len());
    // The segments below `low` begin at `time` or earlier. The segments from `high` on begin after `time`.
    while low < high {
        let middle = low + (high - low) / 2;
        let first = records_of(source, &newest.log[middle]).await?.first().map(LogRecord::time);
        if first.is_some_and(|first| first <= time.micros()) { low = middle + 1 } else { high = middle }
    }
    let Some(segment) = low.checked_sub(1).map(|at| &newest.log[at]) else {
        let Some(first) = newest.log.first() else { return Ok(0) };
        let first = records_of(source, first).await?.first().map(LogRecord::time);
        let first = first.and_then(Timestamp::from_micros).unwrap_or(time);
        return Err(RestoreError::BeforeBegin { asked: time, first });
    };
    let records = records_of(source, segment).await?;
    let before = records.iter().take_while(|record| record.time() <= time.micros());
    Ok(before.last().map_or(segment.first - 1, LogRecord::last))
}

async fn records_of(source: &Target, segment: &LogSegment) -> Result<Vec<LogRecord>, BackupError> {
    let holds = holds_events(segment);
    let plain = source.segment(&segment.file, &holds).await?;
    let records = lines(&plain).map(LogRecord::decode).collect::<anyhow::Result<_>>();
    records.map_err(|error| BackupError::Segment {
        location: source.location().to_owned(),
        path: segment.file.path(),
        holds,
        flaw: SegmentFlaw::Content(format!("{error:#}")),
    })
}
