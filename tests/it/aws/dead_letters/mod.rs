//! Tests dead letters on AWS: they are archived in S3, indexed in the table, alerted through SNS, and redriven.

mod archive;
mod parked_sequence;
mod store;

use std::process::Command;
use std::time::Duration;

use domain::OrderId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::emulator::Emulator;
use crate::support::eventually::{check, eventually};
use crate::support::service::Service;

/// A deployment with queue, table, bucket and topic.
struct Deployment {
    backend: AwsBackend,
    bucket: String,
    topic: String,
    /// The URL of the queue that is subscribed to the topic of alerts.
    alerts_url: String,
}

impl Deployment {
    async fn open() -> Self {
        let options = QueueOptions { visibility_timeout: Duration::from_secs(3), ..QueueOptions::default() };
        let backend = AwsBackend::open(true, options).await;
        let (topic, alerts_url) = Emulator::shared().create_topic(&backend.table_name).await;
        Self { bucket: backend.table_name.clone(), backend, topic, alerts_url }
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

    /// The alerts that were sent so far, including the envelopes that the emulator's SNS adds.
    async fn alerts(&self) -> Vec<Value> {
        let look = json!({ "QueueUrl": self.alerts_url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0 });
        let mut answer = Emulator::shared().sqs("ReceiveMessage", &look).await;
        let Value::Array(messages) = answer["Messages"].take() else { return Vec::new() };
        messages.iter().map(|it| serde_json::from_str(it["Body"].as_str().unwrap()).unwrap()).collect()
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    eventually(what, async || check(condition().await, "the condition does not hold")).await;
}
