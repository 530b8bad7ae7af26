//! Tests repairs and discards of dead letters on a disk whose syncs fail. The outcome of the unfinished change is
//! unknown, and every change with an answer survives.

use std::path::Path;

use domain::OrderId;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::strace::Traced;
use super::survivors::folder;
use crate::dlq::{ids, send};
use crate::support::events::new_order_id;
use crate::support::eventually::{check, eventually};
use crate::support::service::{Answer, Service};

/// The number of dead letters. It exceeds the number of syncs before the first failing sync.
const LETTERS: usize = 60;
/// Makes the 40th sync of each thread fail, and all later syncs of the thread. The start of the service uses some of
/// the earlier syncs.
const FAILING: &str = "fdatasync:error=EIO:when=40+";

/// A data folder with `LETTERS` dead letters, each of a different order. Returns their ids.
async fn dead_letters(data: &Path) -> Vec<String> {
    let orders: Vec<OrderId> = (0..LETTERS).map(|_| new_order_id()).collect();
    send(data, orders.iter().map(|id| (id, format!(r#"{{"data":{{"order_id":"{id}"}}"#)))).await;
    let mut service = Service::start(data, &[]);
    let all_parked = async || {
        let (_, pipeline) = service.get("/v1/pipeline").await;
        check(pipeline["dead_letters"] == LETTERS, pipeline)
    };
    eventually("all messages are parked", all_parked).await;
    let ids = ids(&service);
    assert!(service.terminate().success());
    ids
}

/// Sends changes one after the other, until an answer has a status other than 200. Returns the number of successful
/// changes, and the last answer.
async fn change_until_refused(
    service: &Service,
    changes: impl Iterator<Item = (String, Value)>,
) -> (usize, Answer) {
    for (count, (path, body)) in changes.enumerate() {
        let answer = service.ask(Method::POST, &path, &[], Some(&body)).await;
        if answer.status != 200 {
            return (count, answer);
        }
    }
    panic!("no sync failed");
}

/// Asserts that the answer reports an unknown outcome and links to the dead letter, and that the service fails.
fn assert_outcome_unknown(run: &mut Traced, answer: &Answer, id: &str) {
    answer.is_problem(503, "outcome-unknown");
    assert_eq!(answer.body["links"]["dead_letter"], format!("/v1/dead-letters/{id}"), "{answer:?}");
    assert_eq!(run.service.wait().code(), Some(1));
    let log = run.service.rest_of_log();
    assert!(log.contains("can no longer be written: Input/output error"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_repair_whose_sync_fails_is_unknown() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let id = dead_letters(&data).await.remove(0);
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &[FAILING]);
    let repair = |number: usize| {
        (format!("/v1/dead-letters/{id}/repair"), json!({ "body": format!("repair {number}") }))
    };
    let (count, answer) = change_until_refused(&run.service, (0..LETTERS).map(repair)).await;
    assert!(count > 0, "{answer:?}");
    assert_outcome_unknown(&mut run, &answer, &id);

    let service = Service::start(&data, &[]);
    let (_, letter) = service.get(&format!("/v1/dead-letters/{id}")).await;
    // A dead letter lists only some repairs, so the test checks the body instead. The body is that of the
    // last answered repair, or of the repair after it.
    let possible = [format!("repair {}", count - 1), format!("repair {count}")];
    assert!(possible.iter().any(|body| letter["body"] == **body), "{count}: {letter}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_discard_whose_sync_fails_is_unknown() {
    let (root, log) = (folder(), TempDir::new().unwrap());
    let data = root.path().join("data");
    let ids = dead_letters(&data).await;
    let mut run = Traced::start(&data, &log.path().join("trace"), &[], &[FAILING]);
    let discard = |id: &String| (format!("/v1/dead-letters/{id}/discard"), json!({ "reason": "a test" }));
    let (count, answer) = change_until_refused(&run.service, ids.iter().map(discard)).await;
    assert!(count > 0, "{answer:?}");
    assert_outcome_unknown(&mut run, &answer, &ids[count]);

    let service = Service::start(&data, &[]);
    let mut discarded = 0;
    for (place, id) in ids.iter().enumerate() {
        let (_, letter) = service.get(&format!("/v1/dead-letters/{id}")).await;
        let expected = if place < count { "discarded" } else { "parked" };
        assert!(place == count || letter["state"] == expected, "{count}, {place}: {letter}");
        discarded += usize::from(letter["state"] == "discarded");
    }
    let ledger = service.get("/v1/pipeline").await.1["ledger"].clone();
    assert_eq!((&ledger["discarded"], &ledger["balanced"]), (&json!(discarded), &json!(true)), "{ledger}");
}
