//! Tests `orders move`. A move from the embedded binary under load to AWS on the emulator is killed several
//! times. Further tests take a move back, and check the answers of a fenced service.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::aws::resources::{Resources, printed, run_and_kill};
use crate::dlq;
use crate::support::emulator::Emulator;
use crate::support::events::new_order_id;
use crate::support::eventually::{check, eventually, eventually_within};
use crate::support::recorded::exported;
use crate::support::service::{Api, Service, order};

const CLIENTS: usize = 4;
const NEW_ADDRESS: &str = "https://new.example";
/// How long a client waits before it repeats a request that was not accepted.
const RETRY: Duration = Duration::from_millis(20);
/// The pause of a client between two orders.
const PAUSE: Duration = Duration::from_millis(20);
const FLAGS: [&str; 2] = ["--default-currency", "EUR"];

fn moving(target: &Resources, service: &str, flags: &[&str]) -> Command {
    let mut command = target.command(&["move"]);
    command.args(["--url", service]).args(flags);
    command
}

#[track_caller]
fn moved(target: &Resources, service: &str, flags: &[&str], succeeds: bool) -> String {
    let output = moving(target, service, flags).output().unwrap();
    let text = printed(&output);
    assert_eq!(output.status.success(), succeeds, "{text}");
    text
}

/// Clients that repeat each request under its key until the request is accepted, on whichever side the
/// service runs.
struct Clients {
    url: Mutex<String>,
    stop: AtomicBool,
    /// The accepted requests: the key, the body and the receipt.
    accepted: Mutex<Vec<(String, Value, Value)>>,
    /// The answers of a fenced service.
    fenced: Mutex<Vec<Value>>,
}

