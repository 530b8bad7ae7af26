//! Fills empty resources on AWS with the content of a data folder, which a [`BackupSource`] reads: a restored folder for
//! `orders restore --aws`, and a running service for `orders move`.
//!
//! A fill has three steps. Each step can be repeated, so running the same command again continues a killed fill:
//!
//! 1. [`Fill::begin`] puts a marker into the table. The table and the queue must be empty.
//! 2. [`Fill::copy`] imports the recorded events. The importer skips events that the table already contains.
//! 3. [`Fill::complete`] writes all other state ([`state`], [`webhooks`]), compares every event with the source, sends
//!    the messages of the queue ([`messages`]), writes the ledger, and completes the marker.
//!
//! While the marker is incomplete, no role starts. So the marker is completed last.

mod log;
mod messages;
mod report;
mod state;
mod target;
mod webhooks;

use anyhow::{bail, ensure};
use domain::{Ledger, Timestamp};

use crate::backup::manifest::FolderState;
use crate::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use crate::dynamodb::FillMarker;
use crate::embedded::backup::decode;
use crate::now;

pub use report::{FillProgress, FillReport, FillStep, ShowFill};
pub use target::{FillTarget, take_back};

use messages::QueueFill;
use report::ALWAYS_LEFT_OUT;
use webhooks::WebhookFill;

/// Opens the source of a fill from its beginning. [`Fill::complete`] reads the source twice.
#[async_trait::async_trait]
pub trait FillSource: Send + Sync {
    /// Returns a new source, which has not begun to read.
    async fn open(&self) -> anyhow::Result<Box<dyn BackupSource>>;
}

/// A fill that has begun.
pub struct Fill<'a> {
    target: FillTarget,
    marker: FillMarker,
    show: ShowFill<'a>,
}

/// The result of [`Fill::begin`].
pub enum Begun<'a> {
    /// The fill has begun, or can be continued.
    Going(Box<Fill<'a>>),
    /// The fill was completed earlier, so there is nothing to do.
    Done {
        /// When the fill was completed.
        at: Timestamp,
        /// The cut: the moment from which on the source was not to be changed.
        cut: String,
    },
}

