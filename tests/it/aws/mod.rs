//! Tests the service's roles, such as the API and the consumer, on SQS and DynamoDB with the emulator. The roles run in
//! the same way as in a deployment: in containers and as Lambda functions.

mod batches;
pub mod bill;
mod containers;
mod costs;
mod dead_letters;
mod deadlines;
mod endpoints;
mod entries;
mod failures;
mod fair;
pub mod feed;
mod lambda;
mod ledger;
mod ledger_faults;
mod ledger_folding;
mod lost_answers;
mod metrics;
mod outputs;
mod references;
pub mod resources;
mod search;
mod unacked;
mod version_1;
mod webhooks;

use std::process::Command;
use std::time::Duration;

use consumer::ports::{LoadRequest, OrderLog};
use domain::{OrderId, RecordedEvent};

use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::emulator::aws::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::support::emulator::queues::Depth;
use crate::support::eventually::{check, eventually_within};
use crate::support::service::{Service, orders};

impl AwsBackend {
    /// The environment variables of the service's roles.
    pub fn variables(&self) -> [(&str, &str); 3] {
        [
            ("QUEUE_URL", &self.queues.url),
            ("DLQ_URL", &self.queues.dead_letters_url),
            ("TABLE_NAME", &self.table_name),
        ]
    }

    /// A command that runs a role of the service as in a container, with AWS at `endpoint`.
    pub fn role(&self, role: &str, endpoint: &str) -> Command {
        let mut command = at(endpoint, &[role]);
        command.envs(self.variables());
        command
    }

    pub fn start_api(&self, endpoint: &str) -> Service {
        let mut command = self.role("api", endpoint);
        command.env("ORDERS_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    }

    pub fn start_consumer(&self, endpoint: &str) -> Service {
        let mut command = self.role("consumer", endpoint);
        // At this level it logs a line for each event.
        command.env("LOG_LEVEL", "info,consumer=debug");
        Service::spawn_until(command, "\"consuming\"").0
    }

    /// Waits until the queue is empty.
    pub async fn drained(&self, patience: Duration) {
        eventually_within(patience, "the queue is empty", async || {
            let depth = Emulator::shared().queue_depth(&self.queues.url).await;
            check(depth == Depth { visible: 0, in_flight: 0, delayed: 0 }, depth)
        })
        .await;
    }

    /// The whole log of an order. Asserts that the projection agrees with the log.
    pub async fn history(&self, order_id: &OrderId) -> Vec<RecordedEvent> {
        use api::ports::OrderReader;
        let history = self.table.events(order_id, 0, 1000).await.unwrap();
        let wanted =
            LoadRequest { order_id: order_id.clone(), event_ids: Vec::new(), references: Vec::new() };
        let loaded = self.table.load(&[wanted]).await.remove(0).unwrap();
        let projected = self.table.order(order_id).await.unwrap().map(|snapshot| (*snapshot.order).clone());
        assert_eq!(projected, domain::Order::fold(&history).unwrap());
        assert_eq!(projected, loaded.order);
        history
    }
}

/// The binary with the given arguments, with AWS at `endpoint`.
pub fn at(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = orders(arguments);
    command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}
