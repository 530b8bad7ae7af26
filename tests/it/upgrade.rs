//! Tests data folders of earlier formats. Opening such a folder keeps everything in it and converts it to the current
//! format.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use api::ports::feed::{EventFeed, FeedEvent, FeedFilter, FeedStart};
use domain::{CustomerId, EventType, Timestamp};
use infra::embedded::{Embedded, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::damage::copy;
use crate::support::events::eur;
use crate::support::eventually::{check, eventually};
use crate::support::recorded::exported;
use crate::support::service::{Service, order, orders, run};

const FORMAT: &str = "orders data folder, format 6\n";

/// The confirmed and paid order in the golden folder of format 3.
const PAID: &str = "a43c4bc3-0e46-5b66-a079-1aa00e5fbf5c";

pub(crate) fn golden(format: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/folders").join(format);
    copy(&golden, folder.path());
    // The service leaves a LOCK file when it ends. A copy of its folder contains this file too, although no process
    // holds the lock.
    File::create(folder.path().join("LOCK")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_format_3_is_upgraded_with_everything_in_it() {
    let folder = golden("format-3");
    let data = folder.path();
    fs::set_permissions(data.join("store"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut service = Service::start(data, &[]);
    let (status, paid) = service.get(&format!("/v1/orders/{PAID}")).await;
    assert_eq!((status.as_u16(), &paid["status"], &paid["version"]), (200, &"paid".into(), &3.into()));
    let (_, pipeline) = service.get("/v1/pipeline").await;
    let ledger = &pipeline["ledger"];
    assert_eq!(
        (&ledger["accepted"], &ledger["recorded"], &ledger["rejected"]),
        (&6.into(), &5.into(), &1.into())
    );
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    assert_eq!(service.outcome(&receipt).await["state"], "recorded");
    assert!(service.terminate().success());

    assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), FORMAT);
    assert_eq!(fs::metadata(data.join("store")).unwrap().permissions().mode() & 0o777, 0o700);
    let check = run(&["rebuild", "--check"], data);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && text.starts_with("6 events of 4 orders"), "{text}");

    // The upgraded folder has an extent, which also covers the events from before the upgrade.
    let journal = File::options().write(true).open(data.join("store/0.jnl")).unwrap();
    journal.set_len(200).unwrap();
    let refused = run(&["export"], data);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("store/0.jnl cannot be read from byte"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upgrade_continues_with_the_next_start() {
    let folder = golden("format-3");
    let data = folder.path();
    assert!(run(&["export"], data).status.success());
    // Simulates a power cut before FORMAT was replaced. EXTENT and the first numbered commit already exist.
    fs::write(data.join("FORMAT"), "orders data folder, format 3\n").unwrap();
    for _ in 0..2 {
        assert_eq!(exported(data).len(), 5);
        assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), FORMAT);
    }
}

/// The ids of the orders in the golden folder of format 4. Each key is a word that describes the order.
fn orders_of_format_4() -> Value {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/folders/format-4.json");
    serde_json::from_slice(&fs::read(golden).unwrap()).unwrap()
}

/// All orders in the list, sorted.
async fn listed(service: &Service, query: &str) -> Vec<String> {
    let (status, list) = service.get(&format!("/v1/orders?limit=200&{query}")).await;
    assert_eq!((status.as_u16(), &list["next_cursor"]), (200, &Value::Null), "{query}: {list}");
    let id = |order: &Value| order["order_id"].as_str().unwrap().to_owned();
    let mut ids: Vec<_> = list["items"].as_array().unwrap().iter().map(id).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_format_4_is_upgraded_with_everything_in_it() {
    let folder = golden("format-4");
    let data = folder.path();
    let ids = orders_of_format_4();
    let mut service = Service::start(data, &["--searchable-metadata", "channel"]);
    for (name, status) in [
        ("pending", "pending"),
        ("amended", "pending"),
        ("confirmed", "confirmed"),
        ("paid", "paid"),
        ("paid_less", "paid"),
        ("paid_more", "paid"),
        ("shipped", "shipped"),
        ("delivered", "delivered"),
        ("returned", "returned"),
        ("refunded", "refunded"),
        ("cancelled", "cancelled"),
        ("cancelled_paid", "cancelled"),
        ("cancelled_refunded", "refunded"),
        ("stuck", "confirmed"),
    ] {
        let (_, order) = service.get(&format!("/v1/orders/{}", ids[name].as_str().unwrap())).await;
        assert_eq!(order["status"], status, "{name}: {order}");
        assert_eq!(order["parked"], if name == "stuck" { 2 } else { 0 }, "{name}: {order}");
    }
    let only = |names: &[&str]| {
        let mut only: Vec<_> = names.iter().map(|name| ids[*name].as_str().unwrap().to_owned()).collect();
        only.sort();
        only
    };
    assert_eq!(listed(&service, "status=paid").await, only(&["paid", "paid_less", "paid_more"]));
    assert_eq!(listed(&service, "status=refunded").await, only(&["refunded", "cancelled_refunded"]));
    assert_eq!(listed(&service, "metadata.channel=shop").await, only(&["paid"]));
    assert_eq!(listed(&service, "metadata.channel=web").await, only(&["pending_with_metadata"]));
    // After the upgrade, the service records the events that were still on the queue.
    let queued: Vec<_> =
        ids["queued"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    eventually("the queued orders are recorded", async || {
        let found = listed(&service, "customer_id=customer-10").await;
        check(found == queued, found)
    })
    .await;
    let all = "updated_from=2026-01-01T00:00:00Z";
    assert_eq!((listed(&service, "").await.len(), listed(&service, all).await.len()), (23, 23));
    let (_, letters) = service.get("/v1/dead-letters").await;
    assert_eq!(letters["items"].as_array().unwrap().len(), 3, "{letters}");
    let (_, discarded) = service.get("/v1/dead-letters?state=discarded").await;
    assert_eq!(discarded["items"].as_array().unwrap().len(), 1, "{discarded}");
    assert!(service.terminate().success());

    assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), FORMAT);
    let check = run(&["rebuild", "--check"], data);
    let text = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
    assert!(check.status.success() && text.starts_with("58 events of 23 orders"), "{text}");
}

/// All events of the feed that pass the filter.
async fn feed_of(engine: &Embedded, filter: &FeedFilter) -> Vec<FeedEvent> {
    let (mut all, mut after) = (Vec::new(), engine.start(FeedStart::Oldest).await.unwrap());
    loop {
        let page = engine.read(filter, &after, 7).await.unwrap();
        all.extend(page.events);
        after = page.next;
        if page.is_last {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_format_5_is_upgraded_with_every_event_in_the_feed() {
    let folder = golden("format-5");
    let data = folder.path();
    let mut exported = exported(data);
    assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), FORMAT);
    let check = run(&["rebuild", "--check"], data);
    let text = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
    assert!(check.status.success() && text.starts_with("29 events of 7 orders"), "{text}");

    // Positions are assigned by the time of recording. Events with the same time are sorted by order id and version.
    exported.sort_by_key(|event| {
        let time = Timestamp::parse(event["recorded_at"].as_str().unwrap()).unwrap().micros();
        (time, event["data"]["order_id"].as_str().unwrap().to_owned(), event["version"].as_u64())
    });
    let engine = Embedded::open(data, Options { min_free_bytes: 0, ..Options::new(eur()) }).unwrap();
    let feed = feed_of(&engine, &FeedFilter::default()).await;
    let events: Vec<Value> =
        feed.iter().map(|it| serde_json::from_slice(&it.event.encode()).unwrap()).collect();
    assert_eq!(events, exported);
    let positions: Vec<u64> = feed.iter().map(|it| it.position.parse().unwrap()).collect();
    assert!(positions.into_iter().eq(1..=29));
    for (customer, expected) in [("mia", 18), ("tom", 8), ("eve", 3), ("nobody", 0)] {
        let customer_id = Some(CustomerId::parse(customer).unwrap());
        let found = feed_of(&engine, &FeedFilter { customer_id, ..FeedFilter::default() }).await;
        assert_eq!(found.len(), expected, "{customer}");
    }
    let types = [EventType::Created, EventType::Refunded].into();
    assert_eq!(feed_of(&engine, &FeedFilter { types, ..FeedFilter::default() }).await.len(), 8);
}

#[test]
fn an_upgrade_that_is_killed_at_any_step_continues_with_the_next_start() {
    // The steps of an upgrade: new keyspaces are created, FORMAT.new is written, FORMAT is replaced, and then the
    // indexes and the feed are filled.
    let steps: [fn(&Path) -> bool; 6] = [
        |data| data.join("store/keyspaces/13").exists(),
        |data| data.join("store/keyspaces/14").exists(),
        |data| data.join("store/keyspaces/16").exists(),
        |data| data.join("store/keyspaces/18").exists(),
        |data| data.join("FORMAT.new").exists(),
        |data| fs::read_to_string(data.join("FORMAT")).is_ok_and(|text| text == FORMAT),
    ];
    for format in ["format-3", "format-4", "format-5"] {
        let folder = golden(format);
        let data = folder.path();
        for is_reached in steps {
            let mut killed =
                orders(&["export"]).arg("--data").arg(data).stdout(Stdio::null()).spawn().unwrap();
            // The process may end before it reaches the step, so the loop also checks whether the process is running.
            while !is_reached(data) && killed.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
            let _ = killed.kill();
            killed.wait().unwrap();
        }
        let check = run(&["rebuild", "--check"], data);
        let text = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
        assert!(check.status.success(), "{format}: {text}");
        assert_eq!(fs::read_to_string(data.join("FORMAT")).unwrap(), FORMAT);
        for number in 0..=19 {
            let keyspace = data.join(format!("store/keyspaces/{number}"));
            assert!(keyspace.exists(), "{format}: keyspace {number} is missing");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_folder_is_readable_for_its_own_user_only() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("above").join("data");
    let mut service = Service::start(&data, &[]);
    service.accept("/v1/orders", &order("c-1")).await;
    assert!(service.terminate().success());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("store"))), (0o700, 0o700));
    for file in crate::damage::files(&data) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
