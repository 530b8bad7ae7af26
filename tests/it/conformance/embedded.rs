//! Runs the conformance suite on the embedded engine.

use std::sync::Arc;

use api::operations::{DeadLetterFilter, DeadLetterStore, Pipeline};
use api::ports::feed::EventFeed;
use api::ports::{EventPublisher, OrderReader};
use async_trait::async_trait;
use consumer::ports::{DeadLetters, Inbox, OrderLog};
use domain::{ParkReason, RecordedEvent};
use infra::embedded::{Embedded, NewMessage, Options};
use tempfile::TempDir;

use super::{Backend, QueueOptions, conformance_suite, feed_suite, finding_suite};
use crate::support::events::eur;

struct EmbeddedBackend {
    engine: Arc<Embedded>,
    _folder: TempDir,
}

async fn open(queue: QueueOptions) -> EmbeddedBackend {
    let folder = TempDir::new().unwrap();
    let options = Options {
        visibility_timeout: queue.visibility_timeout,
        max_receives: queue.max_receives,
        delay: queue.delay,
        min_free_bytes: 0,
        searchable_metadata: Some(queue.searchable_metadata.iter().map(|key| (*key).to_owned()).collect()),
        ..Options::new(eur())
    };
    let engine = Arc::new(Embedded::open(&folder.path().join("data"), options).unwrap());
    EmbeddedBackend { engine, _folder: folder }
}

#[async_trait]
impl Backend for EmbeddedBackend {
    fn publisher(&self) -> Arc<dyn EventPublisher> {
        self.engine.clone()
    }

    fn inbox(&self) -> Arc<dyn Inbox> {
        self.engine.clone()
    }

    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        self.engine.clone()
    }

    fn log(&self) -> Arc<dyn OrderLog> {
        self.engine.clone()
    }

    fn reader(&self) -> Arc<dyn OrderReader> {
        self.engine.clone()
    }

    fn letters(&self) -> Arc<dyn DeadLetterStore> {
        self.engine.clone()
    }

    fn pipeline(&self) -> Arc<dyn Pipeline> {
        self.engine.clone()
    }

    fn feed(&self) -> Arc<dyn EventFeed> {
        self.engine.clone()
    }

    async fn send(&self, group: &str, deduplication_id: &str, body: &str) {
        let message = NewMessage {
            group: group.to_owned(),
            deduplication_id: deduplication_id.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        self.engine.send(vec![message]).await.unwrap();
    }

    async fn dead(&self) -> Vec<(String, Option<ParkReason>)> {
        let letters = self.engine.letters(&DeadLetterFilter::default(), None, 100).await.unwrap().letters;
        letters.into_iter().map(|dead| (String::from_utf8(dead.body.0).unwrap(), Some(dead.reason))).collect()
    }

    async fn archive(&self) {}

    async fn append_without_projecting(&self, event: RecordedEvent) {
        self.engine.append_without_projecting(event).await.unwrap();
    }
}

conformance_suite!(open);
finding_suite!(open);
feed_suite!(open);
conformance_suite!(open, finding { orders_are_found_by_searchable_metadata });
