//! Tests what a principal's scopes and customer allow.

use std::sync::Arc;

use api::auth::{Principal, Scope};
use axum::body::Body;
use axum::http::{Method, Request};
use domain::{CustomerId, Receipt, Repaired};
use serde_json::json;

use crate::fakes::{Answer, FakePorts, created, send};

fn principal(scopes: &[Scope], customer: Option<&str>) -> Principal {
    Principal {
        subject: "https://issuer|user-1".to_owned(),
        scopes: Some(scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
        scope_prefix: None,
        customer_id: customer.map(|customer| CustomerId::parse(customer).unwrap()),
        valid_until: None,
    }
}

const ORDER: &str =
    r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
const CONFIRMED: &str = r#"{"type":"order_confirmed"}"#;
const RECEIPT: &str = "/v1/orders/o-1/events/0199d3a0-0000-7000-8000-000000000001";

/// Every operation for clients: method, path, body and required scope.
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

/// An order of customer `c-1`, and the receipt of its `order_created` event.
fn fake() -> Arc<FakePorts> {
    let log = vec![created("o-1", "c-1")];
    let receipt = Receipt::of(&log[0].envelope, Some(domain::Outcome::Recorded { version: 1 }));
    Arc::new(FakePorts { log, receipt: Some(receipt), ..FakePorts::default() })
}

async fn ask(
    fake: &Arc<FakePorts>,
    principal: &Principal,
    method: &Method,
    path: &str,
    body: &str,
) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(principal.clone());
    send(fake, request).await
}

#[tokio::test]
async fn a_configured_scope_prefix_is_required() {
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
        // The error contains the scope with its prefix.
        assert_eq!(answer.json()["detail"], "The token does not grant the scope orders/orders.read.");
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
async fn orders_of_another_customer_look_like_missing_ones() {
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
    assert_eq!(event["title"], unknown["title"], "the answer must not reveal that the order exists");
    ask(&fake, &stranger, &Method::POST, "/v1/orders", ORDER).await.is_problem(403, "/problems/forbidden");
    let batch = format!("{{\"orders\":[{ORDER}]}}");
    let batch = ask(&fake, &stranger, &Method::POST, "/v1/orders/batch", &batch).await.json();
    assert_eq!(batch["items"][0]["status"], 403);
    assert_eq!(fake.published(), []);
}

#[tokio::test]
async fn a_customer_may_use_every_operation_on_its_own_orders() {
    let owner = principal(&[Scope::Read, Scope::Write], Some("c-1"));
    for (method, path, body, _) in operations() {
        let answer = ask(&fake(), &owner, &method, path, &body).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_event_records_its_principal_as_actor() {
    let fake = fake();
    ask(&fake, &principal(&[Scope::Write], None), &Method::POST, "/v1/orders", ORDER).await;
    assert_eq!(fake.published()[0].actor.as_deref(), Some("https://issuer|user-1"));
    ask(&fake, &Principal::anyone(), &Method::POST, "/v1/orders", ORDER).await;
    assert_eq!(fake.published()[1].actor, None);
}

#[tokio::test]
async fn only_operators_see_the_original_of_a_repaired_event() {
    let mut log = vec![created("o-1", "c-1")];
    log[0].repaired = Some(Box::new(Repaired {
        dead_letter: "m".to_owned(),
        repairs: Vec::new(),
        original_sha256: "00".repeat(32),
        original: Some(domain::MessageBody(b"noise".to_vec())),
    }));
    let fake = Arc::new(FakePorts { log, ..FakePorts::default() });
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

#[tokio::test]
async fn a_principal_without_the_read_scope_gets_no_order_data() {
    let body = CONFIRMED;
    let writer = principal(&[Scope::Write], None);
    let send = async |fake: &Arc<FakePorts>, header: (&str, &str)| {
        let request = Request::post("/v1/orders/o-1/events").header("content-type", "application/json");
        let request = request.header("idempotency-key", "k").header(header.0, header.1);
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(writer.clone());
        crate::fakes::send(fake, request).await
    };
    let first = Arc::new(FakePorts::default());
    send(&first, ("prefer", "")).await;
    let proposed = first.published().remove(0);
    let rejected = domain::RejectReason::IllegalTransition;
    for outcome in [
        domain::Outcome::Recorded { version: 2 },
        domain::Outcome::Rejected {
            reason: rejected,
            detail: "the order is pending".to_owned(),
            at_version: Some(1),
            violation: None,
        },
    ] {
        let receipt = Some(Receipt::of(&proposed, Some(outcome)));
        let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], receipt, ..FakePorts::default() });
        let answer = send(&fake, ("prefer", "wait=5")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["state"]),
            (202, &json!("accepted")),
            "{answer:?}"
        );
        assert_eq!((answer.header("preference-applied"), answer.header("etag")), ("", ""));
    }
    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() });
    let answer = send(&fake, ("if-match", "\"7\"")).await;
    answer.is_problem(412, "/problems/precondition-failed");
    let body = answer.json();
    assert!(body.get("order_status").is_none() && body.get("allowed_events").is_none(), "{body}");
    assert!(!body["detail"].as_str().unwrap().contains("version 1"), "{body}");
}

