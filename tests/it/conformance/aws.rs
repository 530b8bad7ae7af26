//! Runs the conformance suite on SQS and DynamoDB, on the emulator. The AWS tests also use this backend.

use std::sync::Arc;

use api::operations::{DeadLetterStore, Pipeline};
use api::ports::feed::EventFeed;
use api::ports::{EventPublisher, OrderReader};
use async_trait::async_trait;
use consumer::Disposition;
use consumer::dead_letters::dead_letter_of;
use consumer::ports::{Archive as _, DeadLetters, Inbox, OrderLog};
use domain::{ParkReason, RecordedEvent};
use infra::aws::{self, AwsDeadLetterStore, S3Archive, SqsDeadLetters, SqsPipeline};
use infra::dynamodb::Table;
use infra::outbound::TableFeed;
use infra::sqs::Queue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Backend, MOMENT, QueueOptions, conformance_suite, feed_suite, finding_suite};
use crate::aws::feed::FeedBackend;
use crate::support::emulator::Emulator;
use crate::support::emulator::queues::Queues;
use crate::support::events::eur;

pub struct AwsBackend {
    pub queues: Queues,
    pub queue: Arc<Queue>,
    pub table: Arc<Table>,
    pub table_name: String,
    /// The name of the table, which is also the name of the bucket.
    pub letters: AwsDeadLetterStore,
    dead_letters: Arc<SqsDeadLetters>,
    /// The feed, if a relay fills one.
    feed: Option<Arc<TableFeed>>,
}

impl AwsBackend {
    /// Creates empty queues, FIFO or standard, and an empty table.
    pub async fn open(fifo: bool, options: QueueOptions) -> Self {
        Self::open_with(fifo, options, false).await
    }

    /// Like `open`, for a table with a change stream.
    pub async fn open_streaming() -> Self {
        Self::open_as(true, QueueOptions::default(), |table| table.with_stream(true)).await
    }

    /// Like `open`, for a table with or without the search index.
    pub async fn open_with(fifo: bool, options: QueueOptions, search_index: bool) -> Self {
        Self::open_as(fifo, options, |table| table.with_search_index(search_index)).await
    }

    async fn open_as(fifo: bool, options: QueueOptions, kind: impl FnOnce(Table) -> Table) -> Self {
        let emulator = Emulator::shared();
        let queues = emulator.create_queues(fifo, options).await;
        let sdk = aws::config_at(&emulator.endpoint).await;
        let table_name = format!("orders-{}", Uuid::now_v7().simple());
        let table = kind(aws::table(&sdk, &table_name, eur()));
        assert!(table.create().await.unwrap(), "the table existed before the test");
        let queue = Arc::new(aws::queue(&sdk, &queues.url));
        let dead_letters = SqsDeadLetters {
            queue: aws::queue(&sdk, &queues.dead_letters_url),
            table: table.clone(),
            origin: queues.url.clone(),
            inbox: Some(queue.clone()),
        };
        emulator.create_bucket(&table_name).await;
        let letters = AwsDeadLetterStore {
            bucket: aws::bucket(&sdk, &table_name),
            table: table.clone(),
            queue: (*queue).clone(),
            default_currency: eur(),
        };
        let (table, dead_letters) = (Arc::new(table), Arc::new(dead_letters));
        Self { queues, queue, table, table_name, letters, dead_letters, feed: None }
    }

    /// The archive of dead letters.
    pub fn archiving(&self) -> S3Archive {
        let AwsDeadLetterStore { bucket, table, default_currency, .. } = self.letters.clone();
        S3Archive { bucket, table, default_currency }
    }
}

async fn open(options: QueueOptions) -> AwsBackend {
    AwsBackend::open(true, options).await
}

async fn open_searchable(options: QueueOptions) -> AwsBackend {
    AwsBackend::open_with(true, options, true).await
}

/// A backend with a feed that a relay fills.
async fn open_feeding(_: QueueOptions) -> AwsBackend {
    let feeding = FeedBackend::open().await;
    feeding.start_relay().await;
    let FeedBackend { backend, feed, .. } = feeding;
    AwsBackend { feed: Some(feed), ..backend }
}

/// The messages on the dead-letter queue. They remain visible on the queue.
pub async fn dead_letters(url: &str) -> Vec<Value> {
    let look = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0,
                       "MessageAttributeNames": ["All"] });
    match Emulator::shared().sqs("ReceiveMessage", &look).await["Messages"].take() {
        Value::Array(letters) => letters,
        _ => Vec::new(),
    }
}

#[async_trait]
impl Backend for AwsBackend {
    fn publisher(&self) -> Arc<dyn EventPublisher> {
        self.queue.clone()
    }

    fn inbox(&self) -> Arc<dyn Inbox> {
        self.queue.clone()
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        self.dead_letters.clone()
    }

    fn log(&self) -> Arc<dyn OrderLog> {
        self.table.clone()
    }

    fn reader(&self) -> Arc<dyn OrderReader> {
        self.table.clone()
    }

    fn letters(&self) -> Arc<dyn DeadLetterStore> {
        Arc::new(self.letters.clone())
    }

    fn pipeline(&self) -> Arc<dyn Pipeline> {
        let (queue, table) = ((*self.queue).clone(), (*self.table).clone());
        Arc::new(SqsPipeline { queue, dead_letters: Some(self.dead_letters.queue.clone()), table })
    }

    fn feed(&self) -> Arc<dyn EventFeed> {
        self.feed.clone().expect("this backend has a feed")
    }

    async fn send(&self, group: &str, deduplication_id: &str, body: &str) {
        let message = json!({ "QueueUrl": self.queues.url, "MessageBody": body, "MessageGroupId": group,
                              "MessageDeduplicationId": deduplication_id });
        Emulator::shared().sqs("SendMessage", &message).await;
    }

    async fn dead(&self) -> Vec<(String, Option<ParkReason>)> {
        let letters = dead_letters(&self.queues.dead_letters_url).await;
        let dead = |letter: &Value| {
            let reason = letter["MessageAttributes"]["reason"]["StringValue"].clone();
            (letter["Body"].as_str().unwrap().to_owned(), serde_json::from_value(reason).ok())
        };
        letters.iter().map(dead).collect()
    }

    async fn archive(&self) {
        let (archive, queue) = (self.archiving(), &self.dead_letters.queue);
        for message in &queue.receive(10, MOMENT).await.unwrap() {
            archive.keep(&dead_letter_of(message, &self.queues.url, infra::now())).await.unwrap();
            queue.ack(&[(message, &Disposition::Archived)]).await.remove(0).unwrap();
        }
    }

    async fn append_without_projecting(&self, event: RecordedEvent) {
        self.table.append_without_projecting(&event).await.unwrap();
    }
}

conformance_suite!(open);
feed_suite!(open_feeding);
finding_suite!(open_searchable);
