//! Dead letters on AWS: archived in S3, lined up in the table, alerted by SNS, and back again.

mod archive;
mod line;
mod store;

use std::process::Command;
use std::time::{Duration, Instant};

use domain::OrderId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::emulator::Emulator;
use crate::support::service::{PATIENCE, Service};

/// A deployment with everything that dead letters need.
struct Deployment {
    backend: AwsBackend,
    bucket: String,
    topic: String,
    /// Gets what is published to the topic.
    pages: String,
}

impl Deployment {
    async fn open() -> Self {
        let options = QueueOptions { visibility_timeout: Duration::from_secs(3), ..QueueOptions::default() };
        let backend = AwsBackend::open(true, options).await;
        let (topic, pages) = Emulator::shared().create_topic(&backend.table_name).await;
        Self { bucket: backend.table_name.clone(), backend, topic, pages }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let more = [("DLQ_BUCKET", self.bucket.as_str()), ("ALERTS_TOPIC", &self.topic)];
        self.backend.variables().into_iter().chain(more).collect()
    }

    fn role(&self, role: &str, endpoint: &str) -> Command {
        let mut command = self.backend.role(role, endpoint);
        command.envs(self.variables());
        command
    }

    fn start_api(&self) -> Service {
        let mut command = self.role("api", &Emulator::shared().endpoint);
        command.env("ORDERS_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    }

    fn start_dead_letters(&self, endpoint: &str) -> Service {
        Service::spawn_until(self.role("dead-letters", endpoint), "\"archiving\"").0
    }

    async fn send(&self, group: &OrderId, body: &str) {
        self.backend.send(group.as_str(), &Uuid::now_v7().to_string(), body).await;
    }

    /// The alerts so far, of which the emulator's SNS puts an envelope around each.
    async fn alerts(&self) -> Vec<Value> {
        let look = json!({ "QueueUrl": self.pages, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0 });
        let mut answer = Emulator::shared().sqs("ReceiveMessage", &look).await;
        let Value::Array(messages) = answer["Messages"].take() else { return Vec::new() };
        messages.iter().map(|it| serde_json::from_str(it["Body"].as_str().unwrap()).unwrap()).collect()
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}
