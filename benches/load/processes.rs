//! The echoes and the service, each in a process of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::client::{Connection, answered};
use super::echo;
use super::figures::resident;

/// A process that ends with this.
pub(crate) struct Process {
    child: Child,
    pub port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Orders a second.
pub(crate) struct Rates {
    pub accepted: f64,
    /// Until all that were accepted were.
    pub recorded: f64,
}

/// Runs the bench; or an echo, if that is what this process was started for.
pub(crate) fn run(bench: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--echo") => runtime.block_on(echo::bare()),
        Some("--durable-echo") => {
            runtime.block_on(echo::durable(Path::new(&arguments.next().context("no path")?)))
        }
        _ => runtime.block_on(bench),
    }
}

impl Process {
    /// The echo.
    pub(crate) async fn echo() -> anyhow::Result<Self> {
        Self::once_more(&["--echo".as_ref()]).await
    }

    /// The echo that stores what it answers in a new file at `path`.
    pub(crate) async fn durable_echo(path: &Path) -> anyhow::Result<Self> {
        Self::once_more(&["--durable-echo".as_ref(), path.as_os_str()]).await
    }

    /// This program once more, to do something else.
    async fn once_more(arguments: &[&OsStr]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.args(arguments).env("PORT", port.to_string()), port).await
    }

    /// The service on this data folder, once it answers. ORDERS_BIN may name another build of it, to compare.
    pub(crate) async fn orders(data: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let more = [&["--log-level", "warn"], more].concat();
        Self::logging(data, &more, Stdio::inherit()).await
    }

    /// The same, logging to this file what the service logs by default.
    pub(crate) async fn orders_with_log(data: &Path, log: &Path) -> anyhow::Result<Self> {
        Self::logging(data, &[], File::create(log)?.into()).await
    }

    async fn logging(data: &Path, more: &[&str], log: Stdio) -> anyhow::Result<Self> {
        let port = free_port()?;
        let binary = std::env::var("ORDERS_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_orders").to_owned());
        let mut command = Command::new(binary);
        command.args(["serve", "--min-free-disk", "1"]).args(more);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
        Self::start(command.stderr(log), port).await
    }

    /// What this command runs, once it answers on the port.
    pub(crate) async fn start(command: &mut Command, port: u16) -> anyhow::Result<Self> {
        let mut process = Self { child: command.spawn()?, port };
        // It may listen before it answers.
        while !answers(port).await {
            if let Some(status) = process.child.try_wait()? {
                anyhow::bail!("it ended at once: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(process)
    }

    /// Of what it has in memory, the MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        resident(self.child.id())
    }

    /// Messages on the service's queue.
    pub(crate) async fn waiting(&self) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.port).await?;
        let answer = String::from_utf8(connection.get("/v1/pipeline").await?.to_vec())?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let numbers: Value = serde_json::from_str(body)?;
        anyhow::ensure!(numbers["ledger"]["balanced"] == true, "something was lost: {numbers}");
        numbers["ledger"]["in_flight"].as_u64().context("no numbers")
    }

    /// Requests a second that it answers at this path, in this time.
    pub(crate) async fn rate(&self, path: &'static str, time: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        Ok(answered(self.port, path, time).await? as f64 / start.elapsed().as_secs_f64())
    }

    /// Has the service take in orders for this time, and waits until they are recorded.
    pub(crate) async fn take_in(&self, time: Duration) -> anyhow::Result<Rates> {
        let start = Instant::now();
        let orders = answered(self.port, "/v1/orders", time).await? as f64;
        let accepted = orders / start.elapsed().as_secs_f64();
        self.drained().await?;
        Ok(Rates { accepted, recorded: orders / start.elapsed().as_secs_f64() })
    }

    /// Waits until everything that was accepted is handled.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        loop {
            let waiting = self.waiting().await?;
            if waiting == 0 {
                return Ok(());
            }
            // To count them takes a look at each.
            tokio::time::sleep(Duration::from_micros(5000 + waiting)).await;
        }
    }
}

async fn answers(port: u16) -> bool {
    let Ok(mut connection) = Connection::open(port).await else { return false };
    // The echo has no such page, and says so.
    connection.get("/healthz").await.is_ok() || connection.has_answer()
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
