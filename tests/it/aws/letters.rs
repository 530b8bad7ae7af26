//! Dead letters on AWS: archived in S3, lined up in the table, alerted by SNS, and back again.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::operations::{DeadLetterStore, LetterFilter, Pipeline};
use api::ports::{EventPublisher, OrderReader};
use consumer::poll::{self, PollOptions};
use consumer::ports::{Alerts, Archive as _};
use consumer::{Consumer, DeadLetterRole};
use domain::{OrderId, ParkReason};
use infra::aws::{self, Archive, LetterStore, Numbers, QueuedDeadLetters};
use infra::sqs::Queue;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::emulator::proxy::{Proxy, throttled};
use crate::support::events::{confirmed, created, eur, new_order_id, paid};
use crate::support::flaky::{Flaky, Hasty};
use crate::support::service::{PATIENCE, Service};

/// A deployment with everything that dead letters need.
struct Deployment {
    backend: AwsBackend,
    bucket: String,
    topic: String,
    /// Gets what is published to the topic.
    pages: String,
}

impl Deployment {
    async fn open() -> Self {
        let options = QueueOptions { visibility_timeout: Duration::from_secs(3), ..QueueOptions::default() };
        let backend = AwsBackend::open(true, options).await;
        let name = format!("letters-{}", Uuid::now_v7().simple());
        Emulator::shared().create_bucket(&name).await;
        let (topic, pages) = Emulator::shared().create_topic(&name).await;
        Self { backend, bucket: name, topic, pages }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let more = [("DLQ_BUCKET", self.bucket.as_str()), ("ALERTS_TOPIC", &self.topic)];
        self.backend.variables().into_iter().chain(more).collect()
    }

    fn role(&self, role: &str, endpoint: &str) -> Command {
        let mut command = self.backend.role(role, endpoint);
        command.envs(self.variables());
        command
    }

