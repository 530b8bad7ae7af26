//! The store of letters by itself: discarding, repairing, and keeping each once.

use std::time::Duration;

use api::operations::{Change, DeadLetterStore, LetterFilter};
use api::ports::OrderReader;
use consumer::ports::{Alerts, Archive as _, End, Inbox, Parking};
use domain::dead_letter::Discard;
use domain::{DeadLetter, LetterState, OrderId, ParkReason, Repair};
use infra::aws;
use serde_json::{Value, json};

use super::Deployment;
use crate::conformance::Backend;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::events::{new_order_id, paid};

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_event_is_rejected_for_the_reason_given_and_a_letter_without_anything_is_kept() {
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
    let all = store.letters(&LetterFilter::default(), None, 10).await.unwrap().letters;
    assert_eq!(all.len(), 2, "each once");
    assert_eq!(store.letter("m-2").await.unwrap().unwrap().body.0, [0xff, 0x00, b'"']);

    let discard = Discard { reason: "paid twice".to_owned(), at, by: None };
    store.discard("m-1", discard.clone()).await.unwrap();
    let receipt = deployment.backend.table.receipt(&id, payment.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.reason(), Some(("discarded", "paid twice")));
    assert_eq!(receipt.request_hash, payment.request_hash, "the same request again is told so");
    assert_eq!(store.letter("m-1").await.unwrap().unwrap().discarded, Some(discard));
    // It comes again, and stays discarded.
    archive.keep(&letter).await.unwrap();
    assert!(store.line(&id, 1000).await.unwrap().letters.is_empty());
    let _: &dyn Alerts = &aws::topic(&aws::config_at(&Emulator::shared().endpoint).await, &deployment.topic);
}

/// What the table has as the order's line, whether those letters are there or not.
async fn stored_line(backend: &AwsBackend, id: &OrderId) -> Value {
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let get = json!({ "TableName": backend.table_name, "Key": key, "ConsistentRead": true });
    Emulator::shared().dynamodb("GetItem", &get).await["Item"]["parked"]["L"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_none_any_more_holds_no_order() {
    let backend = Deployment::open().await.backend;
    let id = new_order_id();
    backend.send(id.as_str(), "1", "noise").await;
    let message = backend.queue.receive(1, Duration::from_secs(20)).await.unwrap().remove(0);
    let (reason, detail) = (ParkReason::Malformed, "noise".to_owned());
    let parking = Parking { message: &message, reason, detail, event: None, order_id: Some(id.clone()) };
    let park = async || backend.dead_letters().park(std::slice::from_ref(&parking)).await.remove(0);
    park().await.unwrap();
    assert_eq!(stored_line(&backend, &id).await, json!([{ "S": message.id }]));
    backend.archive().await;
    backend.dead_letters().release(&[(&message.id, End::Rejected)]).await.remove(0).unwrap();

    // Its message comes again, to a consumer that does not know. It is the same delivery, which is gone from the queue.
    assert!(park().await.unwrap_err().to_string().contains("still on its queue"));
    assert_eq!(stored_line(&backend, &id).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_that_broke_off_is_finished_when_it_is_made_again() {
    let deployment = Deployment::open().await;
    let (store, archive) = (&deployment.backend.letters, deployment.backend.archiving());
    let id = new_order_id();
    let letter =
        DeadLetter::new("m-4", paid(&id).encode(), ParkReason::TriesExhausted, String::new(), infra::now());
    archive.keep(&letter).await.unwrap();
    let discard = Discard { reason: "paid twice".to_owned(), at: infra::now(), by: None };
    store.discard("m-4", discard.clone()).await.unwrap();

    // As a crash right after the index was written would leave it.
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let line = json!({ ":line": { "L": [{ "S": "m-4" }] } });
    let cut = json!({ "TableName": deployment.backend.table_name, "Key": key, "UpdateExpression": "SET parked = :line",
                      "ExpressionAttributeValues": line });
    Emulator::shared().dynamodb("UpdateItem", &cut).await;
    assert_ne!(stored_line(&deployment.backend, &id).await, Value::Null);
    assert_eq!(store.discard("m-4", discard).await.unwrap(), Change::NotParked(LetterState::Discarded));
    assert_eq!(stored_line(&deployment.backend, &id).await, Value::Null);
}

fn by() -> Repair {
    Repair { at: infra::now(), by: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_broke_off_is_finished_when_it_is_made_again() {
    let deployment = Deployment::open().await;
    let (store, archive) = (&deployment.backend.letters, deployment.backend.archiving());
    let noise = b"noise".to_vec();
    let letter = DeadLetter::new("m-3", noise, ParkReason::Malformed, "noise".to_owned(), infra::now());
    archive.keep(&letter).await.unwrap();
    let id = new_order_id();
    let body = paid(&id).encode();
    store.repair("m-3", body.clone(), by()).await.unwrap();

    // As a crash right after the index was written would leave it.
    let key = json!({ "pk": { "S": format!("ORDER#{id}") }, "sk": { "S": "METADATA" } });
    let cut = json!({ "TableName": deployment.backend.table_name, "Key": key, "UpdateExpression": "REMOVE parked" });
    Emulator::shared().dynamodb("UpdateItem", &cut).await;
    assert!(store.line(&id, 1000).await.unwrap().letters.is_empty());
    store.repair("m-3", body, by()).await.unwrap();
    let line = store.line(&id, 1000).await.unwrap().letters;
    assert_eq!(line.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["m-3"]);
}
