//! Tests the feed, `GET /v1/events`: pages, waiting for events, and streams.

mod blocks;
mod fake;
mod pages;
mod rights;
mod serving;
mod streams;
mod waits;

use std::sync::Arc;

use api::{AppState, EventStreams};
use axum::Router;
use serde_json::Value;
use tokio::sync::watch;

use self::fake::FakeFeed;
use crate::fakes::{Answer, FakePorts, state};

/// The state of an API with the given feed and three slots for streams. The returned sender stops the API.
fn app(feed: &Arc<FakeFeed>) -> (AppState, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    let state = AppState {
        feed: Some(feed.clone()),
        event_streams: Some(EventStreams::new(3, 3)),
        stopping: Some(stopping),
        ..state(&Arc::new(FakePorts::default()))
    };
    (state, stop)
}

fn router(feed: &Arc<FakeFeed>) -> Router {
    // The sender must live as long as the router, because dropping the sender would stop the API.
    let (state, stop) = app(feed);
    std::mem::forget(stop);
    api::router(state)
}

/// The items of a page, each as its order id and its version.
#[track_caller]
fn items(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().iter().map(name).collect()
}

fn name(item: &Value) -> String {
    format!("{} {}", item["data"]["order_id"].as_str().unwrap(), item["version"])
}
