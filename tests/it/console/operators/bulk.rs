//! Tests the redrive of all dead letters of a reason, as after an outage.

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{amount, start_poisoned};
use crate::dlq::wait_for_parked;
use crate::support::browser::Page;
use crate::support::events::new_order_id;

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_of_a_reason_says_first_what_would_happen_to_how_many() {
    let folder = TempDir::new().unwrap();
    let ids = [(); 3].map(|()| new_order_id());
    let service = start_poisoned(&folder.path().join("data"), &ids).await;
    let page = Page::open(&format!("{}/console/dead-letters", service.url)).await;
    page.click("button >> Redrive all: invalid").await;
    page.sees("3 still cannot be read").await;
    page.sees("3 would stay, because an earlier event").await;
    assert_eq!(page.eval("document.querySelector('dialog button.primary').disabled").await, true);
    page.press("Escape").await;
    page.wait_for("the dialog is closed", "document.querySelector('dialog') === null").await;

    // Two of the three are repaired, as if the cause of an outage were gone.
    for id in &ids[1..] {
        let (_, list) = service.get(&format!("/v1/dead-letters?reason=invalid&order_id={id}")).await;
        let path = format!("/v1/dead-letters/{}", list["items"][0]["id"].as_str().unwrap());
        let (_, letter) = service.get(&path).await;
        let mut body: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
        body["data"]["amount"] = amount(id).into();
        let repair = json!({ "body": body.to_string() });
        let answer = service.ask(Method::POST, &format!("{path}/repair"), &[], Some(&repair)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    page.click("button >> Redrive all: invalid").await;
    page.sees("4 would be recorded").await;
    page.sees("1 still cannot be read").await;
    page.click("dialog button >> Send 4 back to the queue").await;
    page.sees("Finished: 4 of 4").await;
    page.click("dialog .buttons button >> Close").await;
    page.assert_faultless();
    for (id, parked) in ids.iter().zip([2, 0, 0]) {
        wait_for_parked(&service, id, parked).await;
    }
    let ledger = service.settled().await;
    assert_eq!((&ledger["recorded"], &ledger["parked"]), (&json!(10), &json!(2)), "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_by_reason_order_and_state() {
    let folder = TempDir::new().unwrap();
    let ids = [(); 2].map(|()| new_order_id());
    let service = start_poisoned(&folder.path().join("data"), &ids).await;
    let page = Page::open(&format!("{}/console/dead-letters", service.url)).await;
    page.wait_for("both sequences are shown", "document.querySelectorAll('.parked-sequence').length === 2")
        .await;
    assert_eq!(page.count(".sequence li").await, 4);
    page.fill("input >> Order id", ids[0].as_str()).await;
    page.press("Tab").await;
    page.wait_for("one sequence is shown", "document.querySelectorAll('.parked-sequence').length === 1")
        .await;
    page.sees(ids[0].as_str()).await;
    // The address names the filter, so that it can be sent to a colleague.
    let shared = Page::open(page.eval("location.href").await.as_str().unwrap()).await;
    shared
        .wait_for("one sequence is shown", "document.querySelectorAll('.parked-sequence').length === 1")
        .await;
    shared.go(&format!("{}/console/dead-letters?state=discarded", service.url)).await;
    shared.sees("No dead letters match").await;
    page.assert_faultless();
    shared.assert_faultless();
}
