//! A service that is killed under load, and started again.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::load;
use crate::support::service::{Service, orders};

fn service(data: &Path, port: u16) -> Command {
    let mut command = orders(&["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data);
    command
}

/// A port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_happens_twice() {
    let folder = TempDir::new().unwrap();
    let (data, port) = (folder.path().join("data"), free_port());
    let mut running = Service::spawn(service(&data, port));
    let url = running.url.clone();
    let (files, load_url) = (folder.path().to_owned(), url.clone());
    let flags = ["--rate", "400", "--duration", "6", "--patience", "60", "--seed", "3"];
    let loading = tokio::spawn(async move { load(&files, &load_url, &flags).await });

    for _ in 0..2 {
        // In the middle of it: some events are recorded, and more come.
        tokio::task::block_in_place(|| (0..150).for_each(|_| drop(running.wait_for_log("\"recorded\""))));
        running.kill();
        running = Service::spawn(service(&data, port));
        assert_eq!(running.url, url);
    }
    let ended = loading.await.unwrap();
    ended.is_clean();
    let [connect, broken] = ["connect", "broken"].map(|what| ended.number(&format!("/errors/{what}")));
    assert!(connect + broken > 0, "it was never away: {}", ended.told());
    assert_eq!((ended.number("/errors/unanswered"), ended.number("/errors/unexpected")), (0, 0));
    assert!(ended.told().contains("attempts that failed"), "{}", ended.told());
}
