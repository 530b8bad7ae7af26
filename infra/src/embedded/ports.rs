//! Implements the ports of the API and the consumer: each method calls the module that does the work.

use std::time::Duration;

use api::operations::{
    BackupReport, DeadLetterChange, DeadLetterFilter, DeadLetterList, DeadLetterPosition, DeadLetterStore,
    DiskSpace, ParkedSequence, Pipeline, PipelineCounters, ReplayError,
};
use api::ports::export::{ExportFilter, ExportReader, LogExport};
use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedFilter, FeedPage, FeedStart};
use api::ports::{
    Acceptance, EventPublisher, FindError, Health, OrderFilter, OrderList, OrderPosition, OrderReader,
    OrderSnapshot, PublishError, RejectionList,
};
use async_trait::async_trait;
use consumer::Disposition;
use consumer::import::ImportTarget;
use consumer::ports::{
    Append, AppendError, Appended, DeadLetters, Inbox, LoadRequest, LoadedOrder, Message, OrderLog,
    ParkRequest,
};
use domain::dead_letter::Discard;
use domain::{
    AsOf, CustomerId, DeadLetter, Envelope, EventId, Order, OrderId, Receipt, RecordedEvent, Reference,
    Repair,
};
use tokio::time::Instant;

use super::Embedded;
use super::export::EmbeddedExport;
use super::reader;

#[async_trait]
impl EventPublisher for Embedded {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
        self.0.publisher.publish(events).await
    }
}

#[async_trait]
impl OrderReader for Embedded {
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        self.0.reader.order(order_id)
    }

    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        self.0.reader.events(order_id, after, limit).await
    }

    async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        self.0.reader.order_as_of(order_id, as_of).await
    }

    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        self.0.reader.receipt(order_id, event_id)
    }

    async fn rejections(
        &self,
        order_id: &OrderId,
        after: Option<EventId>,
        limit: usize,
    ) -> anyhow::Result<RejectionList> {
        self.0.reader.rejections(order_id, after, limit).await
    }

    async fn creates_for(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<CustomerId>> {
        self.0.reader.creates_for(order_id, event_id)
    }

    async fn settled(
        &self,
        order_id: &OrderId,
        event_id: EventId,
        until: Instant,
    ) -> anyhow::Result<Option<Receipt>> {
        self.0.reader.settled(order_id, event_id, until).await
    }

    async fn find_orders(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> Result<OrderList, FindError> {
        self.0.reader.find_orders(filter, after, limit).await
    }

    async fn order_by_reference(&self, reference: &Reference) -> Result<Option<OrderSnapshot>, FindError> {
        Ok(self.0.reader.order_by_reference(reference)?)
    }
}

#[async_trait]
impl EventFeed for Embedded {
    async fn start(&self, from: FeedStart) -> anyhow::Result<FeedCursor> {
        self.0.feed.start(from).await
    }

    async fn read(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        limit: usize,
    ) -> Result<FeedPage, FeedError> {
        self.0.feed.page(filter, after, limit).await
    }

    async fn wait(&self, filter: &FeedFilter, after: &FeedCursor, until: Instant) -> FeedCursor {
        self.0.feed.wait_for_page(filter, after, until).await
    }
}

impl LogExport for Embedded {
    fn export(&self, filter: ExportFilter) -> Box<dyn ExportReader> {
        Box::new(EmbeddedExport::new(&self.0.log, filter))
    }
}

#[async_trait]
impl Health for Embedded {
    async fn ready(&self) -> Result<(), String> {
        match self.failed().borrow().as_deref() {
            Some(reason) => Err(format!("the data folder cannot be written: {reason}")),
            None => Ok(()),
        }
    }

    async fn accepts(&self) -> Result<(), String> {
        self.ready().await?;
        self.0.queue.no_room().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Pipeline for Embedded {
    async fn counters(&self) -> anyhow::Result<PipelineCounters> {
        self.0.queue.pipeline_counters().await
    }

    fn backup(&self) -> Option<BackupReport> {
        self.backup_report()
    }

    fn disk(&self) -> Option<DiskSpace> {
        Some(self.0.queue.disk())
    }
}

#[async_trait]
impl DeadLetterStore for Embedded {
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        self.0.dead_letters.letters(filter, after, limit).await
    }

    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        self.0.dead_letters.letter(id).await
    }

    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence> {
        self.0.dead_letters.sequence(order_id, limit).await
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        self.0.dead_letters.replay(letters).await
    }

    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange> {
        self.0.dead_letters.repair(id, body, by).await
    }

    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange> {
        self.0.dead_letters.discard(id, discard).await
    }
}

#[async_trait]
impl Inbox for Embedded {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        self.0.inbox.receive(max, wait).await
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        self.0.inbox.ack(messages).await
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        self.0.inbox.retry(messages)
    }
}

#[async_trait]
impl OrderLog for Embedded {
    async fn load(&self, wanted: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>> {
        // Loading does not need the blocking pool: the consumer runs on a separate thread, and the orders that it needs
        // are usually in memory.
        let (log, dead_letters) = (&self.0.log, &self.0.dead_letters);
        wanted.iter().map(|wanted| reader::load(log, dead_letters, wanted)).collect()
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        self.0.log.append(appends).await
    }

    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        self.0.log.settle(receipts).await
    }
}

#[async_trait]
impl DeadLetters for Embedded {
    async fn park(&self, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>> {
        self.0.dead_letters.park(messages).await
    }

    async fn release(&self, letters: &[(&str, &Disposition)]) -> Vec<anyhow::Result<()>> {
        self.0.dead_letters.release(letters).await
    }
}

#[async_trait]
impl ImportTarget for Embedded {
    async fn entries(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        self.0.reader.events(order_id, after, limit).await
    }

    async fn import(&self, appends: &[Append]) -> Result<(), AppendError> {
        self.0.log.import(appends).await
    }
}