impl Clients {
    async fn run(&self, client: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let key = Uuid::now_v7().to_string();
            let body = order(&format!("c-{client}"));
            let receipt = self.insist("/v1/orders", &key, &body).await;
            let path = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap());
            self.insist(&path, &format!("{key}-confirm"), &json!({ "type": "order_confirmed" })).await;
            self.accepted.lock().unwrap().push((key, body, receipt));
            // The load is steady and small, because every order is compared at the end.
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn insist(&self, path: &str, key: &str, body: &Value) -> Value {
        loop {
            let url = self.url.lock().unwrap().clone();
            let answer = Api::at(&url).ask(Method::POST, path, &[("idempotency-key", key)], Some(body)).await;
            match answer.status {
                200..300 => return answer.body,
                // The confirmation arrived before its order was recorded, or repeats a request that was
                // refused for that reason.
                404 | 409 => return answer.body,
                _ => {
                    answer.is_problem(503, "service-moved");
                    assert_eq!(answer.header("retry-after"), "10");
                    assert_eq!(answer.body["links"]["service"], NEW_ADDRESS, "{answer:?}");
                    self.fenced.lock().unwrap().push(answer.body);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Moves the service, and kills the move at five points. Returns the output of the last run.
async fn killed_on_the_way(target: &Resources, service: &Service, flags: &[&str]) -> String {
    let command = || moving(target, &service.url, flags);
    let is_fenced = async || service.get("/v1/fence").await.1["fenced"] == true;
    let mut killed = 0;
    killed += usize::from(run_and_kill(command(), async || target.marker().await.is_object()).await);
    killed += usize::from(
        run_and_kill(command(), async || target.marker().await["copied"].as_u64() > Some(100)).await,
    );
    killed += usize::from(run_and_kill(command(), is_fenced).await);
    killed += usize::from(run_and_kill(command(), async || target.marker().await["cut"].is_string()).await);
    killed += usize::from(
        run_and_kill(command(), async || {
            let scan = json!({ "TableName": target.backend.table_name, "FilterExpression": "begins_with(pk, :letter)",
                "ExpressionAttributeValues": { ":letter": { "S": "DEADLETTER#" } } });
            Emulator::shared().dynamodb("Scan", &scan).await["Count"].as_u64() > Some(0)
        })
        .await,
    );
    assert_eq!(killed, 5, "a run ended before it was killed");
    moved(target, &service.url, flags, true)
}

fn events(data: &Path) -> BTreeMap<(String, u64), Value> {
    let key = |event: &Value| {
        let order = event["data"]["order_id"].as_str().unwrap().to_owned();
        (order, event["version"].as_u64().unwrap())
    };
    exported(data).into_iter().map(|event| (key(&event), event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_moves_under_load_and_clients_that_repeat_get_their_first_answers() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let parked = new_order_id();
    drop(dlq::with_parked_sequence(&data, &parked).await);
    let mut service = Service::start(&data, &FLAGS);
    let letters = dlq::ids(&service);
    let target = Resources::open().await;
    let clients = Clients {
        url: Mutex::new(service.url.clone()),
        stop: AtomicBool::new(false),
        accepted: Mutex::default(),
        fenced: Mutex::default(),
    };
    let accepted = || clients.accepted.lock().unwrap().len();
    let operator = async {
        eventually("the service has some orders", async || check(accepted() > 200, accepted())).await;
        let flags = ["--to", "aws", "--address", NEW_ADDRESS];
        let text = killed_on_the_way(&target, &service, &flags).await;
        assert!(text.contains("moved: the new side may open"), "{text}");
        eventually("clients are refused", async || {
            let refused = clients.fenced.lock().unwrap().len();
            check(refused > 0, refused)
        })
        .await;
        let at_cut = accepted();
        let (api, consumer) =
            (target.start_api(), target.backend.start_consumer(&Emulator::shared().endpoint));
        clients.url.lock().unwrap().clone_from(&api.url);
        eventually("the new side has orders", async || check(accepted() > at_cut + 20, accepted())).await;
        clients.stop.store(true, Ordering::Relaxed);
        (api, consumer)
    };
    let (_, (api, consumer)) = join(join_all((0..CLIENTS).map(|client| clients.run(client))), operator).await;

    // Requests that are repeated across the cut-over get their first answers.
    let accepted = clients.accepted.into_inner().unwrap();
    for (key, body, first) in &accepted {
        let again = api.ask(Method::POST, "/v1/orders", &[("idempotency-key", key)], Some(body)).await;
        assert_eq!(again.body["order_id"], first["order_id"], "{again:?}");
        assert_eq!(again.body["event_id"], first["event_id"], "{again:?}");
    }
    target.backend.drained(Duration::from_secs(120)).await;
    eventually_within(Duration::from_secs(120), "every order is recorded once", async || {
        let found = target.exported();
        let orders: Vec<_> = found.keys().filter(|(_, version)| *version == 1).collect();
        check(orders.len() == accepted.len() + 1, orders.len())
    })
    .await;
    assert_eq!(dlq::ids(&api), letters);
    drop((api, consumer));

    // The source still refuses writes after a restart, and all of its data is on AWS.
    assert!(service.terminate().success());
    service = Service::start(&data, &FLAGS);
    let refused = service.ask(Method::POST, "/v1/orders", &[], Some(&order("c-1"))).await;
    refused.is_problem(503, "service-moved");
    assert_eq!(service.get(&format!("/v1/orders/{parked}")).await.1["parked"], 2);
    assert!(moved(&target, &service.url, &["--final"], true).contains("final"));
    let text = moved(&target, &service.url, &["--back"], false);
    assert!(text.contains("final"), "{text}");
    assert!(service.terminate().success());
    let (source, found) = (events(&data), target.exported());
    assert!(source.len() > 400, "{}", source.len());
    assert!(source.iter().all(|(key, event)| found.get(key) == Some(event)), "the table lacks events");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_taken_back_and_its_resources_are_void_after_the_cut() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let service = Service::start(&data, &FLAGS);
    service.outcome(&service.accept("/v1/orders", &order("c-1")).await).await;
    let target = Resources::open().await;

    // A move that was taken back before the cut can be continued.
    let follow = moving(&target, &service.url, &["--to", "aws", "--follow"]);
    run_and_kill(follow, async || target.marker().await["copied"].as_u64() > Some(0)).await;
    assert!(service.ask(Method::POST, "/v1/fence", &[], Some(&json!({}))).await.status == 200);
    service.ask(Method::POST, "/v1/orders", &[], Some(&order("c-1"))).await.is_problem(503, "service-moved");
    let text = moved(&target, &service.url, &["--back"], true);
    assert!(text.contains("the next `orders move --to aws` goes on"), "{text}");
    service.outcome(&service.accept("/v1/orders", &order("c-2")).await).await;
    moved(&target, &service.url, &["--to", "aws"], true);
    assert!(target.exported() == events_of(&service).await);

    // A move that was taken back after the cut leaves a table that cannot be used: the roles do not start on
    // it, and the next move needs other resources.
    let text = moved(&target, &service.url, &["--back"], true);
    assert!(text.contains("create new resources"), "{text}");
    service.outcome(&service.accept("/v1/orders", &order("c-3")).await).await;
    let printed = target.refused_role("api");
    assert!(printed.contains("is not complete"), "{printed}");
    let text = moved(&target, &service.url, &["--to", "aws"], false);
    assert!(text.contains("was taken back"), "{text}");
    let other = Resources::open().await;
    moved(&other, &service.url, &["--to", "aws"], true);
    assert!(other.exported() == events_of(&service).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_resources_with_data_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &FLAGS);
    service.outcome(&service.accept("/v1/orders", &order("c-1")).await).await;
    let target = Resources::open().await;
    let foreign = json!({ "TableName": target.backend.table_name,
        "Item": { "pk": { "S": "ORDER#o-1" }, "sk": { "S": "METADATA" } } });
    Emulator::shared().dynamodb("PutItem", &foreign).await;
    let text = moved(&target, &service.url, &["--to", "aws"], false);
    assert!(text.contains("is not empty: it contains the item ORDER#o-1 METADATA"), "{text}");
    assert_eq!(service.get("/v1/fence").await.1["fenced"], false);
    let text = moved(&target, &service.url, &["--final"], false);
    assert!(text.contains("is not empty"), "{text}");
    service.accept("/v1/orders", &order("c-1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_on_aws_is_named_and_no_role_starts_on_it() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &FLAGS);
    let receipt = service.outcome(&service.accept("/v1/orders", &order("c-1")).await).await;
    let target = Resources::open().await;
    let follow = moving(&target, &service.url, &["--to", "aws", "--follow"]);
    run_and_kill(follow, async || target.marker().await["copied"].as_u64() > Some(0)).await;

    let table = &target.backend.table_name;
    let pk = format!("ORDER#{}", receipt["order_id"].as_str().unwrap());
    let key = json!({ "pk": { "S": pk }, "sk": { "S": "EVENT#0000000001" } });
    let wanted = json!({ "TableName": table, "Key": key });
    let mut item = Emulator::shared().dynamodb("GetItem", &wanted).await["Item"].take();
    assert_eq!(item["customer_id"]["S"], "c-1");
    item["customer_id"]["S"] = "c-9".into();
    Emulator::shared().dynamodb("PutItem", &json!({ "TableName": table, "Item": item })).await;
    let text = moved(&target, &service.url, &["--to", "aws"], false);
    assert!(
        text.contains("position 1: version 1 of order") && text.contains("differs from the source"),
        "{text}"
    );
    assert_eq!(target.marker().await["done_at"], Value::Null);
    assert!(target.refused_role("consumer").contains("is not complete"));
}

/// The events of a running service, by order and version.
async fn events_of(service: &Service) -> BTreeMap<(String, u64), Value> {
    let output = crate::support::service::orders(&["export", "--url", &service.url]).output().unwrap();
    let lines = crate::support::recorded::exported_events(&output);
    let key = |event: &Value| {
        let order = event["data"]["order_id"].as_str().unwrap().to_owned();
        (order, event["version"].as_u64().unwrap())
    };
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).map(|event| (key(&event), event)).collect()
}