    fn start_api(&self) -> Service {
        let mut command = self.role("api", &Emulator::shared().endpoint);
        command.env("ORDERS_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    }

    fn start_dead_letters(&self, endpoint: &str) -> Service {
        Service::spawn_until(self.role("dead-letters", endpoint), "\"archiving\"").0
    }

    async fn send(&self, group: &OrderId, body: &str) {
        self.backend.send(group.as_str(), &Uuid::now_v7().to_string(), body).await;
    }

    /// The alerts so far, of which the emulator's SNS puts an envelope around each.
    async fn alerts(&self) -> Vec<Value> {
        let look = json!({ "QueueUrl": self.pages, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0 });
        let mut answer = Emulator::shared().sqs("ReceiveMessage", &look).await;
        let Value::Array(messages) = answer["Messages"].take() else { return Vec::new() };
        messages.iter().map(|it| serde_json::from_str(it["Body"].as_str().unwrap()).unwrap()).collect()
    }

    async fn letter_store(&self) -> LetterStore {
        let sdk = aws::config_at(&Emulator::shared().endpoint).await;
        LetterStore {
            bucket: aws::bucket(&sdk, &self.bucket),
            table: (*self.backend.table).clone(),
            queue: (*self.backend.queue).clone(),
            default_currency: eur(),
        }
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

/// A payment that cannot be read, but whose order can be told.
fn broken_payment(id: &OrderId) -> String {
    let whole = String::from_utf8(paid(id).encode()).unwrap();
    whole[..whole.len() - 3].to_owned()
}

fn shipped(id: &OrderId) -> String {
    json!({ "event_id": Uuid::now_v7(), "type": "order_shipped", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
            "correlation_id": "r", "data": { "order_id": id, "carrier": "DHL", "tracking_number": "1" } })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_orders_go_on_the_failing_group_keeps_its_order_and_poison_is_archived_with_one_alert() {
    let deployment = Deployment::open().await;
    let backend = &deployment.backend;
    let (healthy, flaky, poisoned) = (new_order_id(), new_order_id(), new_order_id());
    let batch = [created(&flaky), created(&healthy), confirmed(&flaky), paid(&flaky), confirmed(&healthy)];
    backend.queue.publish(&batch).await.into_iter().for_each(|it| it.unwrap());
    deployment.send(&poisoned, "{ not an event").await;
    let unknown = json!({ "type": "order_teleported", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
                          "data": { "order_id": poisoned } });
    deployment.send(&poisoned, &unknown.to_string()).await;

    let (inbox, dead_letter_queue) = handled(&deployment, &flaky).await;
    assert_eq!((backend.history(&healthy).await.len(), backend.history(&flaky).await.len()), (2, 3));
    assert_eq!(inbox.delays.lock().unwrap().keys().collect::<Vec<_>>(), [flaky.as_str()]);
    let mut told = archived(&deployment).await;
    told.sort();
    let expected = [("malformed", "{ not an event".to_owned()), ("unknown_type", unknown.to_string())];
    assert_eq!(told, expected.map(|(reason, body)| (reason.to_owned(), body)));
    let alerts = deployment.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("one alert, not {alerts:#?}") };
    assert_eq!(alert["Subject"], "orders: 2 messages dead: 1 malformed, 1 unknown_type");
    assert!(alert["Message"].as_str().unwrap().contains("orders dlq list"), "{alert}");

    let numbers = Numbers {
        queue: (*backend.queue).clone(),
        dead_letters: Some(dead_letter_queue),
        table: (*backend.table).clone(),
    };
    let numbers = numbers.numbers().await.unwrap();
    let ledger = domain::Ledger { accepted: 7, recorded: 5, parked: 2, ..domain::Ledger::default() };
    assert_eq!((numbers.ledger, numbers.balanced(), numbers.dead_letters), (ledger, true, 2));
    looked_into_on_a_laptop(&deployment).await;
}

/// The archive, loaded into a data folder.
async fn looked_into_on_a_laptop(deployment: &Deployment) {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().join("data");
    let source = format!("s3://{}/failed", deployment.bucket);
    let import = || {
        let mut command = super::at(&Emulator::shared().endpoint, &["dlq", "import", &source, "--data"]);
        let output = command.arg(&data).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(import().trim(), "2 added, 0 repaired, 0 there already");
    assert_eq!(import().trim(), "0 added, 0 repaired, 2 there already");
    let service = Service::start(&data, &[]);
    let (_, page) = service.get("/v1/dead-letters?reason=unknown_type").await;
    assert_eq!(page["items"][0]["origin"], deployment.backend.queues.url, "{page}");
}

/// Has everything handled by a consumer whose store fails twice for one order, and then all dead letters archived, in one
/// batch. Gives what the consumer received by, and the queue of dead letters.
async fn handled(deployment: &Deployment, flaky: &OrderId) -> (Arc<Hasty>, Queue) {
    let backend = &deployment.backend;
    let sdk = aws::config_at(&Emulator::shared().endpoint).await;
    let dead_letter_queue = aws::queue(&sdk, &backend.queues.dead_letters_url);
    let consumer = Consumer {
        log: Flaky::new(backend.table.clone(), flaky, 2),
        dead_letters: Arc::new(QueuedDeadLetters {
            queue: dead_letter_queue.clone(),
            table: (*backend.table).clone(),
            origin: backend.queues.url.clone(),
            inbox: Some(backend.queue.clone()),
        }),
        clock: infra::now,
        default_currency: eur(),
        max_receives: Some(5),
        tally: Some(backend.table.clone()),
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::from_secs(1) };
    let inbox = Hasty::new(backend.queue.clone());
    let polling = tokio::spawn(poll::run(inbox.clone(), Arc::new(consumer), options, stopped.clone()));
    backend.drained(PATIENCE).await;
    // Both are on the queue of dead letters before somebody looks: so they are one batch.
    let table = (*backend.table).clone();
    let bucket = aws::bucket(&sdk, &deployment.bucket);
    let role = DeadLetterRole {
        archive: Arc::new(Archive { bucket, table, default_currency: eur() }),
        alerts: Arc::new(aws::topic(&sdk, &deployment.topic)),
        clock: infra::now,
        origin: backend.queues.url.clone(),
    };
    let archiving =
        tokio::spawn(poll::run(Arc::new(dead_letter_queue.clone()), Arc::new(role), options, stopped));
    until("they are not archived", async || {
        Emulator::shared().object_keys(&deployment.bucket).await.len() == 2
    })
    .await;
    until("nobody was told", async || !deployment.alerts().await.is_empty()).await;
    until("they stay", async || {
        let depth = Emulator::shared().queue_depth(&backend.queues.dead_letters_url).await;
        depth.visible + depth.in_flight == 0
    })
    .await;
    stop.send_replace(true);
    polling.await.unwrap();
    archiving.await.unwrap();
    (inbox, dead_letter_queue)
}

/// The reasons and bodies in the archive, each of which is where it has to be.
async fn archived(deployment: &Deployment) -> Vec<(String, String)> {
    let origin = &deployment.backend.queues.url;
    let mut told = Vec::new();
    for key in Emulator::shared().object_keys(&deployment.bucket).await {
        let letter = Emulator::shared().object(&deployment.bucket, &key).await;
        let date = day(letter["sent_at"].as_str().unwrap());
        assert_eq!(key, format!("failed/{date}/{}.json", letter["id"].as_str().unwrap()));
        assert_eq!((&letter["origin"], &letter["receive_count"]), (&json!(origin), &json!(1)));
        assert!(letter["first_received_at"].is_string() && letter["parked_at"].is_string(), "{letter}");
        told.push((
            letter["reason"].as_str().unwrap().to_owned(),
            letter["body"].as_str().unwrap().to_owned(),
        ));
    }
    told
}

fn day(time: &str) -> String {
    time[..10].replace('-', "/")
}

/// The line of an order whose payment is poisoned, in the state that the API shows.
async fn line_of(api: &Service, id: &OrderId) -> Vec<Value> {
    let (_, page) = api.get(&format!("/v1/dead-letters?order_id={id}")).await;
    let mut items = page["items"].as_array().cloned().unwrap_or_default();
    items.reverse();
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_waits_for_a_poisoned_payment_until_it_is_repaired_in_containers() {
    let deployment = Deployment::open().await;
    let endpoint = &Emulator::shared().endpoint;
    let (api, _consumer) = (
        deployment.start_api(),
        Service::spawn_until(deployment.role("consumer", endpoint), "\"consuming\"").0,
    );
    let dead_letters = deployment.start_dead_letters(endpoint);
    repaired_in_the_end(&deployment, &api).await;

    // The role that is killed in the middle, and one that cannot reach S3 or SNS, lose nothing.
    drop(dead_letters);
    let proxy = Proxy::start(endpoint, 7, &[throttled("s3", 1.0)]);
    let _dead_letters = deployment.start_dead_letters(&proxy.endpoint);
    let id = new_order_id();
    deployment.send(&id, "noise").await;
    until("nothing failed", async || !proxy.faults().await.is_empty()).await;
    proxy.set_rules(&[throttled("sns", 1.0)]).await;
    until("the alert did not fail", async || {
        proxy.faults().await.iter().any(|fault| fault["service"] == "sns")
    })
    .await;
    let alerts = deployment.alerts().await.len();
    proxy.set_rules(&[]).await;
    let start = Instant::now();
    while deployment.alerts().await.len() == alerts {
        assert!(start.elapsed() < Duration::from_secs(120), "nobody was told");
        tokio::task::yield_now().await;
    }
    let (_, page) = api.get("/v1/dead-letters").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "archived once: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_waits_for_a_poisoned_payment_until_it_is_repaired_with_functions() {
    let deployment = Deployment::open().await;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_orders"));
    let deploy = async |role| {
        let environment = [&deployment.variables()[..], &[("ORDERS_INSECURE_NO_AUTH", "true")]].concat();
        Function::deploy(Emulator::shared(), program, role, &environment).await
    };
    deploy("consumer").await.consume(&deployment.backend.queues.arn, 10).await;
    let dead_letters_arn = Emulator::shared().queue_arn(&deployment.backend.queues.dead_letters_url).await;
    deploy("dead-letters").await.consume(&dead_letters_arn, 10).await;
    repaired_in_the_end(&deployment, &deployment.start_api()).await;
}

async fn repaired_in_the_end(deployment: &Deployment, api: &Service) {
    let (backend, id) = (&deployment.backend, new_order_id());
    backend.queue.publish(&[created(&id), confirmed(&id)]).await.into_iter().for_each(|it| it.unwrap());
    deployment.send(&id, &broken_payment(&id)).await;
    let shipment = shipped(&id);
    deployment.send(&id, &shipment).await;
    until("they are not archived", async || line_of(api, &id).await.len() == 2).await;
    let line = line_of(api, &id).await;
    let reasons: Vec<_> = line.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["malformed", "behind_parked"]);
    let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["status"], &order["parked"]), (&json!("confirmed"), &json!(2)));
    let event_id = serde_json::from_str::<Value>(&shipment).unwrap()["event_id"].as_str().unwrap().to_owned();
    let receipt = format!("/v1/orders/{id}/events/{event_id}");
    assert_eq!(api.get(&receipt).await.1["state"], "parked");

    let dry = json!({ "order_id": id, "dry_run": true });
    let post = async |path: &str, body: &Value| {
        let answer = api.ask(reqwest::Method::POST, path, &[], Some(body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let results = |body: &Value| {
        let items = body["items"].as_array().unwrap().iter();
        items.map(|it| it["result"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let redrive = "/v1/dead-letters/redrive";
    assert_eq!(results(&post(redrive, &dry).await), ["unreadable", "behind"]);
    let repair = format!("/v1/dead-letters/{}/repair", line[0]["id"].as_str().unwrap());
    post(&repair, &json!({ "body": String::from_utf8(paid(&id).encode()).unwrap() })).await;
    assert_eq!(results(&post(redrive, &dry).await), ["would_record", "would_record"]);
    assert_eq!(results(&post(redrive, &json!({ "order_id": id })).await), ["sent", "sent"]);
    // Twice, as after an interruption.
    post(redrive, &json!({ "order_id": id })).await;
    until("they stay", async || line_of(api, &id).await.is_empty()).await;
    let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["status"], &order["parked"]), (&json!("shipped"), &json!(0)));
    assert_eq!(api.get(&receipt).await.1["state"], "recorded");
    assert_eq!(backend.history(&id).await.len(), 4, "each once");
    backend.drained(PATIENCE).await;
    until("the ledger does not add up", async || {
        let ledger = api.get("/v1/pipeline").await.1["ledger"].clone();
        let expected = json!({ "accepted": 4, "recorded": 4, "rejected": 0, "discarded": 0, "duplicate": 0, "parked": 0,
                               "in_flight": 0, "balanced": true });
        ledger == expected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_event_is_rejected_for_the_reason_given_and_a_letter_without_anything_is_kept() {
    let deployment = Deployment::open().await;
    let store = deployment.letter_store().await;
    let archive =
        Archive { bucket: store.bucket.clone(), table: store.table.clone(), default_currency: eur() };
    let at = infra::now();
    let id = new_order_id();
    let payment = paid(&id);
    let letter =
        domain::DeadLetter::new("m-1", payment.encode(), ParkReason::TriesExhausted, "late".to_owned(), at);
    let bytes =
        domain::DeadLetter::new("m-2", vec![0xff, 0x00, b'"'], ParkReason::Malformed, String::new(), at);
    for _ in 0..2 {
        archive.keep(&letter).await.unwrap();
        archive.keep(&bytes).await.unwrap();
    }
    let all = store.letters(&LetterFilter::default(), None, 10).await.unwrap().letters;
    assert_eq!(all.len(), 2, "each once");
    assert_eq!(store.letter("m-2").await.unwrap().unwrap().body.0, [0xff, 0x00, b'"']);

    let discard = domain::dead_letter::Discard { reason: "paid twice".to_owned(), at, by: None };
    store.discard("m-1", discard.clone()).await.unwrap();
    let receipt = deployment.backend.table.receipt(&id, payment.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.reason(), Some(("discarded", "paid twice")));
    assert_eq!(store.letter("m-1").await.unwrap().unwrap().discarded, Some(discard));
    // It comes again, and stays discarded.
    archive.keep(&letter).await.unwrap();
    assert!(store.line(&id).await.unwrap().is_empty());
    let _: &dyn Alerts = &aws::topic(&aws::config_at(&Emulator::shared().endpoint).await, &deployment.topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_broke_off_is_finished_when_it_is_made_again() {
    let deployment = Deployment::open().await;
    let store = deployment.letter_store().await;
    let (bucket, table) = (store.bucket.clone(), store.table.clone());
    let archive = Archive { bucket, table, default_currency: eur() };
    let noise = b"noise".to_vec();
    let letter =
        domain::DeadLetter::new("m-3", noise, ParkReason::Malformed, "noise".to_owned(), infra::now());
    archive.keep(&letter).await.unwrap();
    let id = new_order_id();
    let body = paid(&id).encode();
    store.repair("m-3", body.clone()).await.unwrap();

    // As a crash right after the index was written would leave it.
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let cut = json!({ "TableName": deployment.backend.table_name, "Key": key, "UpdateExpression": "REMOVE parked" });
    Emulator::shared().dynamodb("UpdateItem", &cut).await;
    assert!(store.line(&id).await.unwrap().is_empty());
    store.repair("m-3", body).await.unwrap();
    let line = store.line(&id).await.unwrap();
    assert_eq!(line.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["m-3"]);
}
