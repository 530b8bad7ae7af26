//! Tests the page of one order.

use serde_json::json;

use super::{Shop, tea};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_walked_by_a_slider_and_shows_what_changed() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    shop.record(&id, &json!({ "type": "order_confirmed" })).await;
    shop.record(&id, &json!({ "type": "order_paid", "data": { "payment_id": "p-1", "amount": 2640 } })).await;
    shop.record(
        &id,
        &json!({ "type": "order_shipped", "data": { "carrier": "DHL", "tracking_number": "JD1",
        "items": [{ "line_id": "2", "quantity": 1 }] } }),
    )
    .await;
    let page = shop.open(&format!("/orders/{id}")).await;
    page.sees("Version 4 of 4").await;
    page.sees("EUR 26.40").await;
    assert_eq!(page.count("td >> JD1").await, 1);

    // By keys: back to the confirmed order, whose page has its address and no form.
    page.tab_to("input[type=range]", 30).await;
    page.press("ArrowLeft").await;
    page.sees("Version 3 of 4").await;
    page.press("ArrowLeft").await;
    page.sees("Version 2 of 4").await;
    page.wait_for(
        "the payment is undone",
        "testing.all('td >> JD1').length + testing.all('td >> p-1').length === 0",
    )
    .await;
    assert_eq!(page.count("button >> Propose").await + page.count("h2 >> What can happen now").await, 0);
    assert_eq!(page.eval("location.search").await, "?version=2");
    page.click("button >> Back to now").await;
    page.sees("What can happen now").await;

    page.sees("paid → partially shipped").await;
    page.click("button >> What changed in version 4").await;
    page.sees("items.1.shipped").await;
    page.sees("shipments.0").await;
    page.click("button >> What changed in version 1").await;
    page.sees("customer_id").await;
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_paid_and_shipped_from_its_forms() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    let page = shop.open(&format!("/orders/{id}")).await;
    page.click(".choices button >> Confirmed").await;
    page.click("button >> Propose confirmed").await;
    page.sees("was recorded as version 2").await;
    // The page follows, and its buttons are those of the new version.
    page.sees("Version 2 of 2").await;

    page.click(".choices button >> Paid").await;
    // What is due is filled in.
    assert_eq!(page.text("form.event-form input[name=amount]").await, "2640");
    page.fill("form.event-form input[name=payment_id]", "pay-1").await;
    page.click("button >> Propose paid").await;
    page.sees("was recorded as version 3").await;
    // The page follows, and its buttons are those of the new version.
    page.sees("Version 3 of 3").await;

    page.click(".choices button >> Shipped").await;
    page.fill("form.event-form input[name=carrier]", "DHL").await;
    page.fill("form.event-form input[name=tracking_number]", "JD1").await;
    page.fill(".units label:nth-of-type(1) input", "2").await;
    page.click("button >> Propose shipped").await;
    page.sees("was recorded as version 4").await;
    page.sees("Version 4 of 4").await;
    page.sees("2 of line 1").await;
    let order = shop.order(&id).await;
    assert_eq!((&order["status"], &order["items"][0]["shipped"]), (&json!("partially_shipped"), &json!(2)));
    let (_, log) = shop.service.get(&format!("/v1/orders/{id}/events")).await;
    assert_eq!(log["items"][3]["expected_version"], 3, "the form sends If-Match");

    // A guard refuses what the form cannot know.
    page.click(".choices button >> Refunded").await;
    page.fill("form.event-form input[name=refund_id]", "r-1").await;
    page.fill("form.event-form input[name=amount]", "2641").await;
    page.click("button >> Propose refunded").await;
    page.sees("Guard: refundable").await;
    // The refused event has a receipt, which the page lists with the reason.
    page.sees("Rejected events").await;
    page.sees("guard refundable").await;
    assert_eq!(shop.order(&id).await["version"], 4);
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_changes_nothing_if_the_order_has_changed() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    let page = shop.open(&format!("/orders/{id}")).await;
    page.click(".choices button >> Cancelled").await;
    page.fill("form.event-form [name=reason]", "too late").await;
    // A page that nobody sees does not follow the order.
    page.eval("Object.defineProperty(document, 'hidden', { value: true })").await;
    shop.record(&id, &json!({ "type": "order_confirmed" })).await;
    page.click("button >> Propose cancelled").await;
    page.sees("The order changed since the page showed it").await;
    page.sees("Recorded only if the order is still at version 2").await;
    assert_eq!(shop.order(&id).await["status"], "confirmed");
    page.click("button >> Propose cancelled").await;
    page.sees("was recorded as version 3").await;
    assert_eq!(shop.order(&id).await["status"], "cancelled");
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_masked_until_somebody_asks_and_asking_is_logged() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    let page = shop.open(&format!("/orders/{id}")).await;
    page.sees("Masked. Showing it is logged.").await;
    page.click("button >> What changed in version 1").await;
    page.click("summary >> Data of the event").await;
    page.sees("\"contact\": \"masked\"").await;
    assert!(!page.html().await.contains("ada@example.com"));
    page.click("button >> Show contact").await;
    page.sees("ada@example.com").await;
    let line = shop.service.wait_for_log("contact shown");
    assert_eq!(line["order_id"], id.as_str(), "{line}");
    page.click("button >> Hide").await;
    page.sees("Masked.").await;
    assert!(!page.html().await.contains("ada@example.com"));
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_order_has_the_words_of_the_api() {
    let shop = Shop::start(&[]);
    let page = shop.open("/orders/nothing").await;
    page.sees("No event of order nothing").await;
    page.click("a >> Find another order").await;
    page.sees("There are no orders yet.").await;
    page.assert_faultless();
}
