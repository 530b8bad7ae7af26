//! Tests all commands on a data folder except `serve`, and the error messages for wrong arguments.

use std::path::Path;
use std::process::Output;

use consumer::ports::{Appended, OrderLog};
use domain::OrderId;
use infra::embedded::{Embedded, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::events::{append_of, confirmed, created, eur, new_order_id, paid, recorded};
use crate::support::recorded::exported;
use crate::support::service::{Service, order, orders, run};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_files_in_openapi_are_up_to_date() {
    for (command, version) in [("openapi", "3.1.0"), ("asyncapi", "3.0.0")] {
        let printed = orders(&[command]).output().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("openapi/{command}.json"));
        let checked_in = std::fs::read_to_string(&path).unwrap();
        assert!(stdout(&printed) == checked_in, "update it: cargo run -- {command} > openapi/{command}.json");
        assert_eq!(serde_json::from_str::<Value>(&checked_in).unwrap()[command], version);
    }
}

#[test]
fn a_missing_folder_is_an_error_and_is_not_created() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("nowhere");
    for command in ["export", "rebuild"] {
        let output = run(&[command], &data);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("there is no orders data folder"), "{}", stderr(&output));
    }
    assert!(!data.exists());
}

/// A data folder in which one event of an order is in the log but not projected, as a bug could leave it.
async fn data_with_a_lagging_projection(data: &Path) -> OrderId {
    let mut service = Service::start(data, &[]);
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    let order_id = OrderId::parse(receipt["order_id"].as_str().unwrap()).unwrap();
    let confirmation = json!({ "type": "order_confirmed" });
    let receipt = service.accept(&format!("/v1/orders/{order_id}/events"), &confirmation).await;
    service.outcome(&receipt).await;
    assert!(service.terminate().success());

    let engine = Embedded::open(data, Options::new(eur())).unwrap();
    let log_only = recorded(3, &[paid(&order_id)]).remove(0);
    engine.append_without_projecting(log_only).await.unwrap();
    order_id
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_corrects_projections_that_differ_from_the_log() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let order_id = data_with_a_lagging_projection(&data).await;

    for _ in 0..2 {
        let check = run(&["rebuild", "--check"], &data);
        assert_eq!(check.status.code(), Some(1), "a check changes nothing");
        let found = stdout(&check);
        assert!(
            found.contains("3 events of 1 orders read") && found.contains("7 differences from the log"),
            "{found}"
        );
        assert!(found.contains(order_id.as_str()), "{found}");
        assert!(found.contains("differs from the log in payments, recorded_at, status"), "{found}");
        // One of the events was appended without the queue, so the ledger does not count it.
        assert!(found.contains("ledger: it counts 2 recorded events; the log holds 3"), "{found}");
    }
    let rebuild = run(&["rebuild"], &data);
    assert!(rebuild.status.success());
    assert!(stdout(&rebuild).contains("7 differences corrected"), "{}", stdout(&rebuild));
    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", stdout(&check));
    assert!(stdout(&check).contains("0 differences from the log"), "{}", stdout(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_one_event_is_listed_and_passes_the_check() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    service.outcome(&receipt).await;
    let (_, read) = service.get(receipt["links"]["order"].as_str().unwrap()).await;
    assert_eq!((&read["status"], &read["version"]), (&json!("pending"), &json!(1)));
    let (_, listed) = service.get("/v1/orders?customer_id=c-1").await;
    assert_eq!(listed["items"], json!([read]));
    assert!(service.terminate().success());

    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", stdout(&check));
    assert!(stdout(&check).contains("1 events of 1 orders read"), "{}", stdout(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeated_append_does_not_revert_the_projection() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    {
        let engine = Embedded::open(&data, Options::new(eur())).unwrap();
        let id = new_order_id();
        let log = recorded(1, &[created(&id), confirmed(&id), paid(&id)]);
        for (from, to, expected) in [(0, 2, Appended::New), (2, 3, Appended::New), (0, 2, Appended::Already)]
        {
            let append = append_of(&log[..to], to - from);
            assert_eq!(engine.append(&[append]).await.remove(0).unwrap(), expected);
        }
    }
    let check = run(&["rebuild", "--check"], &data);
    let found = stdout(&check);
    assert!(
        found.contains("1 differences from the log"),
        "only the ledger differs, because this append bypasses the ledger: {found}"
    );
    assert!(found.contains("ledger: it counts 0 recorded events; the log holds 3"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_does_not_change_a_log_that_cannot_be_folded() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    {
        let engine = Embedded::open(&data, Options::new(eur())).unwrap();
        let id = new_order_id();
        let twice = recorded(1, &[created(&id), created(&id)]);
        for event in twice {
            engine.append_without_projecting(event).await.unwrap();
        }
    }
    let rebuild = run(&["rebuild"], &data);
    assert_eq!(rebuild.status.code(), Some(1));
    let found = stdout(&rebuild);
    assert!(
        found.contains("1 logs that cannot be folded") && found.contains("order_created at version 2"),
        "{found}"
    );
    assert_eq!(exported(&data).len(), 2, "the log still contains every event");
}

#[test]
fn invalid_arguments_are_explained() {
    for (arguments, expected) in [
        (&["serve", "--listen", "here"][..], "--listen"),
        (&["--default-currency", "euro"], "ISO 4217"),
        (&["rebuild", "--chek"], "--check"),
        (&["serve", "--max-receives", "0"], "--max-receives"),
        (&["serve", "--listen", "localhost"], "is not an address and a port"),
        (&["lod"], "'load'"),
        (&["--log-level", "warn", "doctr", "live"], "'doctor'"),
        (&["dlq", "lst"], "'list'"),
        (&["load", "--duration", "0"], "more than 0 seconds"),
    ] {
        let output = orders(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_can_be_required() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--require-idempotency-key"]);
    let refused = service.ask(Method::POST, "/v1/orders", &[], Some(&order("c-1"))).await;
    refused.is_problem(400, "idempotency-key-required");
    let accepted =
        service.ask(Method::POST, "/v1/orders", &[("idempotency-key", "k-1")], Some(&order("c-1"))).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
}
