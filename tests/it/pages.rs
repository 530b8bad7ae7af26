//! Tests the HTML pages in a real browser: they must fit the width of a desktop and of a phone.

use tempfile::TempDir;

use crate::support::browser::{Page, Window};
use crate::support::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_the_width_of_their_window() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    // The page of events may use about 4,000 pixels for each kind of event. A page of `createOrder` that repeats the headers
    // for each error would be 12,600 pixels high, which is more than its limit.
    for (path, shows, highest) in [
        ("/", "asyncapi.json", [1_500, 1_000]),
        ("/problems", "/problems/invalid-request", [4_500, 2_500]),
        ("/problems/invalid-request", "What to do", [2_000, 1_500]),
        ("/docs/events", "message-deduplication-id", [72_000, 50_000]),
        ("/docs/", "/v1/orders/{order_id}", [3_900, 3_100]),
        ("/docs/#/orders/createOrder", "Try it out", [8_300, 6_600]),
    ] {
        for (window, highest) in [Window::PHONE, Window::WIDE].into_iter().zip(highest) {
            let page = Page::blank(window).await;
            page.go(&format!("{}{path}", service.url)).await;
            page.sees(shows).await;
            let [client, scroll, height] = page.size().await;
            assert_eq!(client, u64::from(window.width), "the window of {path}");
            assert!(scroll <= client, "{path} is {scroll} wide in a window of {client}");
            assert!(height <= highest, "{path} is {height} high in a window of {client}");
        }
    }
}
