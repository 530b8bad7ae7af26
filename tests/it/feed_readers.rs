//! Tests readers of the feed while orders are written and the service is killed or its data folder is recovered. Every reader
//! sees every recorded event once, in the order of the positions, and without a gap.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::recorded::{exported, text};
use crate::support::service::{Api, Service, order, run};
use crate::support::writers::Writers;

const READERS: usize = 50;
const WRITERS: usize = 6;
const KILLS: usize = 3;
/// The number of events that the service accepts before each kill.
const EVENTS: usize = 180;

/// An event that a reader has seen: position, order, version and event id.
type Seen = (u64, String, u64, String);

fn seen(item: &Value) -> Seen {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let position = text(&item["position"]).parse().unwrap();
    let order = text(&item["data"]["order_id"]);
    (position, order, item["version"].as_u64().unwrap(), text(&item["event_id"]))
}

/// Compares the events that a reader has seen with the exported log. Returns the first difference.
fn flaw(seen: &[Seen], exported: &BTreeMap<(String, u64), String>) -> Option<String> {
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for ((position, order, version, event), expected) in seen.iter().zip(1..) {
        if *position != expected {
            return Some(format!("position {position} instead of {expected}"));
        }
        let before = versions.entry(order).or_default();
        if *version != *before + 1 {
            return Some(format!("order {order}: version {version} follows version {before}"));
        }
        *before = *version;
        if exported.get(&(order.clone(), *version)) != Some(event) {
            return Some(format!("version {version} of order {order} is not in the log"));
        }
    }
    (seen.len() != exported.len()).then(|| format!("{} events instead of {}", seen.len(), exported.len()))
}

/// Every event of the log, by order and version.
fn export(data: &Path) -> BTreeMap<(String, u64), String> {
    let event = |event: &Value| {
        let key = (text(&event["data"], "order_id").to_owned(), event["version"].as_u64().unwrap());
        (key, text(event, "event_id").to_owned())
    };
    exported(data).iter().map(event).collect()
}

/// Reads pages of random sizes until the feed ends and `finished` is true. A failed request is repeated with the same cursor.
async fn read(seed: u64, mut urls: watch::Receiver<String>, finished: Arc<AtomicBool>) -> Vec<Seen> {
    let mut rng = Rng::with_seed(seed);
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        // `finished` is loaded before the page is requested. So if it is true, the page was read after the
        // last event was recorded.
        let is_finished = finished.load(Ordering::SeqCst);
        let api = Api::at(&urls.borrow_and_update());
        let after = cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let path = format!("/v1/events?limit={}{after}", rng.usize(1..40));
        let wait = if is_finished { "respond-async" } else { "wait=2" };
        let Some(page) = page(&api, &path, wait).await else {
            // The service was killed, so wait for the address of the next service.
            if urls.changed().await.is_err() {
                return all;
            }
            continue;
        };
        all.extend(page["items"].as_array().unwrap().iter().map(seen));
        cursor = Some(page["next_cursor"].as_str().unwrap().to_owned());
        if is_finished && page["has_more"] == false {
            return all;
        }
    }
}

/// A page, or `None` if the service does not answer.
async fn page(api: &Api, path: &str, prefer: &str) -> Option<Value> {
    let client = crate::support::http::client();
    let response = client.get(format!("{}{path}", api.url)).header("prefer", prefer).send().await.ok()?;
    let status = response.status();
    let text = response.text().await.ok()?;
    assert_eq!(status, 200, "{text}");
    Some(serde_json::from_str(&text).unwrap())
}

/// Writes until the service has accepted enough events, then kills the service or stops it with SIGTERM.
async fn write_and_stop(service: Service, kill: bool) {
    let service = Arc::new(service);
    let writers = Writers::start(&service, WRITERS);
    writers.have_written(EVENTS).await;
    if kill {
        service.signal("KILL");
    }
    writers.stop().await;
    if !kill {
        service.signal("TERM");
    }
    let mut service = Arc::into_inner(service).expect("the writers have ended");
    service.wait();
}

