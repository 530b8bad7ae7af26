//! Tests that the pages of the console fit a phone and a wide screen, light and dark, and that everybody can use them.

use serde_json::json;

use super::{Shop, tea};
use crate::support::browser::{Page, Window};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_and_has_no_serious_finding() {
    let shop = Shop::start(&[]);
    let id = shop.create(&tea("WEB-1")).await;
    shop.record(&id, &json!({ "type": "order_confirmed" })).await;
    shop.record(&id, &json!({ "type": "order_paid", "data": { "payment_id": "p-1", "amount": 2640 } })).await;
    let page = Page::blank(Window::WIDE).await;
    for (path, shows) in [
        ("/", "adds up"),
        ("/orders", "WEB-1"),
        (&format!("/orders/{id}"), "Where it stands"),
        ("/nowhere", "The console has no page at this address."),
    ] {
        page.go(&shop.console(path)).await;
        page.sees(shows).await;
        for window in [Window::WIDE, Window::PHONE, Window::PHONE.dark(), Window::WIDE.dark()] {
            page.show_in(window).await;
            let [client, scroll, _] = page.size().await;
            assert!(scroll <= client, "{path} is {scroll} wide in a window of {}", window.width);
            let findings = page.serious_findings().await;
            assert_eq!(findings, [""; 0], "{path} in {window:?}");
        }
    }
    // The form of an event too.
    page.go(&shop.console(&format!("/orders/{id}"))).await;
    for event in ["Shipped", "Amended"] {
        page.click(&format!(".choices button >> {event}")).await;
        page.sees(&format!("Propose {}", event.to_lowercase())).await;
        assert_eq!(page.serious_findings().await, [""; 0], "{event}");
    }
    page.assert_faultless();
}
