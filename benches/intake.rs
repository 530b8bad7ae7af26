//! How fast orders are taken in: durable `POST /v1/orders`, with the consumer running, beside a bare axum JSON echo
//! in the same run with the same client. Run it with `cargo bench --bench intake`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 64;
const SECONDS: u64 = 5;
const ROUNDS: usize = 3;
const BODY: &str = r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"tea","quantity":2,"unit_price":450},{"sku":"cup","quantity":1,"unit_price":900}]}"#;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().any(|argument| argument == "--echo") {
        return runtime.block_on(echo());
    }
    let folder = tempfile::TempDir::new()?;
    let (echo_port, orders_port) = (free_port()?, free_port()?);
    let _echo = Process(
        Command::new(std::env::current_exe()?).arg("--echo").env("PORT", echo_port.to_string()).spawn()?,
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.args(["serve", "--log-level", "warn", "--min-free-disk", "1"]);
    command.args(["--listen", &format!("127.0.0.1:{orders_port}"), "--data"]).arg(folder.path().join("data"));
    let orders = Process(command.stderr(Stdio::inherit()).spawn()?);
    runtime.block_on(async {
        ready(echo_port).await;
        ready(orders_port).await;
        println!("idle memory of orders: {} MiB", resident_mib(&orders.0)?);
        let mut ratios = Vec::new();
        for round in 1..=ROUNDS {
            let bare = rate(echo_port, "/").await?;
            let durable = rate(orders_port, "/v1/orders").await?;
            ratios.push(durable / bare);
            println!(
                "round {round}: echo {bare:.0}/s, durable orders {durable:.0}/s, ratio {:.2}",
                durable / bare
            );
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "ratio: min {:.2}, median {:.2}, max {:.2}",
            ratios[0],
            ratios[ROUNDS / 2],
            ratios[ROUNDS - 1]
        );
        println!("memory of orders after it: {} MiB", resident_mib(&orders.0)?);
        Ok(())
    })
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn echo() -> anyhow::Result<()> {
    let router = Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    Ok(axum::serve(listener, router).await?)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn ready(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn resident_mib(process: &Child) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) / 1024)
}

/// Requests answered in a second, by clients that each send one after the other.
async fn rate(port: u16, path: &'static str) -> anyhow::Result<f64> {
    let start = Instant::now();
    let until = start + Duration::from_secs(SECONDS);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(client(port, path, until))).collect();
    let mut answered = 0;
    for client in clients {
        answered += client.await??;
    }
    Ok(answered as f64 / start.elapsed().as_secs_f64())
}

async fn client(port: u16, path: &'static str, until: Instant) -> anyhow::Result<u64> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.set_nodelay(true)?;
    let length = BODY.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
    );
    let mut buffer = vec![0; 16 << 10];
    let mut answered = 0;
    while Instant::now() < until {
        connection.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled])? {
            match connection.read(&mut buffer[filled..]).await? {
                0 => anyhow::bail!("the connection was closed"),
                read => filled += read,
            }
        }
        answered += 1;
    }
    Ok(answered)
}

/// Whether the response is complete; an error if it is not a success.
fn is_whole(response: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&response[..end])?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 20"), "{}", String::from_utf8_lossy(response));
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    Ok(response.len() >= end + 4 + length.unwrap_or(0usize))
}
