//! Starts the echoes and the service, each in a separate process.

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

/// A running process. It is killed when this value is dropped.
pub(crate) struct Process {
    child: Child,
    pub port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rates at which the service accepts and records orders, per second.
pub(crate) struct Rates {
    pub accepted: f64,
    /// The number of accepted orders, divided by the time until all of them were recorded.
    pub recorded: f64,
}

/// Runs the benchmark, or an echo if the arguments select one.
pub(crate) fn run(bench: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--echo") => runtime.block_on(echo::bare()),
        Some("--sink") => runtime.block_on(echo::sink()),
        Some("--durable-echo") => {
            runtime.block_on(echo::durable(Path::new(&arguments.next().context("no path")?)))
        }
        _ => runtime.block_on(bench),
    }
}

impl Process {
    /// Starts the echo.
    pub(crate) async fn echo() -> anyhow::Result<Self> {
        Self::this_program(&["--echo".as_ref()]).await
    }

    /// Starts the receiver of webhooks, with the lowest priority.
    pub(crate) async fn sink() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?).arg("--sink");
        Self::start(command.env("PORT", port.to_string()), port).await
    }

    /// Starts the echo that stores bodies in a new file at `path`.
    pub(crate) async fn durable_echo(path: &Path) -> anyhow::Result<Self> {
        Self::this_program(&["--durable-echo".as_ref(), path.as_os_str()]).await
    }

    /// Starts this program with other arguments.
    async fn this_program(arguments: &[&OsStr]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.args(arguments).env("PORT", port.to_string()), port).await
    }

    /// Starts the service on the given data folder. `ORDERS_BIN` selects another build, for comparison.
    pub(crate) async fn orders(data: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let more = [&["--log-level", "warn"], more].concat();
        Self::logging(data, &more, Stdio::inherit()).await
    }

    /// Starts the service with its default log level. The service logs to the given file.
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

    /// Starts a command and waits until it answers on the port.
    pub(crate) async fn start(command: &mut Command, port: u16) -> anyhow::Result<Self> {
        let mut process = Self { child: command.spawn()?, port };
        // A process may listen before it is able to answer.
        while !answers(port).await {
            if let Some(status) = process.child.try_wait()? {
                anyhow::bail!("the process ended during its start: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(process)
    }

    /// The resident memory of the process.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        resident(self.child.id())
    }

    /// The number of events in flight.
    pub(crate) async fn in_flight(&self) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.port).await?;
        let answer = String::from_utf8(connection.get("/v1/pipeline").await?.to_vec())?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let counters: Value = serde_json::from_str(body)?;
        anyhow::ensure!(counters["ledger"]["balanced"] == true, "the ledger is not balanced: {counters}");
        counters["ledger"]["in_flight"]
            .as_u64()
            .context("the ledger does not contain the number of events in flight")
    }

    /// The requests per second that the process answers at the given path, measured for the given time.
    pub(crate) async fn rate(&self, path: &'static str, time: Duration) -> anyhow::Result<f64> {
        let start = Instant::now();
        Ok(answered(self.port, path, time).await? as f64 / start.elapsed().as_secs_f64())
    }

    /// Posts orders for the given time, and waits until all are recorded.
    pub(crate) async fn take_in(&self, time: Duration) -> anyhow::Result<Rates> {
        let start = Instant::now();
        let orders = answered(self.port, "/v1/orders", time).await? as f64;
        let accepted = orders / start.elapsed().as_secs_f64();
        self.drained().await?;
        Ok(Rates { accepted, recorded: orders / start.elapsed().as_secs_f64() })
    }

    /// Waits until no event is in flight.
    pub(crate) async fn drained(&self) -> anyhow::Result<()> {
        loop {
            let in_flight = self.in_flight().await?;
            if in_flight == 0 {
                return Ok(());
            }
            // To count the events in flight, the service reads every queued message. So this loop polls less often
            // while many messages are queued.
            tokio::time::sleep(Duration::from_micros(5000 + in_flight)).await;
        }
    }
}

async fn answers(port: u16) -> bool {
    let Ok(mut connection) = Connection::open(port).await else { return false };
    // The echo answers this path with 404. That answer also shows that the echo is running.
    connection.get("/healthz").await.is_ok() || connection.has_answer()
}

pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
