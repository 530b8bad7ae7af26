//! Tests the HTML pages in a real browser: they must fit the width of a desktop and of a phone.

use tempfile::TempDir;

use crate::support::browser::{Page, Window};
use crate::support::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_the_width_of_their_window() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let one_screen = [None, Some(u64::from(Window::WIDE.height))];
    for (path, shows, highest) in [
        ("/", "asyncapi.json", [Some(1_500), Some(1_000)]),
        ("/problems", "/problems/invalid-request", [Some(4_500), Some(2_500)]),
        ("/problems/invalid-request", "What to do", [Some(2_000), Some(1_500)]),
        ("/docs/", "/v1/orders/{order_id}", [Some(4_000), Some(2_000)]),
        ("/docs/operations/createOrder", "MUG-BLUE", one_screen),
        ("/docs/operations/proposeEvent", "order_shipped", one_screen),
        ("/docs/operations/redriveDeadLetters", "dry_run", one_screen),
        ("/docs/operations/getOrder", "If-None-Match", one_screen),
        ("/docs/events", "message-deduplication-id", [Some(4_000), Some(2_500)]),
        ("/docs/events/order_paid", "payment_capturable", [Some(3_500), Some(2_000)]),
        ("/try/#/orders/createOrder", "Try it out", [None, None]),
    ] {
        for (window, highest) in [Window::PHONE, Window::WIDE].into_iter().zip(highest) {
            let page = Page::blank(window).await;
            page.go(&format!("{}{path}", service.url)).await;
            page.sees(shows).await;
            let [client, scroll, height] = page.size().await;
            assert_eq!(client, u64::from(window.width), "the window of {path}");
            assert!(scroll <= client, "{path} is {scroll} wide in a window of {client}");
            let highest = highest.unwrap_or(u64::MAX);
            assert!(height <= highest, "{path} is {height} high in a window of {client}");
            page.assert_faultless();
            if !path.starts_with("/try") {
                assert_eq!(page.serious_findings().await, [""; 0], "{path} in a window of {client}");
            }
        }
    }
}
