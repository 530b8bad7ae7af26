//! Tests `orders load` against a service that is killed and started again during the load.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::load;
use crate::support::http::free_port;
use crate::support::service::{Service, orders};

fn service(data: &Path, port: u16) -> Command {
    let mut command = orders(&["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_on_a_service_that_is_killed_twice_is_clean() {
    let folder = TempDir::new().unwrap();
    let (data, port) = (folder.path().join("data"), free_port());
    let mut running = Service::spawn(service(&data, port));
    let url = running.url.clone();
    let (files, load_url) = (folder.path().to_owned(), url.clone());
    let flags = ["--rate", "400", "--duration", "6", "--patience", "60", "--seed", "3"];
    let loading = tokio::spawn(async move { load(&files, &load_url, &flags).await });

    for _ in 0..2 {
        // Waits until some events are recorded, and then kills the service in the middle of the load.
        tokio::task::block_in_place(|| (0..150).for_each(|_| drop(running.wait_for_log("\"recorded\""))));
        running.kill();
        running = Service::spawn(service(&data, port));
        assert_eq!(running.url, url);
    }
    let output = loading.await.unwrap();
    output.assert_clean();
    let [connect, broken] = ["connect", "broken"].map(|what| output.number(&format!("/errors/{what}")));
    assert!(connect + broken > 0, "no request failed: {}", output.text());
    assert_eq!((output.number("/errors/unanswered"), output.number("/errors/unexpected")), (0, 0));
    assert!(output.text().contains("failed attempts"), "{}", output.text());
}
