//! Fills the folder of a restore with the log, the state, the indexes, and the rows of the folder itself. The parent
//! calls [`fill`].

use std::sync::Arc;

use anyhow::Context;
use domain::{Ledger, Timestamp};
use tokio::runtime::Handle;

use super::log_writer::{LogWriter, WrittenLog};
use super::moment::Moment;
use super::place::Place;
use super::state_writer::{StateCounts, StateWriter};
use super::{
    MessageList, QueuedMessages, RestoreError, RestoreOptions, RestoreProgress, RestoreReport, RestoreStep,
    ShowProgress, StateOrigin, audit,
};
use crate::backup::fetch::Segments;
use crate::backup::record::LogRecord;
use crate::backup::row::StateRow;
use crate::backup::segment::{SegmentFlaw, SegmentRef, lines};
use crate::backup::target::Target;
use crate::backup::verify::{holds_events, holds_rows};
use crate::backup::{BackupError, STATE_KEYSPACES};
use crate::embedded::store::backfill::{Backfill, BackfillOptions, BackfillProgress};
use crate::embedded::store::chain::Chain;
use crate::embedded::store::changes::OrderChanges;
use crate::embedded::store::commit::Committer;
use crate::embedded::store::counters::{Counters, LatestTotals};
use crate::embedded::store::database::sync_tree;
use crate::embedded::store::feed::FeedEnd;
use crate::embedded::store::folder::DataFolder;
use crate::embedded::store::keyspaces;
use crate::embedded::store::open_error::OpenError;
use crate::embedded::store::opening::first_commit;

/// The data that the steps of a restore share.
struct Work<'a> {
    runtime: &'a Handle,
    source: &'a Target,
    moment: &'a Moment,
    options: RestoreOptions,
    progress: ShowProgress<'a>,
    place: &'a Place,
}

/// Fills the inner folder of `place`, and compares the result with the backup.
pub(super) fn fill(
    runtime: &Handle,
    source: &Target,
    place: &Place,
    moment: &Moment,
    options: RestoreOptions,
    list: MessageList<'_>,
    progress: ShowProgress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let work = Work { runtime, source, moment, options, progress, place };
    let inner = place.inner();
    let folder = DataFolder::claim(&inner)?;
    let (keys, _) = folder.open_store()?;
    let mut committer = Committer {
        keys,
        totals: LatestTotals::default(),
        changes: Arc::new(OrderChanges::default()),
        // No commit of the restored folder gets the number of a commit in the backup. So later increments of the same
        // backup can distinguish the folder's commits from earlier commits.
        chain: Chain { commit: moment.newest.folder.commit, ..Chain::default() },
        feed: FeedEnd::default(),
    };
    let log = work.log(&mut committer)?;
    let counts = work.state(&mut committer, list)?;
    let counters = work.own_rows(&mut committer, &log, &counts)?;
    let show = |done| work.show(RestoreStep::Audit, done, log.events);
    let is_queued_again = options.queue == QueuedMessages::Again;
    let hash = audit::check(&committer, moment, &log, &counters, is_queued_again, &show)?;
    // With the data in tables, the next start reads almost no journal.
    committer.keys.write_tables().map_err(|error| work.failed(error.into()))?;
    let stage = committer.stage();
    first_commit(&folder, &mut committer, stage).map_err(|error| work.failed(error.into()))?;
    drop((committer, folder));
    sync_tree(&inner).map_err(|error| OpenError::io(&inner, error))?;
    let state = moment.state.as_ref().map(|state| StateOrigin {
        increment: state.number,
        position: state.folder.position,
        time: state.time,
    });
    Ok(RestoreReport {
        position: moment.position,
        newest_event: Some(log.end.time).filter(|_| log.events > 0).and_then(Timestamp::from_micros),
        events: log.events,
        orders: log.orders,
        hash,
        state,
        ledger: counters.ledger,
        queued: counts.queued,
        listed: counts.listed,
        finished_messages: counts.finished_messages,
        dead_letters: counters.letters,
        finished_dead_letters: counts.finished_dead_letters,
    })
}