impl<'a> Fill<'a> {
    /// Begins to fill the target from the folder called `folder`, or continues an earlier fill from that folder. `work`
    /// names the kind of fill, such as `a move`. Fails if the target contains any other data.
    pub async fn begin(
        target: FillTarget,
        folder: &str,
        work: &str,
        show: ShowFill<'a>,
    ) -> anyhow::Result<Begun<'a>> {
        let marker = FillMarker {
            folder: folder.to_owned(),
            work: work.to_owned(),
            started_at: now(),
            copied: 0,
            sent: None,
            cut: None,
            is_void: false,
            done_at: None,
        };
        let marker = match target.table.fill_marker().await? {
            Some(found) if !found.is_same_work(&marker) => bail!(
                "the table contains other work: {} from the data folder {}, and not {work} from the data folder {folder}. \
                 Choose an empty table",
                found.work,
                found.folder
            ),
            Some(FillMarker { is_void: true, .. }) => bail!(
                "the table contains {work} that was taken back after it had written more than events. Choose empty resources"
            ),
            Some(FillMarker { done_at: Some(at), cut, .. }) => {
                return Ok(Begun::Done { at, cut: cut.unwrap_or_default() });
            }
            Some(found) => found,
            None => {
                target.check_empty().await?;
                target.table.begin_fill(&marker).await?;
                marker
            }
        };
        Ok(Begun::Going(Box::new(Self { target, marker, show })))
    }

    /// The position up to which all events are in the table.
    pub fn copied(&self) -> u64 {
        self.marker.copied
    }

    /// Copies the events that the target lacks. Returns the state of the source at the beginning of the read, which
    /// shows the caller up to which position the events are copied.
    pub async fn copy(&mut self, source: &mut dyn BackupSource) -> anyhow::Result<FolderState> {
        let header = self.open(source, self.marker.copied + 1).await?;
        while let Some(BackupPart::Log(records)) = source.next().await? {
            self.import(&records, header.folder.position).await?;
        }
        Ok(header.folder)
    }

    /// Copies everything else from a source that no longer changes, and compares the target with the source.
    /// Afterwards, the roles can start. `cut` names the moment from which on the source does not change. A repeated
    /// call must have the same `cut`.
    pub async fn complete(mut self, source: &dyn FillSource, cut: &str) -> anyhow::Result<FillReport> {
        match &self.marker.cut {
            Some(earlier) if earlier != cut => bail!(
                "the source was opened for writes after {earlier}, when the rest was being written. Choose empty resources"
            ),
            Some(_) => {}
            None => {
                self.marker.cut = Some(cut.to_owned());
                self.target.table.put_fill_marker(&self.marker).await?;
            }
        }
        let mut report = FillReport::default();
        let mut webhooks = WebhookFill::default();
        let first = self.write_state(&mut *source.open().await?, &mut webhooks, &mut report).await?;
        webhooks.write_subscriptions(&self.target, first.time, &mut report).await?;
        self.compare(&mut *source.open().await?, &first, &mut webhooks, &mut report).await?;
        webhooks.finish(&self.target, &mut report).await?;
        self.finish(&first.folder, report).await
    }

    async fn open(&self, source: &mut dyn BackupSource, from: u64) -> anyhow::Result<SourceHeader> {
        let header = source.begin(BackupRequest { from, rejected_before: None }).await?;
        let SourceHeader { folder, .. } = &header;
        let expected = &self.marker.folder;
        ensure!(
            folder.name == *expected,
            "the source is the data folder {}, and not {expected}",
            folder.name
        );
        let (format, readable) = (folder.format, decode::FOLDER_FORMAT);
        ensure!(
            format == readable,
            "the source has folder format {format}, and this version reads format {readable}: use the version of the service"
        );
        ensure!(
            folder.position + 1 >= from,
            "the source ends at position {}, and the table has its events up to position {}: the data folder lost events. \
             Choose an empty table",
            folder.position,
            from - 1
        );
        Ok(header)
    }

    /// Copies the remaining events, and writes everything else except the queue.
    async fn write_state(
        &mut self,
        source: &mut dyn BackupSource,
        webhooks: &mut WebhookFill,
        report: &mut FillReport,
    ) -> anyhow::Result<SourceHeader> {
        let header = self.open(source, self.marker.copied + 1).await?;
        let position = header.folder.position;
        while let Some(part) = source.next().await? {
            match part {
                BackupPart::Log(records) => self.import(&records, position).await?,
                BackupPart::State { keyspace, rows } => {
                    self.rows(&keyspace, &rows, webhooks, report).await?;
                }
            }
        }
        Ok(header)
    }

    /// Compares every event with the source, and sends the messages of the queue afterwards.
    async fn compare(
        &mut self,
        source: &mut dyn BackupSource,
        first: &SourceHeader,
        webhooks: &mut WebhookFill,
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        let header = self.open(source, 1).await?;
        let is_same = header.folder.commit == first.folder.commit
            || (header.folder.position, header.folder.ledger) == (first.folder.position, first.folder.ledger);
        ensure!(is_same, "the source has changed meanwhile; run the command again");
        let mut queue = QueueFill::default();
        let mut is_counted = false;
        while let Some(part) = source.next().await? {
            match part {
                BackupPart::Log(records) => {
                    webhooks.outstanding(&self.target, &records, report).await?;
                    report.events += self.compare_part(&records).await?;
                    self.show(
                        FillStep::Audit,
                        records.last().map_or(0, |last| last.last()),
                        header.folder.position,
                    );
                }
                BackupPart::State { keyspace, rows } => {
                    if !std::mem::replace(&mut is_counted, true) {
                        self.check_count(report.events).await?;
                    }
                    if keyspace == "queue" {
                        self.send(&rows, &mut queue, report).await?;
                    }
                }
            }
        }
        self.flush(&mut queue).await?;
        report.position = header.folder.position;
        Ok(())
    }

    /// Writes the ledger, compares it with the source's ledger, and completes the marker.
    async fn finish(mut self, folder: &FolderState, mut report: FillReport) -> anyhow::Result<FillReport> {
        self.target.table.put_restored_ledger(&folder.ledger).await?;
        let totals = self.target.table.ledger_totals().await?.ledger;
        // A message that became a dead letter during the fill was in flight in the source.
        let parked = folder.ledger.parked + report.parked_messages;
        let expected = Ledger { accepted: 0, parked, ..folder.ledger };
        ensure!(
            totals == expected,
            "the ledger of the table differs from the source's: {totals:?} instead of {expected:?}"
        );
        if folder.ledger.recorded != report.events {
            report.left_out.push(format!(
                "the ledger of the data folder counts {} recorded events, and its log has {}: it was damaged once",
                folder.ledger.recorded, report.events
            ));
        }
        report.ledger = Ledger { accepted: folder.ledger.accepted, ..expected };
        report.left_out.extend(ALWAYS_LEFT_OUT.map(str::to_owned));
        self.marker.done_at = Some(now());
        self.target.table.put_fill_marker(&self.marker).await?;
        Ok(report)
    }

    fn show(&self, step: FillStep, done: u64, all: u64) {
        (self.show)(FillProgress { step, done, all });
    }
}
