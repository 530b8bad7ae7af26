//! A minimal HTTP client. It runs on the same machine as the service, so every bit of CPU time that it uses is lost to
//! the service.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

pub(crate) const CONNECTIONS: u32 = 64;
/// When the client sends requests at a fixed rate, it measures one of every `MEASURED_EVERY` requests.
const MEASURED_EVERY: u32 = 8;
const WAIT: &str = "prefer: wait=20\r\n";
const BODY: &str = r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"tea","quantity":2,"unit_price":450},{"sku":"cup","quantity":1,"unit_price":900}]}"#;

/// A connection, with a buffer for its answers.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10] })
    }

    /// Sends a request and returns the whole answer. An answer that is not a success is an error.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        while !is_whole(&self.buffer[..filled])? {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            match self.stream.read(&mut self.buffer[filled..]).await? {
                0 => anyhow::bail!("the connection was closed"),
                read => filled += read,
            }
        }
        Ok(&self.buffer[..filled])
    }

    /// Whether the server sent an answer, successful or not.
    pub(crate) fn has_answer(&self) -> bool {
        self.buffer.starts_with(b"HTTP/1.1")
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<&[u8]> {
        self.get_with(path, "").await
    }

    /// Like `get`, with additional headers.
    async fn get_with(&mut self, path: &str, headers: &str) -> anyhow::Result<&[u8]> {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n").as_bytes()).await
    }
}

/// A request that creates an order, with additional headers.
pub(crate) fn order(path: &str, headers: &str) -> Vec<u8> {
    let length = BODY.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{BODY}"
    )
    .into_bytes()
}

/// The value of a header in the head of a response.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whether the response is complete. A response that is not a success is an error.
fn is_whole(response: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&response[..end])?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 20"), "{}", String::from_utf8_lossy(response));
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    Ok(response.len() >= end + 4 + length.unwrap_or(0usize))
}

/// Sends requests from concurrent clients for the given time. Each client sends its requests one by one. Returns the
/// number of answers.
pub(crate) async fn answered(port: u16, path: &'static str, time: Duration) -> anyhow::Result<u64> {
    let until = Instant::now() + time;
    let client = move || async move {
        let (mut connection, request) = (Connection::open(port).await?, order(path, ""));
        let mut answered = 0;
        while Instant::now() < until {
            connection.ask(&request).await?;
            answered += 1;
        }
        anyhow::Ok(answered)
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(client())).collect();
    let mut all = 0;
    for client in clients {
        all += client.await??;
    }
    Ok(all)
}

/// Requests pages from concurrent clients for the given time. Each client sends one request at a time. Returns the
/// sorted times of the requests. `path` returns the path for the number of a request.
pub(crate) async fn page_times(
    port: u16,
    time: Duration,
    path: impl Fn(u64) -> String + Copy + Send + 'static,
) -> anyhow::Result<Vec<Duration>> {
    let until = Instant::now() + time;
    let client = move |first: u64| async move {
        let (mut connection, mut times) = (Connection::open(port).await?, Vec::new());
        for number in (first..).step_by(CONNECTIONS as usize) {
            let start = Instant::now();
            if start >= until {
                break;
            }
            connection.get(&path(number)).await?;
            times.push(start.elapsed());
        }
        anyhow::Ok(times)
    };
    let clients: Vec<_> = (0..u64::from(CONNECTIONS)).map(|first| tokio::spawn(client(first))).collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await??);
    }
    all.sort();
    Ok(all)
}

/// The interval that is measured for a request with a planned start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// The time from the planned start of the request until the echo's answer.
    Echo,
    /// The time from the planned start of the request until the answer that the order is recorded.
    SentToRecorded,
    /// The time from the answer that accepts the order until the answer with the receipt. The service sends the
    /// receipt when the order is recorded.
    AcceptedToRecorded,
}

impl Wait {
    fn path(self) -> &'static str {
        if matches!(self, Self::Echo) { "/" } else { "/v1/orders" }
    }

    async fn measure(
        self,
        connection: &mut Connection,
        plain: &[u8],
        due: Instant,
    ) -> anyhow::Result<Duration> {
        match self {
            Self::Echo => drop(connection.ask(plain).await?),
            Self::SentToRecorded => {
                let answer = connection.ask(&order(self.path(), WAIT)).await?;
                anyhow::ensure!(answer.starts_with(b"HTTP/1.1 201"), "the order was not recorded in time");
            }
            Self::AcceptedToRecorded => {
                let answer = std::str::from_utf8(connection.ask(plain).await?)?;
                let (head, _) = answer.split_once("\r\n\r\n").context("no answer")?;
                let receipt = header(head, "location").context("the answer has no receipt")?.to_owned();
                let accepted = Instant::now();
                let answer = std::str::from_utf8(connection.get_with(&receipt, WAIT).await?)?;
                anyhow::ensure!(
                    answer.contains(r#""state":"recorded""#),
                    "the order was not recorded in time"
                );
                return Ok(accepted.elapsed());
            }
        }
        Ok(due.elapsed())
    }
}

/// Sends requests at the given rate. Returns the sorted times of those requests that are measured.
pub(crate) async fn paced(
    port: u16,
    wait: Wait,
    per_second: f64,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let start = Instant::now();
    let pace = Duration::from_secs_f64(f64::from(CONNECTIONS) / per_second);
    let client = move |number: u32| async move {
        let (mut connection, plain) = (Connection::open(port).await?, order(wait.path(), ""));
        let mut waits = Vec::new();
        let mut due = start + pace * number / CONNECTIONS;
        for count in number.. {
            if due >= start + time {
                break;
            }
            sleep_until(due).await;
            if count % MEASURED_EVERY == 0 {
                waits.push(wait.measure(&mut connection, &plain, due).await?);
            } else {
                connection.ask(&plain).await?;
            }
            due += pace;
        }
        anyhow::Ok(waits)
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|number| tokio::spawn(client(number))).collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await??);
    }
    all.sort();
    Ok(all)
}
