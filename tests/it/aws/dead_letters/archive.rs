//! Tests messages that cannot be processed. They are archived with a reason and raise one alert, while other orders
//! proceed.

use std::sync::Arc;
use std::time::Duration;

use api::operations::Pipeline;
use api::ports::EventPublisher;
use consumer::poll::{self, PollOptions};
use consumer::{Consumer, DeadLetterRole};
use domain::OrderId;
use infra::aws::{self, SqsDeadLetters, SqsPipeline};
use infra::sqs::Queue;
use serde_json::json;
use tokio::sync::watch;

use super::{Deployment, until};
use crate::aws::at;
use crate::support::consumers::consumer_of;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::PATIENCE;
use crate::support::flaky::{Flaky, Hasty};
use crate::support::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_archived_with_one_alert_while_other_orders_proceed_in_order() {
    let deployment = Deployment::open().await;
    let backend = &deployment.backend;
    let (healthy, flaky, poisoned) = (new_order_id(), new_order_id(), new_order_id());
    let batch = [created(&flaky), created(&healthy), confirmed(&flaky), paid(&flaky), confirmed(&healthy)];
    backend.queue.publish(&batch).await.into_iter().for_each(|it| {
        it.unwrap();
    });
    deployment.send(&poisoned, "{ not an event").await;
    let unknown = json!({ "type": "order_teleported", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
                          "data": { "order_id": poisoned } });
    deployment.send(&poisoned, &unknown.to_string()).await;

    let (inbox, dead_letter_queue) = handled(&deployment, &flaky).await;
    assert_eq!((backend.history(&healthy).await.len(), backend.history(&flaky).await.len()), (2, 3));
    assert_eq!(inbox.delays.lock().unwrap().keys().collect::<Vec<_>>(), [flaky.as_str()]);
    let mut archived = archived(&deployment).await;
    archived.sort();
    let expected = [("malformed", "{ not an event".to_owned()), ("unknown_type", unknown.to_string())];
    assert_eq!(archived, expected.map(|(reason, body)| (reason.to_owned(), body)));
    let alerts = deployment.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("exactly one alert was expected, not {alerts:#?}") };
    assert_eq!(alert["Subject"], "orders [shop-eu]: 2 messages dead: 1 malformed, 1 unknown_type");
    assert!(alert["Message"].as_str().unwrap().contains("orders dlq list"), "{alert}");

    let pipeline = SqsPipeline {
        queue: (*backend.queue).clone(),
        dead_letters: Some(dead_letter_queue),
        table: (*backend.table).clone(),
    };
    let counters = pipeline.counters().await.unwrap();
    let ledger = domain::Ledger { accepted: 7, recorded: 5, parked: 2, ..domain::Ledger::default() };
    assert_eq!((counters.ledger, counters.balanced(), counters.dead_letters), (ledger, None, 2));
    import_into_a_data_folder(&deployment).await;
}

/// Imports the archive into a data folder, twice.
async fn import_into_a_data_folder(deployment: &Deployment) {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().join("data");
    let source = format!("s3://{}/failed", deployment.bucket);
    let import = || {
        let mut command = at(&Emulator::shared().endpoint, &["dlq", "import", &source, "--data"]);
        let output = command.arg(&data).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(import().trim(), "2 added, 0 repaired, 0 already there");
    assert_eq!(import().trim(), "0 added, 0 repaired, 2 already there");
    let service = Service::start(&data, &[]);
    let (_, page) = service.get("/v1/dead-letters?reason=unknown_type").await;
    assert_eq!(page["items"][0]["origin"], deployment.backend.queues.url, "{page}");
}

/// Runs a consumer whose store fails twice for one order. Then archives all dead letters in one batch. Returns the
/// consumer's inbox and the dead-letter queue.
async fn handled(deployment: &Deployment, flaky: &OrderId) -> (Arc<Hasty>, Queue) {
    let backend = &deployment.backend;
    let sdk = aws::config_at(&Emulator::shared().endpoint).await;
    let dead_letter_queue = aws::queue(&sdk, &backend.queues.dead_letters_url);
    let consumer = Consumer {
        max_receives: Some(5),
        ledger: Some(backend.table.clone()),
        ..consumer_of(
            Flaky::new(backend.table.clone(), flaky, 2),
            Arc::new(SqsDeadLetters {
                queue: dead_letter_queue.clone(),
                table: (*backend.table).clone(),
                origin: backend.queues.url.clone(),
                inbox: Some(backend.queue.clone()),
            }),
        )
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::from_secs(1) };
    let inbox = Hasty::new(backend.queue.clone());
    let polling = tokio::spawn(poll::run(inbox.clone(), Arc::new(consumer), options, stopped.clone()));
    backend.drained(PATIENCE).await;
    // Both messages are on the dead-letter queue before the archiver starts, so the archiver receives them in one
    // batch.
    let role = DeadLetterRole {
        archive: Arc::new(backend.archiving()),
        alerts: Arc::new(aws::alert_topic(&sdk, &deployment.topic, "shop-eu".parse().unwrap())),
        clock: infra::now,
        origin: backend.queues.url.clone(),
    };
    let archiving =
        tokio::spawn(poll::run(Arc::new(dead_letter_queue.clone()), Arc::new(role), options, stopped));
    until("both are archived", async || Emulator::shared().object_keys(&deployment.bucket).await.len() == 2)
        .await;
    until("an alert is published", async || !deployment.alerts().await.is_empty()).await;
    until("the dead-letter queue is empty", async || {
        let depth = Emulator::shared().queue_depth(&backend.queues.dead_letters_url).await;
        depth.visible + depth.in_flight == 0
    })
    .await;
    stop.send_replace(true);
    polling.await.unwrap();
    archiving.await.unwrap();
    (inbox, dead_letter_queue)
}

/// The reason and the body of each dead letter in the archive. Also checks the keys of the archive's objects.
async fn archived(deployment: &Deployment) -> Vec<(String, String)> {
    let origin = &deployment.backend.queues.url;
    let mut archived = Vec::new();
    for key in Emulator::shared().object_keys(&deployment.bucket).await {
        let letter = Emulator::shared().object(&deployment.bucket, &key).await;
        let date = day(letter["sent_at"].as_str().unwrap());
        assert_eq!(key, format!("failed/{date}/{}.json", letter["id"].as_str().unwrap()));
        assert_eq!((&letter["origin"], &letter["receive_count"]), (&json!(origin), &json!(1)));
        assert!(letter["first_received_at"].is_string() && letter["parked_at"].is_string(), "{letter}");
        archived.push((
            letter["reason"].as_str().unwrap().to_owned(),
            letter["body"].as_str().unwrap().to_owned(),
        ));
    }
    archived
}

fn day(time: &str) -> String {
    time[..10].replace('-', "/")
}
