//! The Lambda Runtime API for one function. It passes events to the function's process one by one, and receives the
//! answers.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::support::service::PATIENCE;

/// The time limit of an invocation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A function that runs in a separate process. The process is killed when this value is dropped.
pub(crate) struct FunctionProcess {
    process: Child,
    pub(crate) started: Instant,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<anyhow::Result<Answer>>,
    shared: Arc<Shared>,
}

/// The answer of a function.
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) body: Value,
    /// The CPU time of the function's handler so far, if the function reports it.
    pub(crate) handler_cpu: Option<Duration>,
}

/// The state of the server that answers the function's calls of the Runtime API.
struct Shared {
    events: Mutex<mpsc::Receiver<String>>,
    answers: mpsc::Sender<anyhow::Result<Answer>>,
    /// The time at which the function first requested an event.
    requested: OnceLock<Instant>,
}

impl FunctionProcess {
    /// Starts a process with the Runtime API in its environment.
    pub(crate) async fn start(mut command: Command) -> anyhow::Result<Self> {
        let (events, receiver) = mpsc::channel(1);
        let (sender, answers) = mpsc::channel(1);
        let shared =
            Arc::new(Shared { events: Mutex::new(receiver), answers: sender, requested: OnceLock::new() });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        command.env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string());
        tokio::spawn(async move { axum::serve(listener, router).await });

        command.envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "measured"),
        ]);
        // The output is dropped, because the benchmark does not read the logs of the consumers.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let process = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { process, started, events, answers, shared })
    }

    pub(crate) async fn invoke(&mut self, event: &Value) -> anyhow::Result<Answer> {
        self.events.send(event.to_string()).await?;
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        answer.context("the function does not answer")?.context("the server has ended")?
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The time from the start of the process until it requested its first event.
    pub(crate) fn ready_after(&self) -> Duration {
        self.shared.requested.get().map_or(Duration::ZERO, |requested| *requested - self.started)
    }
}

impl Drop for FunctionProcess {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.requested.get_or_init(Instant::now);
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + TIMEOUT;
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", uuid::Uuid::now_v7().to_string()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:measured".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned()),
    ];
    (headers, event).into_response()
}

async fn answered(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let at = Instant::now();
    let cpu = headers.get("x-handler-cpu-microseconds").and_then(|cpu| cpu.to_str().ok()?.parse().ok());
    let answer = serde_json::from_slice(&body).map_err(anyhow::Error::from);
    let answer = answer.map(|body| Answer { at, body, handler_cpu: cpu.map(Duration::from_micros) });
    forward(&shared, answer).await
}

async fn failed(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    forward(&shared, Err(anyhow!("the function failed: {}", String::from_utf8_lossy(&body)))).await
}

async fn forward(shared: &Shared, answer: anyhow::Result<Answer>) -> StatusCode {
    match shared.answers.send(answer).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}
