//! Restores of backups to AWS, on the emulator.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use api::operations::Pipeline;
use api::ports::OrderReader;
use domain::Reference;
use fastrand::Rng;
use infra::aws::{self, SqsPipeline};
use reqwest::Method;
use tempfile::TempDir;

use super::*;
use crate::aws::at;
use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::dlq;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::{check, eventually};

const KILLS: usize = 12;

/// Empty resources on AWS, with an outbound table.
struct Target {
    backend: AwsBackend,
    outbound: String,
}

impl Target {
    async fn open() -> Self {
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let outbound = format!("{}-outbound", backend.table_name);
        let sdk = aws::config_at(&Emulator::shared().endpoint).await;
        aws::outbound(&sdk, &outbound).create().await.unwrap();
        Self { backend, outbound }
    }

    /// A command with these resources in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = at(&Emulator::shared().endpoint, arguments);
        command
            .envs(self.backend.variables())
            .env("DLQ_BUCKET", &self.backend.table_name)
            .env("OUTBOUND_TABLE", &self.outbound)
            .env("ORDERS_DEFAULT_CURRENCY", "EUR");
        command
    }

    fn restoring(&self, source: &Path, scratch: &Path, flags: &[&str]) -> Command {
        let mut command = self.command(&["restore", "--aws"]);
        command.arg(source).arg("--scratch").arg(scratch).args(flags);
        command
    }

    /// Restores, and returns the report.
    fn restore(&self, source: &Path, flags: &[&str]) -> Value {
        let scratch = TempDir::new().unwrap();
        let output = self.restoring(source, scratch.path(), &[flags, &["--json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)))
    }

    fn start_api(&self) -> Service {
        let mut command = self.command(&["api"]);
        command.env("ORDERS_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    }

    async fn ledger(&self) -> Value {
        let (queue, table) = ((*self.backend.queue).clone(), (*self.backend.table).clone());
        let pipeline = SqsPipeline { queue, dead_letters: None, table };
        serde_json::to_value(pipeline.counters().await.unwrap().ledger).unwrap()
    }

    /// The item of a webhook subscription.
    async fn subscription(&self, id: &str) -> Value {
        let key = json!({ "pk": { "S": "WEBHOOKS" }, "sk": { "S": format!("SUBSCRIPTION#{id}") } });
        let wanted = json!({ "TableName": self.outbound, "Key": key });
        Emulator::shared().dynamodb("GetItem", &wanted).await["Item"].take()
    }

    /// The events in the table, by order and version.
    fn exported(&self) -> BTreeMap<(String, u64), Value> {
        let output = self.command(&["export", "--aws"]).output().unwrap();
        let lines = crate::support::recorded::exported_events(&output);
        let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key = |event: &Value| (text(&event["data"]["order_id"]), event["version"].as_u64().unwrap());
        events.map(|event| (key(&event), event)).collect()
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap()
}

fn body(event: &domain::Envelope) -> String {
    String::from_utf8(event.encode()).unwrap()
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
    // Nobody receives this order's events, so its delivery is outstanding.
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

    let target = Target::open().await;
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

    let consumer = target.backend.start_consumer(&Emulator::shared().endpoint);
    eventually("the queued events are recorded", async || {
        let (_, order) = api.get(&format!("/v1/orders/{queued}")).await;
        check(order["version"] == 3, order)
    })
    .await;
    drop(consumer);
    let ledger = target.ledger().await;
    assert_eq!(ledger["accepted"], report["restored"]["ledger"]["accepted"]);
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
    let target = Target::open().await;
    let output =
        target.restoring(&backup, folder.path(), &["--until", "4", "--queue", "list"]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(target.exported().len(), 4);

    let target = Target::open().await;
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
    let refused = |target: &Target, source: &Path, expected: &str| {
        let output = target.restoring(source, folder.path(), &[]).output().unwrap();
        let text = printed(&output);
        assert!(!output.status.success() && text.contains(expected), "{text}");
    };
    let target = Target::open().await;
    let other = crate::support::events::recorded(1, &[created(&new_order_id())]).remove(0);
    target.backend.table.append_without_projecting(&other).await.unwrap();
    refused(&target, &backup, "is not empty: it contains the item ORDER#");
    assert_eq!(target.exported().len(), 1);

    let target = Target::open().await;
    let event = created(&new_order_id());
    assert!(api::ports::EventPublisher::publish(&*target.backend.queue, &[event]).await[0].is_ok());
    refused(&target, &backup, "the queue is not empty: it has 1 messages");
    assert_eq!(target.exported().len(), 0);

    let target = Target::open().await;
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
    let queued: Vec<_> = (0..30).map(|_| new_order_id()).collect();
    let bodies: Vec<_> = queued.iter().map(|id| (id, body(&created(id)))).collect();
    dlq::send(&data, bodies).await;
    back_up(&data, &backup);
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();

    let measured = Target::open().await;
    let begin = Instant::now();
    measured.restore(&backup, &[]);
    let whole = begin.elapsed();
    let target = Target::open().await;
    let (mut rng, mut refused) = (Rng::with_seed(9), 0);
    for _ in 0..KILLS {
        let mut command = target.restoring(&backup, &scratch, &[]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(whole.mul_f64(rng.f64()));
        child.kill().unwrap();
        child.wait().unwrap();
        let Err(reason) = api::ports::Health::ready(&*target.backend.table).await else { continue };
        assert!(reason.contains("is not done; run its command again"), "{reason}");
        if refused == 0 {
            let mut api = target.command(&["api"]);
            let output = api.env("ORDERS_LISTEN", "127.0.0.1:0").output().unwrap();
            assert!(printed(&output).contains("is not complete"), "{}", printed(&output));
        }
        refused += 1;
    }
    assert!(refused > 0, "no restore was killed in its work");
    let output = target.restoring(&backup, &scratch, &[]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(target.exported() == export(&data));
    assert_eq!(target.ledger().await, measured.ledger().await);
    let depth = Emulator::shared().queue_depth(&target.backend.queues.url).await.visible;
    assert_eq!(depth, queued.len() as u64, "messages are queued once");
}
