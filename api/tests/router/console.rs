//! Tests the console as files: the document, its policy, its assets, and the endpoints that only the console needs. The tests of
//! its pages in a browser are in `tests/it/console`.

use std::sync::Arc;

use api::pipeline_history::{PipelineHistory, PipelineSample, Rates};
use api::{AppState, BasePath};
use axum::body::Body;
use axum::http::Request;
use domain::{EventId, EventType, OrderId, Outcome, Receipt, RejectReason, Timestamp};
use serde_json::{Value, json};

use crate::fakes::{Answer, FakePorts, created, get, send, send_to, state};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The parts of a text between these two texts.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split_once(end).map(|(part, _)| part)).collect()
}

#[tokio::test]
async fn every_page_has_the_same_document_and_policy() {
    let fake = Arc::new(FakePorts::default());
    let document = text(&get(&fake, "/console").await);
    for path in
        ["/console", "/console/", "/console/orders", "/console/orders/o-1", "/console/orders/a.js?q=1"]
    {
        let answer = get(&fake, path).await;
        assert_eq!(text(&answer), document, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("content-security-policy"), POLICY);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    }
    assert!(!document.contains("{base}") && !document.contains("style="), "{document}");
    get(&fake, "/console/assets/nothing.js").await.is_problem(404, "/problems/not-found");
    get(&fake, "/consoles").await.is_problem(404, "/problems/not-found");
}

/// Every file that the document or a script names exists, and all are on this site.
#[tokio::test]
async fn every_asset_that_is_named_is_served() {
    let fake = Arc::new(FakePorts::default());
    let document = text(&get(&fake, "/console").await);
    let mut open: Vec<String> =
        between(&document, "=\"/console/assets/", "\"").into_iter().map(str::to_owned).collect();
    assert!(open.len() > 5, "{open:?}");
    let mut seen = std::collections::BTreeSet::new();
    let pages = ["dead_letters", "order", "orders", "pipeline", "sign_in", "webhooks"];
    open.extend(pages.map(|page| format!("pages/{page}.js")));
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = get(&fake, &format!("/console/assets/{path}")).await;
        let content = text(&answer);
        assert_eq!(answer.header("content-security-policy"), POLICY, "{path}");
        if !path.ends_with("js") {
            continue;
        }
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{path}");
        assert!(!content.contains("innerHTML =") || path.starts_with("vendor/"), "{path} writes markup");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for import in between(&content, "from \"", "\"").into_iter().filter(|import| import.starts_with('.'))
        {
            let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
            for part in import.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            open.push(parts.join("/"));
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let fake = Arc::new(FakePorts::default());
    for path in ["/console", "/console/assets/app.js"] {
        let answer = get(&fake, path).await;
        assert_eq!(answer.header("cache-control"), "no-cache");
        let tag = answer.header("etag").to_owned();
        let ask = |tag: &str| Request::get(path).header("if-none-match", tag).body(Body::empty()).unwrap();
        let again = send(&fake, ask(&format!("\"other\", {tag}"))).await;
        assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
        assert_eq!(send(&fake, ask("\"other\"")).await.status, 200);
    }
}

#[tokio::test]
async fn the_console_works_under_a_base_path() {
    let fake = Arc::new(FakePorts::default());
    let request = Request::get("/console/orders").extension(BasePath::parse("/prod").unwrap());
    let under = send(&fake, request.body(Body::empty()).unwrap()).await;
    let document = text(&under);
    assert!(document.contains("src=\"/prod/console/assets/app.js\"") && !document.contains("=\"/console"));
    assert_ne!(under.header("etag"), get(&fake, "/console").await.header("etag"));
}

/// The diagram is generated from the rules, and contains every change that the document of the API shows.
#[tokio::test]
async fn the_diagram_is_that_of_the_document() {
    let diagram = get(&Arc::new(FakePorts::default()), "/console/assets/diagram.json").await.json();
    let line = |change: &Value| {
        let events: Vec<_> = change["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let from = change["from"].as_str().unwrap_or("[*]");
        format!("    {from} --> {}: {}", change["to"].as_str().unwrap(), events.join(", "))
    };
    let lines: Vec<_> = diagram.as_array().unwrap().iter().map(line).collect();
    assert_eq!(format!("stateDiagram-v2\n{}", lines.join("\n")), domain::diagram::diagram());
}

#[tokio::test]
async fn the_contact_of_an_order_has_an_address_of_its_own() {
    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() });
    let answer = get(&fake, "/v1/orders/o-1/contact").await;
    assert_eq!((answer.json(), answer.header("cache-control")), (json!({ "order_id": "o-1" }), "no-store"));
    get(&fake, "/v1/orders/o-2/contact").await.is_problem(404, "/problems/order-not-found");
}

