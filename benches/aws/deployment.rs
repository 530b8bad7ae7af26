//! Queues and a table on an emulator, and the functions and roles that run on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::runtime_api::FunctionProcess;
use crate::support::QueueOptions;
use crate::support::emulator::aws::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::support::emulator::queues::{Depth, Queues};
use crate::support::emulator::{Emulator, python};
use crate::support::service::{PATIENCE, orders};

const TABLE: &str = "orders";
const V0_HANDLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/aws/v0_handler.py");

/// An emulator with a FIFO queue, its dead-letter queue and a table.
pub(crate) struct Deployment {
    pub(crate) emulator: Emulator,
    pub(crate) queues: Queues,
    /// The program that our functions run.
    pub(crate) program: PathBuf,
}

impl Deployment {
    pub(crate) async fn make(program: PathBuf) -> anyhow::Result<Self> {
        let emulator = Emulator::start().map_err(anyhow::Error::msg)?;
        let queues = emulator.create_queues(true, QueueOptions::default()).await;
        let deployment = Self { emulator, queues, program };
        let mut create = deployment.role(&["table", "create"], &deployment.emulator.endpoint);
        let output = create.output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(deployment)
    }

    /// A command that runs a role in a separate process, as a container does. The role uses the AWS services at `endpoint`.
    pub(crate) fn role(&self, arguments: &[&str], endpoint: &str) -> Command {
        let mut command = orders(arguments);
        command.envs(self.environment(endpoint));
        command
    }

    /// Starts our function with the given role.
    pub(crate) async fn function(&self, role: &str) -> anyhow::Result<FunctionProcess> {
        let mut command = self.command(&self.program);
        command.env("_HANDLER", role).env("ORDERS_INSECURE_NO_AUTH", "true");
        FunctionProcess::start(command).await
    }

    pub(crate) async fn v0_consumer(&self) -> anyhow::Result<FunctionProcess> {
        let mut command = python::command(V0_HANDLER).map_err(anyhow::Error::msg)?;
        command.envs(self.environment(&self.emulator.endpoint));
        FunctionProcess::start(command).await
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment(&self.emulator.endpoint));
        command
    }

    fn environment<'a>(&'a self, endpoint: &'a str) -> [(&'static str, &'a str); 8] {
        [
            ("QUEUE_URL", &self.queues.url),
            ("DLQ_URL", &self.queues.dead_letters_url),
            ("TABLE_NAME", TABLE),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
    }

    /// Waits until the queue is empty.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let depth = self.emulator.queue_depth(&self.queues.url).await;
            if depth == (Depth { visible: 0, in_flight: 0, delayed: 0 }) {
                return Ok(());
            }
            anyhow::ensure!(start.elapsed() < PATIENCE, "still {depth:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
