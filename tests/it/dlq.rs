//! Tests `orders dlq` against the embedded service, from an event that cannot be processed to the repaired order.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use domain::OrderId;
use infra::embedded::{Embedded, NewMessage, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::events::{confirmed, created, eur, new_order_id, paid};
use crate::support::service::{Api, PATIENCE, Service, orders};

/// The pause between two checks of a condition.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// A payment of the order, first with its JSON cut off, and then complete.
fn cut_payment(id: &OrderId) -> (String, String) {
    let whole = String::from_utf8(paid(id).encode()).unwrap();
    (whole[..whole.len() - 4].to_owned(), whole)
}

fn shipment(id: &OrderId) -> String {
    json!({ "event_id": Uuid::now_v7(), "type": "order_shipped", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
            "correlation_id": "r", "data": { "order_id": id, "carrier": "DHL", "tracking_number": "1" } })
    .to_string()
}

/// Sends messages to the queue of a data folder that no service uses. Each message is in the group of its order.
pub(crate) async fn send(data: &Path, messages: impl IntoIterator<Item = (&OrderId, String)>) {
    let engine = Embedded::open(data, Options { min_free_bytes: 0, ..Options::new(eur()) }).unwrap();
    let message = |(group, body): (&OrderId, String)| NewMessage {
        group: group.as_str().to_owned(),
        deduplication_id: Uuid::now_v7().to_string(),
        body: body.into_bytes(),
    };
    engine.send(messages.into_iter().map(message).collect()).await.unwrap();
}

/// The `order_created` and `order_confirmed` events of an order, as messages.
fn beginning(id: &OrderId) -> [String; 2] {
    [created(id), confirmed(id)].map(|event| String::from_utf8(event.encode()).unwrap())
}

/// The messages of an order. The message of the payment is cut off, and a shipment follows.
pub(crate) fn with_cut_payment(id: &OrderId) -> impl Iterator<Item = (&OrderId, String)> {
    beginning(id).into_iter().chain([cut_payment(id).0, shipment(id)]).map(move |body| (id, body))
}

/// Starts a service with the given messages of an order. The payment and the shipment are parked.
pub async fn with_parked_sequence(data: &Path, id: &OrderId) -> Service {
    send(data, with_cut_payment(id)).await;
    let service = Service::start(data, &[]);
    wait_for_parked(&service, id, 2).await;
    service
}

/// Waits until the order has `count` parked events.
pub(crate) async fn wait_for_parked(api: &Api, id: &OrderId, count: u64) {
    let start = Instant::now();
    loop {
        let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
        if order["parked"] == count {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{order}");
        sleep(POLL_EVERY).await;
    }
}

fn command(api: &Api, arguments: &[&str]) -> Command {
    let mut command = orders(&["dlq"]);
    command.args(arguments).env("ORDERS_URL", &api.url);
    command
}

/// Runs `orders dlq` to its end. Returns the printed text.
#[track_caller]
pub fn dlq(api: &Api, arguments: &[&str], succeeds: bool) -> String {
    let Output { status, stdout, stderr } = command(api, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.success(), succeeds, "{arguments:?}: {stdout}{stderr}");
    stdout + &stderr
}

/// The ids of the dead letters, oldest first.
pub fn ids(api: &Api) -> Vec<String> {
    let lines = dlq(api, &["list", "--json"], true);
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    lines.lines().rev().map(id).collect()
}

async fn status(api: &Api, id: &OrderId) -> (String, u64) {
    let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
    (order["status"].as_str().unwrap().to_owned(), order["version"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_sequence_is_listed_shown_repaired_and_redriven() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = with_parked_sequence(&folder.path().join("data"), &id).await;

    let list = dlq(&service, &["list"], true);
    assert!(
        list.contains("malformed") && list.contains("behind_parked") && list.contains(id.as_str()),
        "{list}"
    );
    assert_eq!(dlq(&service, &["list", "--reason", "invalid"], true).trim(), "no dead letters");
    let ids = ids(&service);
    let shown = dlq(&service, &["show", &ids[0]], true);
    for part in
        ["malformed", "in the middle of an object", "1 of 2", "unreadable", "order_paid", "orders dlq repair"]
    {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let dry = ["redrive", "--order", id.as_str(), "--dry-run"];
    let text = dlq(&service, &dry, true);
    assert!(text.contains("unreadable") && text.contains("behind"), "{text}");
    let text = dlq(&service, &["redrive", "--all"], false);
    assert!(text.contains("2 of 2 are still dead letters"), "{text}");

    let raw = command(&service, &["show", &ids[0], "--body"]).output().unwrap().stdout;
    assert!(
        raw.starts_with(b"{") && !raw.ends_with(b"}"),
        "the printed body differs from the original bytes"
    );
    let body = folder.path().join("paid.json");
    fs::write(&body, cut_payment(&id).1).unwrap();
    let text = dlq(&service, &["repair", &ids[0], "--body", body.to_str().unwrap()], true);
    assert!(text.contains("would record as version 3"), "{text}");
    let shown = dlq(&service, &["show", &ids[0]], true);
    assert!(shown.contains("\nrepaired ") && shown.contains("\nbody, repaired:"), "{shown}");
    let text = dlq(&service, &dry, true);
    assert!(
        text.contains("would record as version 3") && text.contains("would record as version 4"),
        "{text}"
    );
    let text = dlq(&service, &["redrive", "--order", id.as_str()], true);
    assert!(text.contains("recorded as version 3") && text.contains("recorded as version 4"), "{text}");
    assert_eq!(status(&service, &id).await, ("shipped".to_owned(), 4));
    assert_eq!(dlq(&service, &["list"], true).trim(), "no dead letters");
    let ledger = service.get("/v1/pipeline").await.1["ledger"].clone();
    assert_eq!(
        ledger,
        json!({ "accepted": 4, "recorded": 4, "rejected": 0, "discarded": 0, "duplicate": 0, "parked": 0,
                               "in_flight": 0, "balanced": true, "exact": true })
    );
    let (_, history) = service.get(&format!("/v1/orders/{id}/events")).await;
    let repaired = &history["items"][2]["repaired"];
    let sent = String::from_utf8(raw).unwrap();
    assert_eq!((&repaired["dead_letter"], &repaired["original"]["body"]), (&json!(ids[0]), &json!(sent)));
    assert!(repaired["repairs"][0]["at"].is_string(), "{repaired}");
    assert_eq!(history["items"][3].get("repaired"), None, "the dead letter was not repaired");
    let gone = dlq(&service, &["show", &ids[0]], false);
    assert!(gone.contains("Dead letter not found"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_event_is_rejected_and_the_next_of_its_sequence_is_redriven() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = with_parked_sequence(&folder.path().join("data"), &id).await;
    let ids = ids(&service);
    dlq(&service, &["discard", &ids[0], "--reason", "paid twice", "--yes"], true);
    let again = dlq(&service, &["discard", &ids[0], "--reason", "once more", "--yes"], false);
    assert!(again.contains("is discarded. Only a parked dead letter can be changed"), "{again}");
    let shown = dlq(&service, &["show", &ids[0]], true);
    assert!(shown.contains("paid twice"), "{shown}");
    // Without its payment, the order cannot be shipped. The receipt of the shipment contains that
    // reason.
    let text = dlq(&service, &["redrive", "--order", id.as_str()], true);
    assert!(text.contains("rejected: order_shipped is not legal while the order is confirmed"), "{text}");
    wait_for_parked(&service, &id, 0).await;
    let ledger = service.get("/v1/pipeline").await.1["ledger"].clone();
    assert_eq!(
        (&ledger["rejected"], &ledger["discarded"], &ledger["balanced"]),
        (&json!(2), &json!(1), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_discarded_event_is_refused_as_discarded() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = with_parked_sequence(&folder.path().join("data"), &id).await;
    let path = format!("/v1/orders/{id}/events");
    let cancel = async |reason: &str| {
        let body = json!({ "type": "order_cancelled", "data": { "reason": reason } });
        let headers = [("idempotency-key", "cancel-1"), ("prefer", "wait=20")];
        service.ask(reqwest::Method::POST, &path, &headers, Some(&body)).await
    };
    let parked = cancel("changed my mind").await;
    assert_eq!((parked.status, &parked.body["state"]), (202, &json!("parked")), "{parked:?}");
    dlq(&service, &["discard", &ids(&service)[2], "--reason", "they called", "--yes"], true);

    cancel("changed my mind").await.is_problem(409, "discarded");
    cancel("something else").await.is_problem(422, "idempotency-key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_archive_with_a_corrected_file_is_imported_and_redriven_elsewhere() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let service = with_parked_sequence(&here, &id).await;
    let archive = folder.path().join("archive");
    let archive_name = archive.to_str().unwrap();
    dlq(&service, &["export", archive_name], true);
    drop(service);

    // The other folder contains the order in the state before the repair, and other dead letters with similar ids.
    let other = new_order_id();
    drop(with_parked_sequence(&there, &other).await);
    send(&there, beginning(&id).map(|body| (&id, body))).await;
    let import = |source: &Path, succeeds: bool| {
        let mut command = orders(&["dlq", "import"]);
        let nowhere = "http://127.0.0.1:9";
        command.env("AWS_ENDPOINT_URL", nowhere).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        let output = command.arg(source).arg("--data").arg(&there).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), succeeds, "{text}");
        text
    };
    assert!(import(&archive, true).contains("2 added, 0 repaired, 0 already there"));
    assert!(import(&archive, true).contains("0 added, 0 repaired, 2 already there"));
    for entry in fs::read_dir(&archive).unwrap() {
        let path = entry.unwrap().path();
        let mut letter: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if letter["reason"] == "malformed" {
            letter["body"] = cut_payment(&id).1.into();
            fs::write(path, letter.to_string()).unwrap();
        }
    }
    fs::write(archive.join("broken.json"), r#"{"id":"x","parked_at":1}"#).unwrap();
    let text = import(&archive, false);
    assert!(text.contains("0 added, 1 repaired, 1 already there") && text.contains("broken.json"), "{text}");
    assert!(import(Path::new("s3://bucket/failed"), false).contains("s3://bucket"));

    let service = Service::start(&there, &[]);
    let start = Instant::now();
    while service.get(&format!("/v1/orders/{id}")).await.1["version"] != 2 {
        assert!(start.elapsed() < PATIENCE);
        sleep(POLL_EVERY).await;
    }
    assert_eq!(ids(&service).len(), 4);
    let text = dlq(&service, &["redrive", "--order", id.as_str()], true);
    assert!(text.contains("recorded as version 3") && text.contains("recorded as version 4"), "{text}");
    assert_eq!(status(&service, &id).await, ("shipped".to_owned(), 4));
    wait_for_parked(&service, &other, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_repeatedly_and_run_again_applies_every_event_once() {
    const ORDERS: usize = 150;
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let all: Vec<_> = (0..ORDERS).map(|_| new_order_id()).collect();
    send(&data, all.iter().flat_map(with_cut_payment)).await;
    let mut service = Service::start(&data, &[]);
    for id in &all {
        wait_for_parked(&service, id, 2).await;
    }
    let letters = dlq(&service, &["list", "--json", "--reason", "malformed", "--limit", "1000"], true);
    for line in letters.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        let id = OrderId::parse(letter["order_id"].as_str().unwrap()).unwrap();
        let path = format!("/v1/dead-letters/{}/repair", letter["id"].as_str().unwrap());
        let body = json!({ "body": cut_payment(&id).1 });
        assert_eq!(service.ask(reqwest::Method::POST, &path, &[], Some(&body)).await.status, 200);
    }
    for _ in 0..3 {
        let before = service.get("/v1/pipeline").await.1["dead_letters"].clone();
        let mut redrive = command(&service, &["redrive", "--all"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Kills the command and the service after the first dead letters were sent and before the last ones.
        let start = Instant::now();
        while service.get("/v1/pipeline").await.1["dead_letters"] == before
            && redrive.try_wait().unwrap().is_none()
        {
            assert!(start.elapsed() < PATIENCE);
            sleep(POLL_EVERY).await;
        }
        redrive.kill().unwrap();
        redrive.wait().unwrap();
        service.kill();
        service = Service::start(&data, &[]);
    }
    dlq(&service, &["redrive", "--all"], true);
    for id in &all {
        wait_for_parked(&service, id, 0).await;
        let (_, history) = service.get(&format!("/v1/orders/{id}/events")).await;
        let kinds: Vec<_> =
            history["items"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["order_created", "order_confirmed", "order_paid", "order_shipped"]);
    }
    let pipeline = service.get("/v1/pipeline").await.1;
    assert_eq!(
        (&pipeline["ledger"]["recorded"], &pipeline["ledger"]["parked"]),
        (&json!(4 * ORDERS), &json!(0))
    );
    assert_eq!((&pipeline["ledger"]["balanced"], &pipeline["dead_letters"]), (&json!(true), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_prints_the_reason() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    for (arguments, part) in [
        (&["redrive"][..], "--all"),
        (&["show", "nobody"], "Dead letter not found"),
        (&["list", "--reason", "bored"], "must be one of malformed"),
        (&["list", "--from", "yesterday"], "RFC 3339"),
        (&["discard", "x", "--reason", "why not"], "add --yes"),
        (&["repair", "x", "--body", "/no/such/file"], "/no/such/file"),
    ] {
        let text = dlq(&service, arguments, false);
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    assert_eq!(dlq(&service, &["redrive", "--all"], true).trim(), "no dead letters are selected");
    drop(service);
    let nobody = Api::at("http://127.0.0.1:9");
    assert!(dlq(&nobody, &["list"], false).contains("cannot be reached"));
}