#[tokio::test]
async fn the_rejected_events_of_an_order_are_paged() {
    let order_id = OrderId::parse("o-1").unwrap();
    let event_id = EventId::from(uuid::Uuid::from_u128(7));
    let outcome = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "the order is not confirmed".to_owned(),
        at_version: Some(1),
        violation: None,
    };
    let receipt = Receipt {
        order_id,
        event_id,
        event_type: EventType::Shipped,
        outcome: Some(outcome),
        request_hash: None,
        message: None,
    };
    let log = vec![created("o-1", "c-1"), created("o-2", "c-1")];
    let fake = Arc::new(FakePorts { log, receipt: Some(receipt), ..FakePorts::default() });
    let first = get(&fake, "/v1/orders/o-1/rejections?limit=1").await;
    let items = first.json()["items"].clone();
    assert_eq!((&items[0]["state"], &items[0]["type"]), (&json!("rejected"), &json!("order_shipped")));
    assert_eq!(items[0]["detail"], "the order is not confirmed");
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let link = format!("</v1/orders/o-1/rejections?limit=1&cursor={cursor}>; rel=\"next\"");
    assert_eq!(first.header("link"), link);
    let last = get(&fake, &format!("/v1/orders/o-1/rejections?limit=1&cursor={cursor}")).await.json();
    assert_eq!((&last["items"], &last["next_cursor"]), (&json!([]), &Value::Null));
    // A cursor belongs to its order.
    let foreign = get(&fake, &format!("/v1/orders/o-2/rejections?cursor={cursor}")).await;
    foreign.is_problem(400, "/problems/invalid-parameter");
    assert_eq!(get(&fake, "/v1/orders/o-2/rejections").await.json()["items"], json!([]));
    get(&fake, "/v1/orders/o-3/rejections").await.is_problem(404, "/problems/order-not-found");
}

#[tokio::test]
async fn the_history_is_read_by_operators_and_says_whether_it_is_kept() {
    let fake = Arc::new(FakePorts::default());
    let nothing = json!({ "kept": false, "interval_seconds": 10, "samples": [] });
    assert_eq!(get(&fake, "/v1/pipeline/history").await.json(), nothing);
    let history = Arc::new(PipelineHistory::default());
    for second in [0, 10] {
        history.add(PipelineSample {
            at: Timestamp::from_millis(1_764_547_200_000 + second * 1000).unwrap(),
            rates: Some(Rates { accepted: 1.0 / 3.0, recorded: 0.0, rejected: 0.0 }),
            publish: None,
            record: None,
            queue_depth: 1,
            queue_oldest: None,
            dead_letters: 0,
            disk_free: None,
            backup_lag: None,
            webhook_lag: None,
        });
    }
    let ask = async |query: &str| {
        let app = api::router(AppState { history: Some(history.clone()), ..state(&fake) });
        let request = Request::get(format!("/v1/pipeline/history{query}")).body(Body::empty()).unwrap();
        send_to(app, request).await.json()
    };
    let all = ask("").await;
    assert_eq!((&all["kept"], all["samples"].as_array().unwrap().len()), (&json!(true), 2));
    let sample = &all["samples"][1];
    assert_eq!(
        (&sample["accepted_per_second"], &sample["disk_free_bytes"]),
        (&json!(0.333_333), &Value::Null)
    );
    let later = ask(&format!("?after={}", all["samples"][0]["at"].as_str().unwrap())).await;
    assert_eq!(later["samples"], json!([sample]));
    assert_eq!(ask("?after=yesterday").await["type"], "/problems/invalid-parameter");
}
