//! Tests restores of backups to AWS, on the emulator.

use api::ports::OrderReader;
use domain::Reference;
use reqwest::Method;
use tempfile::TempDir;

use super::*;
use crate::aws::resources::{Resources, printed, run_and_kill};
use crate::dlq;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::{check, eventually};

fn body(event: &domain::Envelope) -> String {
    String::from_utf8(event.encode()).unwrap()
}

/// Imports events that the target already has. The ledger must not count them again.
fn import_again(target: &Resources, data: &Path, folder: &Path) {
    let lines = folder.join("lines");
    let events: Vec<_> = export(data).values().map(|event| format!("{event}\n")).collect();
    std::fs::write(&lines, events.concat()).unwrap();
    let imported = target.command(&["import", "--aws", "--partial"]).arg(&lines).output().unwrap();
    assert!(imported.status.success(), "{}", printed(&imported));
}

async fn until_queue_is_empty(target: &Resources) {
    eventually("the queue is empty", async || {
        let depth = Emulator::shared().queue_depth(&target.backend.queues.url).await;
        check(depth.visible + depth.in_flight == 0, depth)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_table_answers_as_the_folder() {
    let folder = TempDir::new().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let parked = new_order_id();
    drop(dlq::with_parked_sequence(&data, &parked).await);
    let flags = ["--webhooks-allow-private", "--default-currency", "EUR"];
    let mut service = Service::start(&data, &flags);
    let mut receipts = Vec::new();
    for _ in 0..4 {
        receipts.extend(place(&service, "c-1").await);
    }
    let webhook = json!({ "url": "http://127.0.0.1:9/none" });
    let webhook = service.ask(Method::POST, "/v1/webhooks", &[], Some(&webhook)).await.body;
    // No receiver accepts the events of this order, so its delivery is outstanding.
    let mut referenced = order("c-2");
    referenced["reference"] = "R-1".into();
    let key = [("idempotency-key", "checkout-1")];
    let keyed = service.ask(Method::POST, "/v1/orders", &key, Some(&referenced)).await.body;
    let keyed = service.outcome(&keyed).await;
    let letters = dlq::ids(&service);
    assert_eq!(letters.len(), 2);
    assert!(service.terminate().success());
    let queued = new_order_id();
    let messages = [created(&queued), confirmed(&queued), paid(&queued)];
    dlq::send(&data, messages.iter().map(|event| (&queued, body(event)))).await;
    back_up(&data, &backup);

    let target = Resources::open().await;
    let report = target.restore(&backup, &[]);
    assert_eq!(report["aws"]["queued"], 3, "{report}");
    assert_eq!(report["aws"]["dead_letters"], 2, "{report}");
    assert_eq!(report["aws"]["subscriptions"], 1, "{report}");
    assert_eq!(report["aws"]["held_orders"], 1, "{report}");
    assert_eq!(target.ledger().await, report["restored"]["ledger"], "{report}");
    assert!(target.exported() == export(&data));
    let again = printed(&target.restoring(&backup, folder.path(), &[]).output().unwrap());
    assert!(again.contains("there is nothing to do"), "{again}");

    let api = target.start_api();
    for receipt in receipts.iter().chain([&keyed]) {
        assert_eq!(api.get(receipt["links"]["self"].as_str().unwrap()).await.1, *receipt);
    }
    let repeated = api.ask(Method::POST, "/v1/orders", &key, Some(&referenced)).await;
    assert_eq!(repeated.header("idempotent-replayed"), "true");
    assert_eq!(repeated.body["order_id"], keyed["order_id"]);
    let found = target.backend.table.order_by_reference(&Reference::parse("R-1").unwrap()).await.unwrap();
    assert_eq!(found.unwrap().order.order_id.as_str(), text(&keyed["order_id"]));
    assert_eq!(dlq::ids(&api), letters);
    assert_eq!(api.get(&format!("/v1/orders/{parked}")).await.1["parked"], 2);

    import_again(&target, &data, folder.path());
    let consumer = target.backend.start_consumer(&Emulator::shared().endpoint);
    eventually("the queued events are recorded", async || {
        let (_, order) = api.get(&format!("/v1/orders/{queued}")).await;
        check(order["version"] == 3, order)
    })
    .await;
    until_queue_is_empty(&target).await;
    // The consumer counts messages before it acknowledges them.
    let recorded = |ledger: &Value| ledger["recorded"].as_u64().unwrap();
    assert_eq!(recorded(&target.ledger().await), recorded(&report["restored"]["ledger"]) + 3);
    drop(consumer);
    let subscription = target.subscription(&text(&webhook["id"])).await;
    assert!(subscription["subscription"]["S"].as_str().unwrap().contains("http://127.0.0.1:9/none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_moment_is_restored_and_messages_are_listed() {
    let folder = TempDir::new().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    filled(&data, 5).await;
    let queued = new_order_id();
    dlq::send(&data, [(&queued, body(&created(&queued)))]).await;
    back_up(&data, &backup);
    let target = Resources::open().await;
    let output =
        target.restoring(&backup, folder.path(), &["--until", "4", "--queue", "list"]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(target.exported().len(), 4);

    let target = Resources::open().await;
    let output = target.restoring(&backup, folder.path(), &["--queue", "list"]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["group"], queued.as_str());
    assert_eq!(Emulator::shared().queue_depth(&target.backend.queues.url).await.visible, 0);
    assert!(target.exported() == export(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_with_data_and_damaged_backups_are_refused_and_stay_as_they_are() {
    let folder = TempDir::new().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    filled(&data, 2).await;
    back_up(&data, &backup);
    let refused = |target: &Resources, source: &Path, expected: &str| {
        let output = target.restoring(source, folder.path(), &[]).output().unwrap();
        let text = printed(&output);
        assert!(!output.status.success() && text.contains(expected), "{text}");
    };
    let target = Resources::open().await;
    let other = crate::support::events::recorded(1, &[created(&new_order_id())]).remove(0);
    target.backend.table.append_without_projecting(&other).await.unwrap();
    refused(&target, &backup, "is not empty: it contains the item ORDER#");
    assert_eq!(target.exported().len(), 1);

    let target = Resources::open().await;
    let event = created(&new_order_id());
    assert!(api::ports::EventPublisher::publish(&*target.backend.queue, &[event]).await[0].is_ok());
    refused(&target, &backup, "the queue is not empty: it has 1 messages");
    assert_eq!(target.exported().len(), 0);

    let target = Resources::open().await;
    let segment = std::fs::read_dir(backup.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    refused(&target, &backup, "is damaged");
    assert_eq!(target.exported().len(), 0);
    drop(target.start_api());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_restore_is_completed_by_the_next_one_and_no_role_starts_before() {
    let folder = TempDir::new().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    drop(dlq::with_parked_sequence(&data, &new_order_id()).await);
    filled(&data, 120).await;
    let queued: Vec<_> = (0..200).map(|_| new_order_id()).collect();
    let bodies: Vec<_> = queued.iter().map(|id| (id, body(&created(id)))).collect();
    dlq::send(&data, bodies).await;
    back_up(&data, &backup);
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();

    let target = Resources::open().await;
    let restoring = || target.restoring(&backup, &scratch, &[]);
    let mut killed = 0;
    killed += u32::from(run_and_kill(restoring(), async || target.marker().await.is_object()).await);
    let ready = api::ports::Health::ready(&*target.backend.table).await.unwrap_err();
    assert!(ready.contains("is not done; run its command again"), "{ready}");
    let printed_by_role = target.refused_role("api");
    assert!(printed_by_role.contains("is not complete"), "{printed_by_role}");
    let is_copied = async || target.marker().await["copied"].as_u64() > Some(0);
    killed += u32::from(run_and_kill(restoring(), is_copied).await);
    killed += u32::from(run_and_kill(restoring(), async || target.marker().await["sent"].is_u64()).await);
    assert!(killed >= 2, "{killed} restores were killed in their work");
    let output = target.restoring(&backup, &scratch, &[]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(target.exported() == export(&data));
    let measured = Resources::open().await;
    measured.restore(&backup, &[]);
    assert_eq!(target.ledger().await, measured.ledger().await);
    let depth = Emulator::shared().queue_depth(&target.backend.queues.url).await.visible;
    assert_eq!(depth, queued.len() as u64, "messages are queued once");
}
