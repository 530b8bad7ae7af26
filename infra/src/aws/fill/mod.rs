//! Fills empty resources on AWS with the content of a data folder, which a [`BackupSource`] reads: a restored folder for
//! `orders restore --aws`, and a running service for `orders move`.
//!
//! The steps, in order. Each can be repeated, so a fill that was killed goes on when the same command runs again:
//!
//! 1. [`Fill::begin`] puts a marker into the table, which must be empty, like the queue.
//! 2. [`Fill::copy`] imports the recorded events. The importer skips what is there.
//! 3. [`Fill::complete`] writes the other state ([`state`], [`webhooks`]), compares every event with the source, sends the
//!    messages of the queue ([`messages`]), writes the ledger, and completes the marker.
//!
//! While the marker is incomplete, no role starts. It is completed after everything else.

mod log;
mod messages;
mod state;
mod webhooks;

use anyhow::{Context, bail, ensure};
use domain::{Currency, Ledger, Timestamp};
use serde::Serialize;

use crate::backup::manifest::FolderState;
use crate::backup::source::{BackupPart, BackupRequest, BackupSource, SourceHeader};
use crate::dynamodb::{FillMarker, Table};
use crate::now;
use crate::outbound::{JobQueue, OutboundTable};
use crate::s3::Bucket;
use crate::sqs::Queue;

use messages::QueueFill;
use webhooks::WebhookFill;

/// The resources to fill.
#[derive(Debug, Clone)]
pub struct FillTarget {
    /// The table of orders.
    pub table: Table,
    /// The queue of events.
    pub queue: Queue,
    /// The archive of dead letters. Needed if there are dead letters.
    pub bucket: Option<Bucket>,
    /// The outbound table, which keeps the subscriptions. Without it, they are left out.
    pub outbound: Option<OutboundTable>,
    /// The queue of webhook deliveries. Without it, held orders wait until an operator resumes their subscription.
    pub webhook_queue: Option<JobQueue>,
    /// The currency of orders whose producer does not send one (schema version 0).
    pub default_currency: Currency,
}

/// A step of a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillStep {
    /// Copying events.
    Events,
    /// Writing receipts, dead letters and subscriptions.
    State,
    /// Comparing every event with the source.
    Audit,
    /// Sending the messages of the queue.
    Queue,
}

/// How far a fill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillProgress {
    /// What is being done.
    pub step: FillStep,
    /// The position, or the number of rows, that is done.
    pub done: u64,
    /// The position, or the number of rows, at the end.
    pub all: u64,
}

/// Receives the progress of a fill.
pub type ShowFill<'a> = &'a (dyn Fn(FillProgress) + Sync);

/// Opens the source from its beginning. A completion reads it twice.
#[async_trait::async_trait]
pub trait FillSource: Send + Sync {
    /// The source, which has not begun to read.
    async fn open(&self) -> anyhow::Result<Box<dyn BackupSource>>;
}

/// What a complete fill has written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FillReport {
    /// The position of the latest event.
    pub position: u64,
    /// The number of events that were compared with the source.
    pub events: u64,
    /// The ledger, which agrees with the source's.
    pub ledger: Ledger,
    /// The receipts of refused and parked events.
    pub receipts: u64,
    /// The messages that are on the queue.
    pub queued: u64,
    /// The dead letters, with the discarded ones.
    pub dead_letters: u64,
    /// The messages that SQS does not accept, and that became dead letters.
    pub parked_messages: u64,
    /// The webhook subscriptions.
    pub subscriptions: u64,
    /// The orders with deliveries that were outstanding. They are delivered from the orders' logs.
    pub held_orders: u64,
    /// What has no place on AWS, one sentence for each.
    pub left_out: Vec<String>,
}

/// A fill that has begun.
pub struct Fill<'a> {
    target: FillTarget,
    marker: FillMarker,
    show: ShowFill<'a>,
}

/// What [`Fill::begin`] found.
pub enum Begun<'a> {
    /// The fill can go on.
    Going(Box<Fill<'a>>),
    /// The same work was completed at this time. There is nothing to do.
    Done(Timestamp),
}

