//! Tests the operators' store of dead letters: discards, repairs, and that each dead letter is archived only once.

use std::time::Duration;

use api::operations::{DeadLetterChange, DeadLetterFilter, DeadLetterStore};
use api::ports::OrderReader;
use consumer::Disposition;
use consumer::ports::{Alerts, Archive as _, Inbox, ParkRequest};
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, OrderId, ParkReason, RejectReason, Repair};
use infra::aws;
use serde_json::{Value, json};

use super::Deployment;
use crate::conformance::Backend;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::events::{new_order_id, paid};

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_event_is_rejected_with_the_given_reason_and_binary_bodies_are_kept() {
    let deployment = Deployment::open().await;
    let (store, archive) = (&deployment.backend.letters, deployment.backend.archiving());
    let at = infra::now();
    let id = new_order_id();
    let payment = domain::Envelope { request_hash: Some("00".to_owned()), ..paid(&id) };
    let letter = DeadLetter::new("m-1", payment.encode(), ParkReason::TriesExhausted, "late".to_owned(), at);
    let bytes = DeadLetter::new("m-2", vec![0xff, 0x00, b'"'], ParkReason::Malformed, String::new(), at);
    for _ in 0..2 {
        archive.keep(&letter).await.unwrap();
        archive.keep(&bytes).await.unwrap();
    }
    let all = store.letters(&DeadLetterFilter::default(), None, 10).await.unwrap().letters;
    assert_eq!(all.len(), 2, "each once");
    assert_eq!(store.letter("m-2").await.unwrap().unwrap().body.0, [0xff, 0x00, b'"']);

    let discard = Discard { reason: "paid twice".to_owned(), at, by: None };
    store.discard("m-1", discard.clone()).await.unwrap();
    let receipt = deployment.backend.table.receipt(&id, payment.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.reason(), Some(("discarded", "paid twice")));
    assert_eq!(receipt.request_hash, payment.request_hash, "a replay of the request is recognised");
    assert_eq!(store.letter("m-1").await.unwrap().unwrap().discarded, Some(discard));
    // The message is delivered again, so its dead letter is archived again. The dead letter must stay discarded.
    archive.keep(&letter).await.unwrap();
    assert!(store.sequence(&id, 1000).await.unwrap().letters.is_empty());
    let sdk = aws::config_at(&Emulator::shared().endpoint).await;
    let _: &dyn Alerts = &aws::alert_topic(&sdk, &deployment.topic, "shop-eu".parse().unwrap());
}

/// The ids in the order's parked sequence, as the table stores them.
async fn stored_sequence(backend: &AwsBackend, id: &OrderId) -> Value {
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let get = json!({ "TableName": backend.table_name, "Key": key, "ConsistentRead": true });
    Emulator::shared().dynamodb("GetItem", &get).await["Item"]["parked"]["L"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_dead_letter_does_not_block_its_order_again() {
    let backend = Deployment::open().await.backend;
    let id = new_order_id();
    backend.send(id.as_str(), "1", "noise").await;
    let message = backend.queue.receive(1, Duration::from_secs(20)).await.unwrap().remove(0);
    let (reason, detail) = (ParkReason::Malformed, "noise".to_owned());
    let parking = ParkRequest { message: &message, reason, detail, event: None, order_id: Some(id.clone()) };
    let park = async || backend.dead_letters().park(std::slice::from_ref(&parking)).await.remove(0);
    park().await.unwrap();
    assert_eq!(stored_sequence(&backend, &id).await, json!([{ "S": message.id }]));
    backend.archive().await;
    let rejected = Disposition::Rejected(RejectReason::IllegalTransition, "not legal".to_owned());
    backend.dead_letters().release(&[(&message.id, &rejected)]).await.remove(0).unwrap();

    // Another consumer, which received the same message earlier, parks the message again. The message has
    // already left the queue.
    assert!(park().await.unwrap_err().to_string().contains("could not be deleted from its queue"));
    assert_eq!(stored_sequence(&backend, &id).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_a_discard_finishes_one_that_crashed() {
    let deployment = Deployment::open().await;
    let (store, archive) = (&deployment.backend.letters, deployment.backend.archiving());
    let id = new_order_id();
    let letter =
        DeadLetter::new("m-4", paid(&id).encode(), ParkReason::TriesExhausted, String::new(), infra::now());
    archive.keep(&letter).await.unwrap();
    let discard = Discard { reason: "paid twice".to_owned(), at: infra::now(), by: None };
    store.discard("m-4", discard.clone()).await.unwrap();

    // Simulates a crash directly after the write to the index: the order's parked sequence still contains the dead
    // letter.
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let line = json!({ ":line": { "L": [{ "S": "m-4" }] } });
    let cut = json!({ "TableName": deployment.backend.table_name, "Key": key, "UpdateExpression": "SET parked = :line",
                      "ExpressionAttributeValues": line });
    Emulator::shared().dynamodb("UpdateItem", &cut).await;
    assert_ne!(stored_sequence(&deployment.backend, &id).await, Value::Null);
    assert_eq!(
        store.discard("m-4", discard).await.unwrap(),
        DeadLetterChange::NotParked(DeadLetterState::Discarded)
    );
    assert_eq!(stored_sequence(&deployment.backend, &id).await, Value::Null);
}

fn by() -> Repair {
    Repair { at: infra::now(), by: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_a_repair_finishes_one_that_crashed() {
    let deployment = Deployment::open().await;
    let (store, archive) = (&deployment.backend.letters, deployment.backend.archiving());
    let noise = b"noise".to_vec();
    let letter = DeadLetter::new("m-3", noise, ParkReason::Malformed, "noise".to_owned(), infra::now());
    archive.keep(&letter).await.unwrap();
    let id = new_order_id();
    let body = paid(&id).encode();
    store.repair("m-3", body.clone(), by()).await.unwrap();

    // Simulates a crash directly after the write to the index: the order has no parked sequence yet.
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let cut = json!({ "TableName": deployment.backend.table_name, "Key": key, "UpdateExpression": "REMOVE parked" });
    Emulator::shared().dynamodb("UpdateItem", &cut).await;
    assert!(store.sequence(&id, 1000).await.unwrap().letters.is_empty());
    store.repair("m-3", body, by()).await.unwrap();
    let line = store.sequence(&id, 1000).await.unwrap().letters;
    assert_eq!(line.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["m-3"]);
}