async fn readers_see_every_event_once(flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let finished = Arc::new(AtomicBool::new(false));
    let first = Service::start(&data, flags);
    let (url, urls) = watch::channel(first.url.clone());
    let mut readers = JoinSet::new();
    for seed in 0..READERS {
        readers.spawn(read(seed as u64, urls.clone(), finished.clone()));
    }
    write_and_stop(first, true).await;
    for round in 1..=KILLS {
        let service = Service::start(&data, flags);
        url.send_replace(service.url.clone());
        write_and_stop(service, round < KILLS).await;
    }
    // No client writes to the last service. After it has recorded all queued events, the readers read the remaining
    // events.
    let mut service = Service::start(&data, flags);
    service.settled().await;
    finished.store(true, Ordering::SeqCst);
    url.send_replace(service.url.clone());
    let all = readers.join_all().await;
    assert!(service.terminate().success());
    let exported = export(&data);
    assert!(exported.len() >= (1 + KILLS) * EVENTS);
    assert_eq!(all.len(), READERS);
    for seen in all {
        assert_eq!(flaw(&seen, &exported), None);
    }
    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_readers_see_every_event_once_while_the_service_is_killed() {
    readers_see_every_event_once(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_readers_see_every_event_once_if_every_event_is_queued() {
    readers_see_every_event_once(&["--always-queue"]).await;
}

#[test]
fn a_gap_a_repetition_an_inversion_and_a_lost_event_are_flaws() {
    let event = |position: u64, order: &str, version: u64| {
        (position, order.to_owned(), version, format!("{order}{version}"))
    };
    let good = vec![event(1, "a", 1), event(2, "b", 1), event(3, "a", 2)];
    let exported: BTreeMap<_, _> =
        good.iter().map(|(_, order, version, id)| ((order.clone(), *version), id.clone())).collect();
    assert_eq!(flaw(&good, &exported), None);
    let wrong = [
        vec![event(1, "a", 1), event(3, "a", 2)],
        vec![event(1, "a", 1), event(1, "a", 1), event(2, "b", 1), event(3, "a", 2)],
        vec![event(1, "a", 2), event(2, "b", 1), event(3, "a", 1)],
        vec![event(1, "a", 1), event(2, "b", 1)],
        vec![event(1, "a", 1), event(2, "c", 1), event(3, "a", 2)],
    ];
    for seen in wrong {
        assert!(flaw(&seen, &exported).is_some(), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_recovery_a_reader_goes_on_with_its_cursor_and_misses_nothing() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let place = async |service: &Service| {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        service.outcome(&receipt).await["event_id"].as_str().unwrap().to_owned()
    };
    for _ in 0..20 {
        place(&service).await;
    }
    let (_, before) = service.get("/v1/events?limit=1000").await;
    assert_eq!(before["items"].as_array().unwrap().len(), 20);
    assert!(service.terminate().success());
    // The second half of the journal is cut off. It contains events that the reader has already seen.
    let journal = std::fs::File::options().write(true).open(data.join("store/0.jnl")).unwrap();
    let readable = journal.metadata().unwrap().len() / 2;
    journal.set_len(readable).unwrap();
    let recovered = run(&["recover"], &data);
    assert!(recovered.status.success(), "{}", String::from_utf8_lossy(&recovered.stderr));

    let mut service = Service::start(&data, &[]);
    let mut recorded = Vec::new();
    for _ in 0..20 {
        recorded.push(place(&service).await);
    }
    let after = before["next_cursor"].as_str().unwrap();
    let (status, later) = service.get(&format!("/v1/events?limit=1000&after={after}")).await;
    assert_eq!(status, 200, "{later}");
    let ids: Vec<_> =
        later["items"].as_array().unwrap().iter().map(|item| item["event_id"].clone()).collect();
    assert_eq!(ids, recorded);
    // A new reader sees the events that survived the recovery, and then the new events.
    let (_, all) = service.get("/v1/events?limit=1000").await;
    let count = all["items"].as_array().unwrap().len();
    assert!(service.terminate().success());
    let exported = export(&data);
    assert!(exported.len() == count && (20..40).contains(&count), "{count}: {exported:?}");
    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}
