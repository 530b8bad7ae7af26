//! Tests the page that finds orders.

use serde_json::json;

use super::{Shop, tea};

const SEARCH: &str = "input >> Order id, reference or customer";

/// The condition that the list has one order, and that this is the one with the reference.
fn only(reference: &str) -> String {
    format!("testing.all('td a >> {reference}').length === 1 && testing.all('tbody tr').length === 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_its_reference_its_id_and_its_customer() {
    let shop = Shop::start(&[]);
    let mut ids = Vec::new();
    for reference in ["WEB-1", "WEB-2", "WEB-3"] {
        ids.push(shop.create(&tea(reference)).await);
    }
    shop.record(&ids[1], &json!({ "type": "order_confirmed" })).await;
    let page = shop.open("/orders").await;
    page.sees("Newest orders").await;
    page.fill(SEARCH, "WEB-2").await;
    page.press("Enter").await;
    page.sees("1 orders shown").await;
    page.click("td a >> WEB-2").await;
    assert_eq!(page.text("h1 >> WEB-2").await, "WEB-2");
    page.sees(&ids[1]).await;
    // The heading has the focus, so that a screen reader begins there.
    let focus = "document.activeElement.tagName === 'H1' && document.title.startsWith('WEB-2')";
    page.wait_for("the heading has the focus", focus).await;

    page.go(&shop.console("/orders")).await;
    page.fill(SEARCH, &ids[0]).await;
    page.press("Enter").await;
    page.wait_for("one order is found", &only("WEB-1")).await;

    // A link can be shared.
    page.go(&shop.console("/orders?q=customer-7&status=confirmed")).await;
    page.wait_for("one order is found", &only("WEB-2")).await;
    assert_eq!(page.text("select >> Status").await, "confirmed");

    page.go(&shop.console("/orders?q=nobody")).await;
    page.sees("No order has this id, reference or customer").await;
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_appear_as_they_are_recorded() {
    let shop = Shop::start(&[]);
    let page = shop.open("/orders").await;
    page.wait_for("the list is live", "testing.all('.live .badge >> live').length === 1").await;
    let id = shop.create(&tea("WEB-1")).await;
    page.sees(&id).await;
    shop.record(&id, &json!({ "type": "order_confirmed" })).await;
    page.sees("Confirmed v2").await;
    page.click("button >> Pause").await;
    page.click("button >> Resume").await;
    page.wait_for("the list is live", "testing.all('.live .badge >> live').length === 1").await;
    page.click(&format!(".live-list li:last-child a >> {id}")).await;
    page.sees("What can happen now").await;
    page.assert_faultless();
}
