//! Tests restores of a service under load to random moments. Each restored folder contains exactly the events
//! up to its moment.

use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use futures_util::future::{join, join_all};
use reqwest::Method;
use tempfile::TempDir;

use super::*;
use crate::support::eventually::{check, eventually};

const CLIENTS: usize = 4;
/// The number of backups that are made under load.
const INCREMENTS: usize = 5;
/// The number of moments that are restored.
const MOMENTS: usize = 20;

/// Places orders until `stop` is set.
async fn load(service: &Service, stop: &AtomicBool, client: usize) {
    while !stop.load(Ordering::Relaxed) {
        place(service, &format!("c-{client}")).await;
    }
}

/// Makes backups while orders are placed.
async fn back_up_under_load(service: &Service, target: &Path, stop: &AtomicBool) {
    for _ in 0..INCREMENTS {
        let (url, target) = (service.url.clone(), target.to_owned());
        tokio::task::spawn_blocking(move || back_up_live(&url, &target)).await.unwrap();
        // Some orders are placed between two backups.
        let (_, pipeline) = service.get("/v1/pipeline").await;
        let before = pipeline["ledger"]["accepted"].as_u64().unwrap();
        eventually("more orders are placed", async || {
            let (_, pipeline) = service.get("/v1/pipeline").await;
            check(pipeline["ledger"]["accepted"].as_u64().unwrap() >= before + 20, pipeline)
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
}

/// Runs a service under load, backs it up several times, and once more at the end. Returns all events of the
/// feed, and the ledger.
async fn backed_up(data: &Path, target: &Path, flags: &[&str]) -> (Vec<Value>, Value) {
    let mut service = Service::start(data, flags);
    let stop = AtomicBool::new(false);
    let clients = join_all((0..CLIENTS).map(|client| load(&service, &stop, client)));
    join(clients, back_up_under_load(&service, target, &stop)).await;
    back_up_live(&service.url, target);
    let (events, pipeline) = (whole_feed(&service, 200).await, service.get("/v1/pipeline").await.1);
    assert!(service.terminate().success());
    (events, pipeline["ledger"].clone())
}

async fn every_moment_is_restored_exactly(flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let (events, ledger) = backed_up(&data, &target, flags).await;
    assert!(events.len() > 100, "{}", events.len());
    let mut rng = Rng::with_seed(5);
    let mut moments: Vec<_> = (2..MOMENTS).map(|_| rng.usize(1..=events.len())).collect();
    moments.extend([1, events.len()]);
    for position in moments {
        let restored = folder.path().join(format!("restored-{position}"));
        if restored.exists() {
            continue;
        }
        let report = restore(&target, &restored, &["--until", &position.to_string()]);
        assert_eq!(report["position"], position, "{report}");
        let key = |event: &Value| (text(&event["data"]["order_id"]), event["version"].as_u64().unwrap());
        let mut expected: Vec<_> = events[..position].iter().map(key).collect();
        expected.sort();
        let exported = export(&restored);
        assert!(exported.keys().eq(&expected), "position {position}");
        assert_consistent(&restored);
        if position == events.len() {
            let mut service = Service::start(&restored, flags);
            assert!(whole_feed(&service, 200).await == events, "the feed of the restored folder differs");
            assert_eq!(service.get("/v1/pipeline").await.1["ledger"], ledger);
            assert!(service.terminate().success());
        }
    }
    assert!(export(&folder.path().join(format!("restored-{}", events.len()))) == export(&data));
    let (is_whole, printed) = verify(&target, &[]);
    assert!(is_whole, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_moment_of_a_service_under_load_restores_exactly_its_events() {
    every_moment_is_restored_exactly(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_moment_restores_exactly_its_events_if_every_event_is_queued() {
    every_moment_is_restored_exactly(&["--always-queue"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_folder_answers_as_its_source() {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let mut service = Service::start(&data, &["--webhooks-allow-private"]);
    let mut receipts = Vec::new();
    for _ in 0..10 {
        receipts.extend(place(&service, "c-1").await);
    }
    let webhook = json!({ "url": "http://127.0.0.1:9/none" });
    let webhook = service.ask(Method::POST, "/v1/webhooks", &[], Some(&webhook)).await.body;
    let key = ("idempotency-key", "checkout-1");
    let keyed = service.ask(Method::POST, "/v1/orders", &[key], Some(&order("c-2"))).await.body;
    service.outcome(&keyed).await;
    let events = whole_feed(&service, 200).await;
    let time = text(&events[4]["recorded_at"]);
    assert!(service.terminate().success());
    back_up(&data, &target);

    let restored = folder.path().join("restored");
    restore(&target, &restored, &[]);
    // A backup of the restored folder is the same as the first backup. So log, receipts, queue, dead letters
    // and subscriptions are the same.
    let again = folder.path().join("again");
    back_up(&restored, &again);
    let manifest = |target: &Path| -> Value {
        let file = std::fs::read(target.join("manifests/0000000001.json")).unwrap();
        serde_json::from_slice::<Value>(&file).unwrap()["manifest"].take()
    };
    let (first, second) = (manifest(&target), manifest(&again));
    for member in ["log", "state", "hash"] {
        assert_eq!(first[member], second[member], "{member}");
    }
    // The restored folder can also continue the backup from which it was restored.
    back_up(&restored, &target);
    let (is_whole, printed) = verify(&target, &[]);
    assert!(is_whole && printed.contains("2 manifests"), "{printed}");
    let service = Service::start(&restored, &["--webhooks-allow-private"]);
    for receipt in &receipts {
        assert_eq!(service.get(receipt["links"]["self"].as_str().unwrap()).await.1, *receipt);
    }
    assert!(whole_feed(&service, 200).await == events);
    let found = service.get(&format!("/v1/webhooks/{}", text(&webhook["id"]))).await.1;
    assert_eq!(found["url"], webhook["url"]);
    // A client that repeats its request gets its first answer.
    let repeated = service.ask(Method::POST, "/v1/orders", &[key], Some(&order("c-2"))).await;
    assert_eq!(repeated.body["order_id"], keyed["order_id"], "{repeated:?}");

    let report = restore(&target, &folder.path().join("at-a-time"), &["--until", &time]);
    let parse = |time: &str| domain::Timestamp::parse(time).unwrap();
    assert!(report["position"].as_u64().unwrap() >= 5, "{report}");
    assert!(parse(report["newest_event"].as_str().unwrap()) <= parse(&time), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_restores_its_own_backup_on_a_schedule_and_reports_its_age() {
    let folder = TempDir::new().unwrap();
    let (data, target, scratch) =
        (folder.path().join("data"), folder.path().join("backup"), folder.path().join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(&data).arg("--backup-to").arg(&target);
    command.args(["--backup-every", "1s", "--backup-drill", "1s", "--backup-drill-folder"]).arg(&scratch);
    let (mut service, line) = Service::spawn_until(command, "metrics at");
    let metrics = Api::at(&format!("http://{}", text(&line["listen"])));
    let api = Api::at(&format!("http://{}", text(&service.wait_for_log("\"serving\"")["listen"])));
    place(&api, "c-1").await;
    while service.wait_for_log("the backup was restored and verified")["events"] != 2 {}
    let age = async || {
        let scraped = metrics.send(Method::GET, "/metrics", None).await.unwrap().text().await.unwrap();
        let line = scraped.lines().find_map(|line| line.strip_prefix("orders_backup_verified_age_seconds "));
        line.map(|age| age.parse::<f64>().unwrap()).ok_or(scraped.clone())
    };
    let age = eventually("the age of the verified backup is reported", age).await;
    assert!((0.0..60.0).contains(&age), "{age}");
    // A damaged backup is reported, and does not stop the service.
    for entry in std::fs::read_dir(target.join("segments")).unwrap() {
        std::fs::write(entry.unwrap().path(), "noise").unwrap();
    }
    let line = service.wait_for_log("the drill of the backup has failed");
    assert!(text(&line["message"]).contains("is damaged"), "{line}");
    place(&api, "c-1").await;
    assert!(service.terminate().success());
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "a drill has left its scratch folder");
}