impl Work<'_> {
    fn show(&self, step: RestoreStep, done: u64, all: u64) -> Result<(), RestoreError> {
        let shown = (self.progress)(RestoreProgress { step, done, all });
        if shown.is_continue() { Ok(()) } else { Err(RestoreError::Stopped) }
    }

    fn failed(&self, error: anyhow::Error) -> RestoreError {
        RestoreError::Write { path: self.place.path().to_owned(), error }
    }

    /// The error for a segment whose file is intact, but whose lines are malformed.
    fn malformed(&self, segment: &SegmentRef, holds: &str, what: String) -> RestoreError {
        let (location, path) = (self.source.location().to_owned(), segment.path());
        let flaw = SegmentFlaw::Content(what);
        BackupError::Segment { location, path, holds: holds.to_owned(), flaw }.into()
    }

    /// Writes the events up to the moment.
    fn log(&self, committer: &mut Committer) -> Result<WrittenLog, RestoreError> {
        let until = self.moment.position;
        let mut writer = LogWriter::new(committer, self.options.default_currency);
        let refs = self.moment.log().map(|segment| (segment.file, holds_events(segment)));
        let plain = Segments::new(self.runtime, self.source, refs);
        for (segment, plain) in self.moment.log().zip(plain) {
            let malformed = |what: String| self.malformed(&segment.file, &holds_events(segment), what);
            for line in lines(&plain?) {
                let record = LogRecord::decode(line).map_err(|error| malformed(format!("{error:#}")))?;
                if record.first() > until {
                    break;
                }
                writer.add(&record, until).map_err(|error| self.failed(error))?;
            }
            if segment.last <= until && writer.hash != segment.hash {
                return Err(malformed("the running hash of its events is another one".to_owned()));
            }
            let (done, all) = (writer.events, self.moment.newest.events());
            self.show(RestoreStep::Log, done, all)?;
        }
        writer.finish().map_err(|error| self.failed(error))
    }

    /// Writes the state as of the moment.
    fn state(&self, committer: &mut Committer, list: MessageList<'_>) -> Result<StateCounts, RestoreError> {
        let Some(state) = &self.moment.state else { return Ok(StateCounts::default()) };
        let RestoreOptions { default_currency, queue, .. } = self.options;
        let is_older = !self.moment.is_at(state);
        let mut writer =
            StateWriter::new(committer, default_currency, queue, &state.folder.name, is_older, list);
        for keyspace in STATE_KEYSPACES {
            let segments: Vec<_> =
                state.state.iter().filter(|segment| segment.keyspace == keyspace).collect();
            let refs = segments.iter().map(|segment| (segment.file, holds_rows(segment)));
            let plain = Segments::new(self.runtime, self.source, refs);
            for (segment, plain) in segments.iter().zip(plain) {
                for line in lines(&plain?) {
                    let malformed = |error: anyhow::Error| {
                        self.malformed(&segment.file, &holds_rows(segment), format!("{error:#}"))
                    };
                    let row = StateRow::decode(line).map_err(malformed)?;
                    writer.add(keyspace, row).map_err(|error| self.failed(error))?;
                }
            }
        }
        writer.finish().map_err(|error| self.failed(error))
    }

    /// Fills the indexes and projections, and writes the rows of the folder itself.
    fn own_rows(
        &self,
        committer: &mut Committer,
        log: &WrittenLog,
        counts: &StateCounts,
    ) -> Result<Counters, RestoreError> {
        let failed = |error| self.failed(error);
        let newest = &self.moment.newest.folder;
        let (keys, mut stage) = (committer.keys.clone(), committer.stage());
        stage.put(&keys.meta, keyspaces::FOLDER, newest.name.as_bytes());
        // New messages of the restored folder never get an id that a message of the backed-up folder had after the
        // moment.
        stage.next_seq = Some(newest.next_seq);
        let before = self.moment.state.as_ref().map(|state| (state.folder.ledger, state.folder.dead_letters));
        let (ledger, letters) = before.unwrap_or((Ledger::default(), 0));
        let letters = letters.saturating_sub(counts.finished_dead_letters);
        stage.counters = Counters { ledger: counts.ledger(ledger, log.events), letters };
        stage.queued = counts.queued;
        let counters = stage.counters;
        let backfill = Backfill::plan(&keys, &mut stage, Some(&newest.searchable), true).map_err(failed)?;
        committer.commit(stage).map_err(|error| failed(error.into()))?;
        let progress = |BackfillProgress { events, .. }: BackfillProgress| {
            (self.progress)(RestoreProgress { step: RestoreStep::Indexes, done: events, all: log.events })
        };
        let options = BackfillOptions {
            searchable: Some(&newest.searchable),
            default_currency: self.options.default_currency,
            progress: &progress,
        };
        let filled = backfill.run(committer, &options);
        // If the caller has stopped the restore, the backfill has failed, and `show` returns the right error here.
        self.show(RestoreStep::Audit, 0, log.events)?;
        filled.context("cannot fill the indexes").map_err(failed)?;
        Ok(counters)
    }
}
