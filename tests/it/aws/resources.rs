//! Empty resources on AWS that a restore or a move fills.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use api::operations::Pipeline;
use infra::aws::{self, SqsPipeline};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::at;
use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::service::{PATIENCE, Service};

/// Empty resources on AWS, with an outbound table.
pub struct Resources {
    pub backend: AwsBackend,
    pub outbound: String,
}

impl Resources {
    pub async fn open() -> Self {
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let outbound = format!("{}-outbound", backend.table_name);
        let sdk = aws::config_at(&Emulator::shared().endpoint).await;
        aws::outbound(&sdk, &outbound).create().await.unwrap();
        Self { backend, outbound }
    }

    /// A command with the given resources in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = at(&Emulator::shared().endpoint, arguments);
        command
            .envs(self.backend.variables())
            .env("DLQ_BUCKET", &self.backend.table_name)
            .env("OUTBOUND_TABLE", &self.outbound)
            .env("ORDERS_DEFAULT_CURRENCY", "EUR");
        command
    }

    pub fn restoring(&self, source: &Path, scratch: &Path, flags: &[&str]) -> Command {
        let mut command = self.command(&["restore", "--aws"]);
        command.arg(source).arg("--scratch").arg(scratch).args(flags);
        command
    }

    /// Restores, and returns the report.
    pub fn restore(&self, source: &Path, flags: &[&str]) -> Value {
        let scratch = TempDir::new().unwrap();
        let output = self.restoring(source, scratch.path(), &[flags, &["--json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)))
    }

    pub fn start_api(&self) -> Service {
        let mut command = self.command(&["api"]);
        command.env("ORDERS_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    }

    /// Runs a role that must refuse to start. Returns the output.
    pub fn refused_role(&self, role: &str) -> String {
        let mut command = self.command(&[role]);
        command.env("ORDERS_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begin.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{role} has started");
            }
            sleep(Duration::from_millis(20));
        }
        printed(&child.wait_with_output().unwrap())
    }

    pub async fn ledger(&self) -> Value {
        let (queue, table) = ((*self.backend.queue).clone(), (*self.backend.table).clone());
        let pipeline = SqsPipeline { queue, dead_letters: None, table };
        serde_json::to_value(pipeline.counters().await.unwrap().ledger).unwrap()
    }

    /// The marker in the table. `null` if there is none.
    pub async fn marker(&self) -> Value {
        let key = json!({ "pk": { "S": "RESTORE" }, "sk": { "S": "METADATA" } });
        let wanted = json!({ "TableName": self.backend.table_name, "Key": key });
        let item = Emulator::shared().dynamodb("GetItem", &wanted).await;
        item["Item"]["fill"]["S"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// The item of a webhook subscription.
    pub async fn subscription(&self, id: &str) -> Value {
        let key = json!({ "pk": { "S": "WEBHOOKS" }, "sk": { "S": format!("SUBSCRIPTION#{id}") } });
        let wanted = json!({ "TableName": self.outbound, "Key": key });
        Emulator::shared().dynamodb("GetItem", &wanted).await["Item"].take()
    }

    /// The events in the table, by order and version.
    pub fn exported(&self) -> BTreeMap<(String, u64), Value> {
        let output = self.command(&["export", "--aws"]).output().unwrap();
        let lines = crate::support::recorded::exported_events(&output);
        let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key = |event: &Value| {
            let order = event["data"]["order_id"].as_str().unwrap().to_owned();
            (order, event["version"].as_u64().unwrap())
        };
        events.map(|event| (key(&event), event)).collect()
    }
}

/// Runs a command and kills it once `reached` returns true. Returns whether it was killed before it ended.
pub async fn run_and_kill(mut command: Command, reached: impl AsyncFn() -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && !reached().await {}
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// What a command has printed.
pub fn printed(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}