#[tokio::test]
async fn a_receipt_of_an_unrecorded_order_belongs_to_the_customer_of_the_event() {
    let fake = Arc::new(FakePorts::default());
    let owner = principal(&[Scope::Read, Scope::Write], Some("c-1"));
    let stranger = principal(&[Scope::Read, Scope::Write], Some("c-2"));
    let accepted = ask(&fake, &owner, &Method::POST, "/v1/orders", ORDER).await;
    let receipt = accepted.json()["links"]["self"].as_str().unwrap().to_owned();
    let envelope = fake.published().remove(0);

    // The event is on the queue, so the customer of its order is known.
    let on_queue = || FakePorts {
        published: std::sync::Mutex::new(vec![envelope.clone()]),
        receipt: Some(Receipt::of(&envelope, None)),
        ..FakePorts::default()
    };
    // The event is neither recorded nor on the queue, so the customer of its order is unknown.
    let unknown = || FakePorts { receipt: Some(Receipt::of(&envelope, None)), ..FakePorts::default() };
    for (fake, principal, status) in [
        (on_queue(), &owner, 200),
        (on_queue(), &stranger, 404),
        (on_queue(), &principal(&[Scope::Read], None), 200),
        (unknown(), &owner, 404),
        (unknown(), &stranger, 404),
        (unknown(), &principal(&[Scope::Read], None), 200),
        // If the API cannot search the queue, it builds the receipt from the link alone.
        (FakePorts { sees_queued: false, ..FakePorts::default() }, &owner, 200),
        (FakePorts { sees_queued: false, ..unknown() }, &stranger, 404),
    ] {
        let receipt =
            if fake.sees_queued { receipt.clone() } else { format!("{receipt}?type=order_created") };
        let answer = ask(&Arc::new(fake), principal, &Method::GET, &receipt, "").await;
        assert_eq!(answer.status, status, "{principal:?} {answer:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_that_creates_an_order_has_a_receipt_for_its_customer() {
    let first = Arc::new(FakePorts::default());
    let owner = principal(&[Scope::Read, Scope::Write], Some("c-1"));
    ask(&first, &owner, &Method::POST, "/v1/orders", ORDER).await;
    let envelope = first.published().remove(0);
    let detail = "an error".to_owned();
    let parked = domain::Outcome::Parked { reason: domain::ParkReason::TriesExhausted, detail };
    let body = String::from_utf8(envelope.encode()).unwrap();
    let letters = Arc::new(crate::dead_letters::FakeDeadLetters::of(vec![crate::dead_letters::letter(
        "l-1", 0, &body,
    )]));
    let operations = api::operations::Operations {
        letters: letters.clone(),
        pipeline: letters,
        default_currency: domain::Currency::parse("EUR").unwrap(),
    };
    let receipt = Some(Receipt::of(&envelope, Some(parked)));
    let fake = Arc::new(FakePorts { receipt, ..FakePorts::default() });
    let router = api::router(api::AppState { operations: Some(operations), ..crate::fakes::state(&fake) });
    let path = format!("/v1/orders/{}/events/{}", envelope.order_id, envelope.event_id);
    for (customer, status) in [("c-1", 200), ("c-2", 404)] {
        let mut request = Request::get(&path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(principal(&[Scope::Read], Some(customer)));
        assert_eq!(crate::fakes::send_to(router.clone(), request).await.status, status, "{customer}");
    }
}
