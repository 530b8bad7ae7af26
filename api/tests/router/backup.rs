//! Tests `GET /v1/backup`: who may read it, one stream at a time, and streams that end early.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use api::AppState;
use api::auth::{Principal, Scope};
use api::ports::backup::{BackupStart, BackupStream, BackupStreamError, BackupStreams};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use domain::CustomerId;
use http_body_util::BodyExt;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::fakes::{Answer, FakePorts, send_to, state};

/// A fake that sends chunks. `last` decides how the stream ends.
#[derive(Clone)]
struct FakeBackups {
    chunks: Vec<&'static str>,
    last: Last,
    is_busy: Arc<AtomicBool>,
    started: Arc<Mutex<Vec<BackupStart>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    End,
    Failure,
    Never,
}

impl FakeBackups {
    fn new(last: Last) -> Self {
        Self { chunks: vec!["one ", "two"], last, is_busy: Arc::default(), started: Arc::default() }
    }
}

#[async_trait]
impl BackupStreams for FakeBackups {
    async fn begin(&self, start: BackupStart) -> Result<Box<dyn BackupStream>, BackupStreamError> {
        if self.is_busy.load(Ordering::Relaxed) {
            return Err(BackupStreamError::Busy);
        }
        self.started.lock().unwrap().push(start);
        Ok(Box::new(FakeStream { left: self.chunks.iter().rev().copied().collect(), last: self.last }))
    }
}

struct FakeStream {
    left: Vec<&'static str>,
    last: Last,
}

#[async_trait]
impl BackupStream for FakeStream {
    async fn chunk(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        match (self.left.pop(), self.last) {
            (Some(chunk), _) => Ok(Some(chunk.as_bytes().to_vec())),
            (None, Last::End) => Ok(None),
            (None, Last::Failure) => anyhow::bail!("the disk is broken at /var/lib/orders"),
            (None, Last::Never) => std::future::pending().await,
        }
    }
}

fn app(backups: &FakeBackups) -> AppState {
    AppState { backups: Some(Arc::new(backups.clone())), ..state(&Arc::new(FakePorts::default())) }
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

async fn get(state: AppState, path: &str) -> Answer {
    send_to(api::router(state), request(path)).await
}

#[tokio::test]
async fn the_stream_begins_where_the_query_says() {
    let backups = FakeBackups::new(Last::End);
    let answer = get(app(&backups), "/v1/backup?after=41&rejected=3").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, &b"one two"[..]));
    get(app(&backups), "/v1/backup").await;
    let started = backups.started.lock().unwrap().clone();
    let expected =
        [BackupStart { from: 42, rejected_before: Some(3) }, BackupStart { from: 1, rejected_before: None }];
    assert_eq!(started, expected);
    for query in
        ["after=-1", "after=x", "after=9223372036854775808", "after=", "after=1&after=2", "from=oldest"]
    {
        assert_eq!(get(app(&backups), &format!("/v1/backup?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn only_operators_of_all_customers_may_read_a_backup() {
    let backups = FakeBackups::new(Last::End);
    let with = |scopes: &[Scope]| Principal {
        scopes: Some(scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
        ..Principal::anyone()
    };
    let operator = with(&[Scope::Operate]);
    let customer_id = Some(CustomerId::parse("c-1").unwrap());
    let allowed = async |principal: Principal| {
        let mut request = request("/v1/backup");
        request.extensions_mut().insert(principal);
        send_to(api::router(app(&backups)), request).await.status
    };
    assert_eq!(allowed(operator.clone()).await, 200);
    assert_eq!(allowed(Principal { customer_id, ..operator }).await, 403);
    assert_eq!(allowed(with(&[Scope::Read, Scope::Write])).await, 403);
}

#[tokio::test]
async fn a_second_stream_and_a_service_without_a_folder_are_problems() {
    let backups = FakeBackups::new(Last::End);
    backups.is_busy.store(true, Ordering::Relaxed);
    let busy = get(app(&backups), "/v1/backup").await;
    assert_eq!(
        (busy.status.as_u16(), busy.json()["type"].as_str().unwrap()),
        (409, "/problems/backup-running")
    );
    let without = get(state(&Arc::new(FakePorts::default())), "/v1/backup").await;
    assert_eq!(without.status, 404);
    assert!(without.json()["detail"].as_str().unwrap().contains("point-in-time recovery"));
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_an_error_and_without_the_reason() {
    let answer =
        api::router(app(&FakeBackups::new(Last::Failure))).oneshot(request("/v1/backup")).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(!format!("{error:?}").contains("/var/lib"), "{error:?}");
}

#[tokio::test]
async fn a_stream_ends_with_an_error_when_the_service_stops() {
    let (stop, stopping) = watch::channel(false);
    let state = AppState { stopping: Some(stopping), ..app(&FakeBackups::new(Last::Never)) };
    let answer = api::router(state).oneshot(request("/v1/backup")).await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    stop.send_replace(true);
    body.frame().await.unwrap().unwrap_err();
    assert!(body.frame().await.is_none());
}
