//! Tests the pages of dead letters, from the alarm to the repaired order.

use serde_json::json;
use tempfile::TempDir;

use super::{amount, assert_usable, start_poisoned};
use crate::dlq::wait_for_parked;
use crate::support::browser::Page;
use crate::support::events::new_order_id;
use crate::support::service::Service;

/// The id of the dead letter at the head of the only parked sequence.
async fn head(service: &Service) -> String {
    let (_, list) = service.get("/v1/dead-letters?reason=invalid").await;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn assert_shipped(service: &Service, id: &domain::OrderId) {
    wait_for_parked(service, id, 0).await;
    let (_, order) = service.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["status"], &order["version"]), (&json!("shipped"), &json!(4)), "{order}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_clicks_and_one_edit_lead_from_the_alarm_to_the_repaired_order() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = start_poisoned(&folder.path().join("data"), std::slice::from_ref(&id)).await;
    let page = Page::open(&format!("{}/console", service.url)).await;
    page.click("nav a >> Dead letters").await;
    page.sees("Its data breaks a rule").await;
    page.click(".sequence .head a").await;
    page.sees("Its sequence: 2 events are parked").await;
    page.sees("Cannot be read").await;
    assert_eq!(page.text(".gutter .wrong").await, line_of(&page, "nine hundred").await.to_string());

    page.click("button >> Line ").await;
    // The click has selected the line, so typing replaces it.
    page.type_text(&format!("    \"amount\": {},", amount(&id))).await;
    page.sees("Would be recorded as version 3").await;
    assert_eq!((page.count(".gutter .wrong").await, page.count(".difference .added").await), (0, 1));
    assert!(page.text(".difference .removed").await.contains("nine hundred"));
    let (_, letter) = service.get(&format!("/v1/dead-letters/{}", head(&service).await)).await;
    assert!(letter["original"].is_null(), "a prediction stores nothing: {letter}");

    page.click("button >> Repair and redrive the sequence").await;
    page.sees("Finished: 2 of 2").await;
    page.sees("recorded as version 3").await;
    page.sees("recorded as version 4").await;
    page.click("a >> Show the order").await;
    assert!(page.clicks() <= 5, "{} clicks", page.clicks());
    page.wait_for("the page of the order", &format!("location.pathname.endsWith('/orders/{id}')")).await;
    page.assert_faultless();
    assert_shipped(&service, &id).await;
    let (_, history) = service.get(&format!("/v1/orders/{id}/events")).await;
    assert!(history["items"][2]["repaired"]["repairs"][0]["at"].is_string(), "{history}");
}

/// The line of the editor that has a text.
async fn line_of(page: &Page, text: &str) -> usize {
    let body = page.text("textarea").await;
    body.lines().position(|line| line.contains(text)).map(|line| line + 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_repairs_and_redrives() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = start_poisoned(&folder.path().join("data"), std::slice::from_ref(&id)).await;
    let page = Page::open(&format!("{}/console/dead-letters", service.url)).await;
    page.sees("Its data breaks a rule").await;
    page.tab_to(".sequence .head a", 25).await;
    page.press("Enter").await;
    page.sees("Line ").await;
    // A navigation moves the focus to the heading of the new page.
    page.wait_for("the heading has the focus", "document.activeElement.tagName === 'H1'").await;
    page.tab_to("textarea", 12).await;
    page.tab_to("button >> Line ", 3).await;
    page.press("Enter").await;
    page.type_text(&format!("    \"amount\": {},", amount(&id))).await;
    page.sees("Would be recorded as version 3").await;
    page.tab_to("button >> Save the repair", 10).await;
    page.press("Enter").await;
    page.sees("The repair is saved").await;
    page.sees("Would be recorded as version 3").await;
    page.press("Shift+Tab").await;
    page.tab_to("button >> Redrive the sequence", 12).await;
    page.press("Enter").await;
    page.sees("Finished: 2 of 2").await;
    page.tab_to("a >> Show the order", 5).await;
    assert_eq!(page.clicks(), 0);
    page.assert_faultless();
    assert_shipped(&service, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_discarded_with_a_reason_and_its_sequence_goes_on() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = start_poisoned(&folder.path().join("data"), std::slice::from_ref(&id)).await;
    let (_, list) = service.get("/v1/dead-letters?reason=behind_parked").await;
    let event = list["items"][0]["event_id"].as_str().unwrap().to_owned();
    let page = Page::open(&format!("{}/console/dead-letters/{}", service.url, head(&service).await)).await;
    page.click("button >> Discard…").await;
    page.fill("dialog textarea >> Reason", "Paid twice.").await;
    page.click("dialog button >> Discard").await;
    page.sees("Is discarded").await;
    page.sees("Paid twice.").await;
    assert_eq!(page.count("button >> Redrive").await, 0);

    page.click("a >> All dead letters").await;
    page.click(".sequence .head a").await;
    page.sees("Would be rejected").await;
    page.click("button >> Redrive the sequence").await;
    page.sees("Finished: 1 of 1").await;
    page.sees("rejected").await;
    page.assert_faultless();
    wait_for_parked(&service, &id, 0).await;
    let (_, receipt) = service.get(&format!("/v1/orders/{id}/events/{event}")).await;
    assert_eq!(receipt["state"], "rejected", "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_pages_of_dead_letters() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = start_poisoned(&folder.path().join("data"), std::slice::from_ref(&id)).await;
    assert_usable(&service, "/dead-letters", "Its data breaks a rule").await;
    assert_usable(&service, &format!("/dead-letters/{}", head(&service).await), "Line ").await;
    assert_usable(&service, "/dead-letters/nobody", "does not exist").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_meanwhile_is_said() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    let service = start_poisoned(&folder.path().join("data"), std::slice::from_ref(&id)).await;
    let letter = head(&service).await;
    let page = Page::open(&format!("{}/console/dead-letters/{letter}", service.url)).await;
    page.sees("Cannot be read").await;
    // Somebody else discards the dead letter while this page is open.
    let path = format!("/v1/dead-letters/{letter}/discard");
    let answer = service.ask(reqwest::Method::POST, &path, &[], Some(&json!({ "reason": "a test" }))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    page.click("textarea").await;
    page.press("Control+a").await;
    page.type_text("{}").await;
    page.sees("Only a parked dead letter can be changed").await;
    assert_eq!(page.eval("document.querySelector('button.primary').ariaDisabled").await, "true");
    page.assert_faultless();
}
