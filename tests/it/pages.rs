//! Tests the HTML pages in a real browser: they must fit the width of a desktop and of a phone.

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use tempfile::TempDir;

use crate::support::browser::rendered;
use crate::support::http;
use crate::support::service::Service;

/// A page that shows `page` in a frame of this width, and reports its size and its text. The window of a browser cannot
/// be as narrow as that of a phone.
fn frame(page: &str, width: &str) -> String {
    format!(
        r#"<!doctype html><iframe id="page" src="{page}" style="border:0;width:{width}px;height:800px"></iframe>
        <pre id="text"></pre>
        <script>
        setInterval(() => {{
          const page = document.getElementById("page").contentDocument;
          const root = page.documentElement;
          document.documentElement.dataset.size = [root.clientWidth, root.scrollWidth, root.scrollHeight].join(" ");
          document.getElementById("text").textContent = page.body.innerText;
        }}, 100);
        </script>"#
    )
}

/// Forwards requests to the service and drops the headers that forbid framing. Paths below `/framed/` return pages with
/// a frame.
async fn forward_or_frame(service: String, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Some(framed) = path.strip_prefix("/framed/") {
        let (width, page) = framed.split_once('/').unwrap();
        return Html(frame(&format!("/{}", page.replace("%23", "#")), width)).into_response();
    }
    let asked = http::client().get(format!("{service}{path}"));
    let accept = request.headers().get(header::ACCEPT).map_or(&b"*/*"[..], |accept| accept.as_bytes());
    let answer = asked.header("accept", accept).send().await.unwrap();
    let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
    let body = answer.bytes().await.unwrap();
    let mut response = (status, body).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Starts a server that frames the pages of the service, and returns its URL.
async fn start_framing(service: &Service) -> String {
    let url = service.url.clone();
    let router = Router::new().fallback(async move |request: Request| forward_or_frame(url, request).await);
    format!("{}/framed", http::serve(router).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_the_width_of_their_window() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let address = start_framing(&service).await;
    // The page of events may use about 4,000 pixels for each kind of event. A page of `createOrder` that repeats the headers
    // for each error would be 12,600 pixels high, which is more than its limit.
    for (path, shows, highest) in [
        ("/", "asyncapi.json", [1_500, 1_000]),
        ("/problems", "/problems/invalid-request", [4_500, 2_500]),
        ("/problems/invalid-request", "What to do", [2_000, 1_500]),
        ("/docs/events", "message-deduplication-id", [72_000, 50_000]),
        ("/docs/", "/v1/orders/{order_id}", [3_600, 2_900]),
        ("/docs/%23/orders/createOrder", "Try it out", [8_300, 6_600]),
    ] {
        for (window, highest) in [390, 1280].into_iter().zip(highest) {
            let page = format!("{address}/{window}{path}");
            let profile = folder.path().to_owned();
            let page = tokio::task::spawn_blocking(move || rendered(&page, 1400, &profile)).await.unwrap();
            assert!(page.contains(shows), "{path} does not show {shows}: {page}");
            let size = page.split_once("data-size=\"").unwrap().1.split_once('"').unwrap().0;
            let size: Vec<u32> = size.split(' ').map(|number| number.parse().unwrap()).collect();
            let [client, scroll, height] = size[..] else { panic!("{size:?}") };
            assert_eq!(client, window, "the window of {path}");
            assert!(scroll <= client, "{path} is {scroll} wide in a window of {window}");
            assert!(height <= highest, "{path} is {height} high in a window of {window}");
        }
    }
}
