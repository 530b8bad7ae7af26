//! Tests the HTML pages: one for each problem type, the messages of the queue, and the root.

use std::sync::Arc;

use api::BasePath;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;

use crate::fakes::{Answer, FakePorts, get, post, send};

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    String::from_utf8(answer.body.clone()).unwrap()
}

/// All problem types that the OpenAPI description lists.
fn described() -> Vec<String> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let description =
        document["components"]["schemas"]["Problem"]["properties"]["type"]["description"].clone();
    let line = |line: &str| line.strip_prefix("- `")?.split('`').next().map(str::to_owned);
    description.as_str().unwrap().lines().filter_map(line).collect()
}

#[tokio::test]
async fn every_problem_type_has_a_page() {
    let fake = Arc::new(FakePorts::default());
    let index = text(&get(&fake, "/problems").await);
    let kinds = described();
    assert!(kinds.len() >= 16, "{kinds:?}");
    for kind in kinds {
        // Links are relative, so they work under any base path.
        assert!(index.contains(&format!("href=\"{}\"", &kind[1..])), "{kind} in {index}");
        let page = text(&get(&fake, &kind).await);
        for part in [kind.as_str(), "What it means", "What to do", "&quot;correlation_id&quot;"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        // The icon is in the page, and names the language of its picture.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains("://") && !page.contains("<script"), "{page}");
    }
}

#[tokio::test]
async fn the_type_of_a_problem_links_to_its_page() {
    let fake = Arc::new(FakePorts::default());
    for problem in [
        get(&fake, "/nothing").await,
        get(&fake, "/v1/orders?limit=0").await,
        get(&fake, "/v1/orders/o-1").await,
        post(&fake, "/v1/orders", "{").await,
        post(&fake, "/v1/orders", "{}").await,
    ] {
        let problem = problem.json();
        let page = text(&get(&fake, problem["type"].as_str().unwrap()).await);
        assert!(page.contains(problem["title"].as_str().unwrap()), "{page}");
    }
}

#[tokio::test]
async fn pages_of_nothing_are_problems() {
    let fake = Arc::new(FakePorts::default());
    for path in
        ["/problems/", "/problems/nothing", "/problems/%ff", "/problems/not-found/x", "/problems/Not-Found"]
    {
        get(&fake, path).await.is_problem(404, "/problems/not-found");
    }
    let request = Request::post("/problems").body(Body::empty()).unwrap();
    send(&fake, request).await.is_problem(405, "/problems/method-not-allowed");
    let request = Request::builder().method(Method::HEAD).uri("/problems/internal").body(Body::empty());
    assert_eq!(send(&fake, request.unwrap()).await.status, 200);
}

#[tokio::test]
async fn pages_hold_under_a_base_path() {
    let fake = Arc::new(FakePorts::default());
    for path in [
        "/problems",
        "/problems/internal",
        "/docs/",
        "/docs/operations/createOrder",
        "/docs/events",
        "/docs/events/order_paid",
    ] {
        let at_root = get(&fake, path).await;
        let request = Request::get(path).extension(BasePath::parse("/prod").unwrap()).body(Body::empty());
        assert_eq!(send(&fake, request.unwrap()).await.body, at_root.body, "{path}");
        assert!(!text(&at_root).contains("href=\"/"), "{path} links to the root");
    }
}

#[tokio::test]
async fn the_messages_are_described() {
    let fake = Arc::new(FakePorts::default());
    let document = get(&fake, "/asyncapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json(), api::asyncapi());
    let page = text(&get(&fake, "/docs/events").await);
    let messages = document.json()["components"]["messages"].clone();
    let mut pages = page.clone();
    for (name, message) in messages.as_object().unwrap() {
        assert!(page.contains(&format!("href=\"events/{name}\"")), "{name}");
        let page = text(&get(&fake, &format!("/docs/events/{name}")).await);
        let example = &message["examples"][0]["payload"];
        assert!(page.contains(example["type"].as_str().unwrap()), "{name}");
        pages += &page;
    }
    for member in ["unit_price", "event_id", "receive_count", "traceparent", "message-group-id"] {
        assert!(pages.contains(member), "{member} in {pages}");
    }
    for outside in ["<script", "<img", "@import", "src="] {
        assert!(!pages.contains(outside), "{outside} in {pages}");
    }
    // The only link to another file is the icon, which is in the page.
    assert_eq!(pages.matches("<link").count(), pages.matches("<link rel=\"icon\" href=\"data:").count());
    assert!(page.contains("href=\"../asyncapi.json\"") && page.contains("href=\"./\""));
    let openapi: Value = get(&fake, "/openapi.json").await.json();
    let description = openapi["info"]["description"].as_str().unwrap();
    assert!(description.contains("(../docs/events)") && description.contains("(../problems)"));
}

#[tokio::test]
async fn every_operation_and_every_event_has_a_page_with_what_a_client_needs() {
    let fake = Arc::new(FakePorts::default());
    let index = text(&get(&fake, "/docs/").await);
    let openapi = get(&fake, "/openapi.json").await.json();
    let operations =
        openapi["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
    for (_, operation) in operations.filter(|(_, operation)| operation["operationId"].is_string()) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(index.contains(&format!("href=\"operations/{id}\"")), "{id}");
        let page = text(&get(&fake, &format!("/docs/operations/{id}")).await);
        let statuses = operation["responses"].as_object().unwrap().keys();
        for part in statuses.map(|status| format!("<b>{status}</b>")).chain([format!("/{id}\"")]) {
            assert!(page.contains(&part), "{part} of {id} in {page}");
        }
    }
    let page = text(&get(&fake, "/docs/operations/createOrder").await);
    for part in
        ["Idempotency-Key", "orders.write", "unit_price", "shipping_address", "curl -X POST", "MUG-BLUE"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    for kind in domain::EventType::ALL {
        let page = text(&get(&fake, &format!("/docs/events/{kind}")).await);
        for guard in kind.guards() {
            assert!(page.contains(&format!("<code>{guard}</code>")), "{guard} of {kind}");
        }
        let changes = domain::diagram::status_changes().iter().any(|change| change.events.contains(&kind));
        assert_eq!(page.contains("<svg"), changes, "{kind}");
    }
    for path in
        ["/docs/operations/nothing", "/docs/operations/%ff", "/docs/events/nothing", "/docs/events/%ff"]
    {
        get(&fake, path).await.is_problem(404, "/problems/not-found");
    }
}

#[tokio::test]
async fn the_root_links_to_every_page() {
    let fake = Arc::new(FakePorts::default());
    let answer = get(&fake, "/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("vary"), "accept");
    let links = answer.json()["links"].as_object().unwrap().clone();
    assert!(links.len() >= 7, "{links:?}");
    let ask = |accept: &str, base: Option<&str>| {
        let request = Request::get("/").header("accept", accept);
        let base = base.map(|base| BasePath::parse(base).unwrap());
        send(
            &fake,
            match base {
                Some(base) => request.extension(base).body(Body::empty()).unwrap(),
                None => request.body(Body::empty()).unwrap(),
            },
        )
    };
    let page = text(&ask("text/html,application/xhtml+xml,*/*;q=0.8", None).await);
    for path in links.values().map(|path| path.as_str().unwrap()) {
        assert_eq!(get(&fake, path).await.status, 200, "{path}");
        assert!(page.contains(&format!("href=\"{path}\"")), "{path} in {page}");
    }
    let under = ask("application/json", Some("/prod")).await.json();
    assert_eq!(under["links"]["openapi"], "/prod/openapi.json");
    let under = text(&ask("text/html", Some("/prod")).await);
    assert!(under.contains("href=\"/prod/docs/\"") && !under.contains("href=\"/docs"), "{under}");
}

/// The style rules shorten the page: they hide the headers of error answers, which are the same for all errors.
#[tokio::test]
async fn the_api_page_has_style_rules_of_its_own() {
    let fake = Arc::new(FakePorts::default());
    let style = get(&fake, "/try/index.css").await;
    assert_eq!(style.header("content-type"), "text/css");
    let style = String::from_utf8(style.body).unwrap();
    assert!(style.contains("box-sizing") && style.contains(".headers-wrapper"), "{style}");
}