impl<'a> Fill<'a> {
    /// Begins to fill the target from the folder called `folder`, or goes on with the same work. `work` names it, such as
    /// `a move`. Fails if the target contains anything else.
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
            done_at: None,
        };
        let marker = match target.table.fill_marker().await? {
            Some(found) if !found.is_same_work(&marker) => bail!(
                "the table contains other work: {} from the data folder {}, and not {work} from the data folder {folder}. \
                 Choose an empty table",
                found.work,
                found.folder
            ),
            Some(FillMarker { done_at: Some(at), .. }) => return Ok(Begun::Done(at)),
            Some(found) => found,
            None => {
                target.check_empty().await?;
                target.table.begin_fill(&marker).await?;
                marker
            }
        };
        Ok(Begun::Going(Box::new(Self { target, marker, show })))
    }

    /// Copies the events that the target lacks. Returns what the source reported when it began, so that the caller knows how
    /// far the source was by then.
    pub async fn copy(&mut self, source: &mut dyn BackupSource) -> anyhow::Result<FolderState> {
        let header = self.open(source, self.marker.copied + 1).await?;
        while let Some(BackupPart::Log(records)) = source.next().await? {
            self.import(&records, header.folder.position).await?;
        }
        Ok(header.folder)
    }

    /// Copies everything else from a source that nobody changes, and compares the target with it. After it, the roles can
    /// start.
    pub async fn complete(mut self, source: &dyn FillSource) -> anyhow::Result<FillReport> {
        let mut report = FillReport::default();
        let mut webhooks = WebhookFill::default();
        let first = self.write_state(&mut *source.open().await?, &mut webhooks, &mut report).await?;
        webhooks.write_subscriptions(&self.target, first.time, &mut report).await?;
        let queue = self.compare(&mut *source.open().await?, &first, &mut webhooks, &mut report).await?;
        webhooks.finish(&self.target, &mut report).await?;
        self.finish(&first.folder, &queue, report).await
    }

    /// Begins to read the source.
    async fn open(&self, source: &mut dyn BackupSource, from: u64) -> anyhow::Result<SourceHeader> {
        let header = source.begin(BackupRequest { from, rejected_before: None }).await?;
        let SourceHeader { folder, .. } = &header;
        let expected = &self.marker.folder;
        ensure!(
            folder.name == *expected,
            "the source is the data folder {}, and not {expected}",
            folder.name
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

    /// Copies the rest of the events, and writes everything else but the queue.
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

    /// Compares every event with the source, and then sends the messages of the queue.
    async fn compare(
        &mut self,
        source: &mut dyn BackupSource,
        first: &SourceHeader,
        webhooks: &mut WebhookFill,
        report: &mut FillReport,
    ) -> anyhow::Result<QueueFill> {
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
        Ok(queue)
    }

    /// Writes the ledger, compares it with the source's, and completes the marker.
    async fn finish(
        mut self,
        folder: &FolderState,
        queue: &QueueFill,
        mut report: FillReport,
    ) -> anyhow::Result<FillReport> {
        let received = folder.ledger.accepted.saturating_sub(queue.first_deliveries);
        self.target.table.put_restored_ledger(&folder.ledger, received).await?;
        let totals = self.target.table.ledger_totals().await?.ledger;
        // A message that became a dead letter was in flight before.
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

/// What no fill can bring along.
const ALWAYS_LEFT_OUT: [&str; 3] = [
    "positions and cursors of the feed: AWS has a feed of its own, with other cursors",
    "how often queued messages were received: SQS counts from 0",
    "the index of metadata: AWS has none",
];

impl FillTarget {
    /// Fails if the queue or the outbound table contains anything, or if a resource cannot be used. The table is checked
    /// when the marker is put.
    async fn check_empty(&self) -> anyhow::Result<()> {
        let messages = self.queue.message_counts().await?.total();
        ensure!(messages == 0, "the queue is not empty: it has {messages} messages. Choose an empty queue");
        if let Some(outbound) = &self.outbound {
            let subscriptions = outbound.subscriptions().await.context("reading the outbound table")?.len();
            ensure!(
                subscriptions == 0,
                "the outbound table is not empty: it has {subscriptions} webhook subscriptions. Choose an empty table"
            );
        }
        if let Some(bucket) = &self.bucket {
            bucket.check_reachable().await.map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }
}
