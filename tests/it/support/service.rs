//! Runs the real binary and talks to its API.

use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

pub use super::eventually::PATIENCE;
use super::eventually::{eventually, eventually_blocking};
use super::http;

/// The variables of the program that have no prefix.
const UNPREFIXED: [&str; 10] = [
    "LOG_LEVEL",
    "QUEUE_URL",
    "DLQ_URL",
    "DLQ_BUCKET",
    "TABLE_NAME",
    "OUTBOUND_TABLE",
    "WEBHOOK_QUEUE_URL",
    "EVENT_BUS",
    "EVENTS_TOPIC",
    "ALERTS_TOPIC",
];

/// The `orders` binary with the given arguments.
pub fn orders(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.args(arguments).stdin(Stdio::null());
    // Variables in the environment of the test run must not change what is tested.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if UNPREFIXED.contains(&name.as_ref())
            || ["ORDERS_", "AWS_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&variable);
        }
    }
    // The test run may itself be a unit of a service manager.
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
    command
}

/// Runs a command of the binary on the given data folder to its end.
pub fn run(arguments: &[&str], data: &Path) -> Output {
    let mut command = orders(arguments);
    command.arg("--data").arg(data).output().unwrap()
}

/// The API at a URL.
pub struct Api {
    pub url: String,
    client: reqwest::Client,
}

impl Api {
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), client: http::client() }
    }

    /// Sends a request with additional headers, and reads the whole answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        Answer { status: status.as_u16(), headers, body }
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Result<Response> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        request.send().await
    }

    /// Posts `body`, which must be accepted. Returns the receipt.
    pub async fn accept(&self, path: &str, body: &Value) -> Value {
        let response = self.send(Method::POST, path, Some(body)).await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, StatusCode::ACCEPTED, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.send(Method::GET, path, None).await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or_else(|_| json!({ "not JSON": text })))
    }

    /// Waits until the event of `receipt` has an outcome. Returns its receipt.
    pub async fn outcome(&self, receipt: &Value) -> Value {
        let path = receipt["links"]["self"].as_str().unwrap();
        eventually("the event has an outcome", async || {
            let (status, receipt) = self.get(path).await;
            assert_eq!(status, StatusCode::OK, "{receipt}");
            if receipt["state"] == "accepted" { Err(receipt) } else { Ok(receipt) }
        })
        .await
    }

    /// Waits until nothing is in flight and the service does not report an unbalanced ledger. Returns the
    /// ledger.
    pub async fn settled(&self) -> Value {
        eventually("nothing is in flight", async || {
            let ledger = self.get("/v1/pipeline").await.1["ledger"].take();
            let is_settled = ledger["in_flight"] == 0 && ledger["balanced"] != false;
            if is_settled { Ok(ledger) } else { Err(ledger) }
        })
        .await
    }
}

/// An answer with its complete body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: HeaderMap,
    /// The JSON body. `null` if the body is not JSON.
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn is_problem(&self, status: u16, name: &str) {
        assert_eq!(
            (self.status, &self.body["type"]),
            (status, &json!(format!("/problems/{name}"))),
            "{self:?}"
        );
    }
}

/// A running process of the binary, with its API if it serves one. It is killed when this value is dropped.
pub struct Service {
    child: Child,
    log: Mutex<Receiver<String>>,
    api: Api,
}

impl Deref for Service {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Service {
    /// Starts `orders serve` on `data`, with additional arguments.
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", data, arguments)
    }

    /// Like `start`, but listens on the given address, for example the address of a service that has ended.
    pub fn start_at(address: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut command = orders(&["serve", "--listen", address]);
        command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data).args(arguments);
        Self::spawn(command)
    }

    /// Starts a role that serves an API.
    pub fn spawn(command: Command) -> Self {
        let (mut service, line) = Self::spawn_until(command, "\"serving\"");
        service.api.url = format!("http://{}", line["listen"].as_str().unwrap());
        service
    }

    /// Like `start`, but returns the log if the process ends before it serves.
    pub fn try_start(data: &Path, arguments: &[&str]) -> Result<Self, String> {
        let mut command = orders(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data).args(arguments);
        let mut service = Self::launch(command);
        let line = service.find_in_log("\"serving\"")?;
        service.api.url = format!("http://{}", line["listen"].as_str().unwrap());
        Ok(service)
    }

    /// Starts a process and waits until its log has a line with `text`. Returns that line.
    pub fn spawn_until(command: Command, text: &str) -> (Self, Value) {
        let service = Self::launch(command);
        let line = service.wait_for_log(text);
        (service, line)
    }

    fn launch(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (lines, log) = channel();
        // The thread ends when the process exits.
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| lines.send(l))
        });
        Self { child, log: Mutex::new(log), api: Api::at("") }
    }

    /// Waits for the next log line that contains `text`. Returns the line as JSON.
    pub fn wait_for_log(&self, text: &str) -> Value {
        self.find_in_log(text).unwrap_or_else(|log| panic!("no {text} in the log: {log}"))
    }

    /// Like `wait_for_log`, but returns the log if there is no such line.
    fn find_in_log(&self, text: &str) -> Result<Value, String> {
        let log = self.log.lock().unwrap();
        let mut seen = Vec::new();
        loop {
            match log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return Ok(serde_json::from_str(&line).unwrap()),
                Ok(line) => seen.push(line),
                Err(error) => return Err(format!("{error}\n{}", seen.join("\n"))),
            }
        }
    }

    /// The log lines that were not read yet. Call this function only after the process has ended.
    pub fn rest_of_log(&self) -> String {
        self.log.lock().unwrap().iter().collect::<Vec<_>>().join("\n")
    }

    /// Sends SIGTERM and waits until the process has exited.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills the process and waits until it has ended, because its locks are released only then.
    pub fn kill(&mut self) {
        self.signal("KILL");
        assert!(!self.wait().success());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until the process ends.
    pub fn wait(&mut self) -> ExitStatus {
        eventually_blocking("the process ends", || self.child.try_wait().unwrap().ok_or("it is running"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The process may already have exited. After `wait`, it has exited in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An order to post.
pub fn order(customer: &str) -> Value {
    json!({ "customer_id": customer, "currency": "EUR",
            "items": [{ "sku": "tea", "quantity": 2, "unit_price": 450 }, { "sku": "cup", "quantity": 1, "unit_price": 900 }] })
}
