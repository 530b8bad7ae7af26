//! What principals may do, and which orders exist for them.

use std::sync::Arc;

use api::principal::{Principal, Scope};
use axum::body::Body;
use axum::http::{Method, Request};
use domain::{CustomerId, Receipt, Repaired};
use serde_json::json;

use crate::fakes::{Answer, Fake, created, send};

fn principal(scopes: &[Scope], customer: Option<&str>) -> Principal {
    Principal {
        subject: "https://issuer|user-1".to_owned(),
        scopes: Some(scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
        scope_prefix: None,
        customer_id: customer.map(|customer| CustomerId::parse(customer).unwrap()),
    }
}

const ORDER: &str =
    r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
const CONFIRMED: &str = r#"{"type":"order_confirmed"}"#;
const RECEIPT: &str = "/v1/orders/o-1/events/0199d3a0-0000-7000-8000-000000000001";

/// Every operation: method, path, body and the scope it needs.
fn operations() -> Vec<(Method, &'static str, String, Scope)> {
    let batch = format!("{{\"orders\":[{ORDER}]}}");
    vec![
        (Method::POST, "/v1/orders", ORDER.to_owned(), Scope::Write),
        (Method::POST, "/v1/orders/batch", batch, Scope::Write),
        (Method::POST, "/v1/orders/o-1/events", CONFIRMED.to_owned(), Scope::Write),
        (Method::GET, "/v1/orders/o-1", String::new(), Scope::Read),
        (Method::GET, "/v1/orders?customer_id=c-1", String::new(), Scope::Read),
        (Method::GET, "/v1/orders/o-1/events", String::new(), Scope::Read),
        (Method::GET, RECEIPT, String::new(), Scope::Read),
    ]
}

/// An order of customer `c-1`, and the receipt of its creation.
fn fake() -> Arc<Fake> {
    let log = vec![created("o-1", "c-1")];
    let receipt = Receipt::of(&log[0].envelope, Some(domain::Outcome::Recorded { version: 1 }));
    Arc::new(Fake { log, receipt: Some(receipt), ..Fake::default() })
}

async fn ask(fake: &Arc<Fake>, principal: &Principal, method: &Method, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(principal.clone());
    send(fake, request).await
}

#[tokio::test]
async fn scopes_may_have_a_prefix_which_is_then_needed() {
    let prefixed = |scope: &str| Principal {
        scopes: Some(vec![scope.to_owned()]),
        scope_prefix: Some("orders/".into()),
        ..principal(&[], None)
    };
    for (granted, allowed) in [
        ("orders/orders.read", true),
        ("orders.read", false),
        ("reports/orders.read", false),
        ("orders/orders.write", false),
        ("orders/orders/orders.read", false),
    ] {
        let answer = ask(&fake(), &prefixed(granted), &Method::GET, "/v1/orders/o-1", "").await;
        if allowed {
            assert_eq!(answer.status, 200, "{granted}");
            continue;
        }
        answer.is_problem(403, "/problems/forbidden");
        // What is named is what the token has to have.
        assert_eq!(answer.json()["detail"], "This needs the scope orders/orders.read.");
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders/orders.read\"";
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
}

#[tokio::test]
async fn each_operation_needs_its_scope() {
    for (method, path, body, needed) in operations() {
        for granted in [Scope::Read, Scope::Write, Scope::Operate] {
            let answer = ask(&fake(), &principal(&[granted], None), &method, path, &body).await;
            if granted == needed {
                assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            } else {
                answer.is_problem(403, "/problems/forbidden");
                assert!(answer.json()["detail"].as_str().unwrap().contains(needed.as_str()));
            }
        }
    }
}

#[tokio::test]
async fn another_customers_orders_do_not_exist() {
    let stranger = principal(&[Scope::Read, Scope::Write], Some("c-2"));
    for (path, problem) in [
        ("/v1/orders/o-1", "/problems/order-not-found"),
        ("/v1/orders/o-1?version=1", "/problems/order-not-found"),
        ("/v1/orders/o-1/events", "/problems/order-not-found"),
        (RECEIPT, "/problems/event-not-found"),
    ] {
        ask(&fake(), &stranger, &Method::GET, path, "").await.is_problem(404, problem);
    }
    let list = ask(&fake(), &stranger, &Method::GET, "/v1/orders?customer_id=c-1", "").await;
    assert_eq!(list.json(), json!({ "object": "list", "items": [], "next_cursor": null }));

    let fake = fake();
    let event = ask(&fake, &stranger, &Method::POST, "/v1/orders/o-1/events", CONFIRMED).await;
    event.is_problem(404, "/problems/order-not-found");
    let unknown = ask(&fake, &stranger, &Method::POST, "/v1/orders/o-9/events", CONFIRMED).await;
    unknown.is_problem(404, "/problems/order-not-found");
    let (event, unknown) = (event.json(), unknown.json());
    assert_eq!(event["title"], unknown["title"], "nothing tells that the order exists");
    ask(&fake, &stranger, &Method::POST, "/v1/orders", ORDER).await.is_problem(403, "/problems/forbidden");
    let batch = format!("{{\"orders\":[{ORDER}]}}");
    let batch = ask(&fake, &stranger, &Method::POST, "/v1/orders/batch", &batch).await.json();
    assert_eq!(batch["items"][0]["status"], 403);
    assert_eq!(fake.published(), []);
}

#[tokio::test]
async fn a_customers_own_orders_do() {
    let owner = principal(&[Scope::Read, Scope::Write], Some("c-1"));
    for (method, path, body, _) in operations() {
        let answer = ask(&fake(), &owner, &method, path, &body).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_event_tells_who_asked() {
    let fake = fake();
    ask(&fake, &principal(&[Scope::Write], None), &Method::POST, "/v1/orders", ORDER).await;
    assert_eq!(fake.published()[0].actor.as_deref(), Some("https://issuer|user-1"));
    ask(&fake, &Principal::anyone(), &Method::POST, "/v1/orders", ORDER).await;
    assert_eq!(fake.published()[1].actor, None);
}

#[tokio::test]
async fn what_a_repaired_event_was_first_is_for_operators_only() {
    let mut log = vec![created("o-1", "c-1")];
    log[0].repaired = Some(Box::new(Repaired {
        dead_letter: "m".to_owned(),
        repairs: Vec::new(),
        original_sha256: "00".repeat(32),
        original: Some(domain::Body(b"noise".to_vec())),
    }));
    let fake = Arc::new(Fake { log, ..Fake::default() });
    for (scopes, customer, original) in [
        (&[Scope::Read, Scope::Operate][..], None, json!({ "body": "noise" })),
        (&[Scope::Read], None, json!(null)),
        (&[Scope::Read, Scope::Operate], Some("c-1"), json!(null)),
    ] {
        let answer =
            ask(&fake, &principal(scopes, customer), &Method::GET, "/v1/orders/o-1/events", "").await;
        let repaired = &answer.json()["items"][0]["repaired"];
        assert_eq!((&repaired["dead_letter"], &repaired["original"]), (&json!("m"), &original));
    }
}
