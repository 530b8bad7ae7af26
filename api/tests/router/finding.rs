//! Tests `GET /v1/orders`: filters, references, sorting, cursors, and who may list which orders.

use std::sync::Arc;

use api::auth::{Principal, Scope};
use axum::body::Body;
use axum::http::Request;
use domain::{Currency, RecordedEvent};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fakes::{Answer, FakePorts, get, router};

fn entry(order_id: &str, version: u64, minute: u32, event_type: &str, data: Value) -> RecordedEvent {
    let mut data = data;
    data["order_id"] = order_id.into();
    let event_id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{order_id} {version}").as_bytes());
    let entry = json!({
        "version": version, "recorded_at": "2026-11-23T10:59:00Z", "event_id": event_id, "type": event_type,
        "schema_version": 1, "timestamp": format!("2026-11-23T10:{minute:02}:00Z"), "correlation_id": "r", "data": data,
    });
    RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

/// Three orders: `o-1` of customer `c-1`, `o-2` of `c-2`, and `o-3` of `c-1` with a reference and other metadata. Order `o-2` is
/// confirmed first, then `o-1`. Order `o-3` is not confirmed.
fn orders() -> FakePorts {
    let created = |order_id: &str, customer_id: &str, minute: u32| {
        let item = json!({ "sku": "A", "quantity": 1, "unit_price": 10 });
        let data = json!({
            "customer_id": customer_id, "currency": "EUR", "total": 10, "items": [item],
            "metadata": { "channel": if order_id == "o-3" { "web shop" } else { "phone" } },
        });
        entry(order_id, 1, minute, "order_created", data)
    };
    let mut last = created("o-3", "c-1", 3);
    if let domain::Event::Created(created) = &mut last.envelope.event {
        created.reference = Some("PO 7".parse().unwrap());
    }
    let log = vec![
        created("o-1", "c-1", 1),
        entry("o-1", 2, 9, "order_confirmed", json!({})),
        created("o-2", "c-2", 2),
        entry("o-2", 2, 4, "order_confirmed", json!({})),
        last,
    ];
    FakePorts { log, searchable_metadata: &["basket", "channel"], ..FakePorts::default() }
}

async fn ask(fake: &Arc<FakePorts>, scopes: &[Scope], customer_id: Option<&str>, path: &str) -> Answer {
    let principal = Principal {
        subject: "user".to_owned(),
        scopes: Some(scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
        scope_prefix: None,
        customer_id: customer_id.map(|id| id.parse().unwrap()),
        valid_until: None,
    };
    let request = Request::get(path).extension(principal).body(Body::empty()).unwrap();
    let (parts, body) = router(fake).oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    let page = answer.json();
    page["items"].as_array().unwrap().iter().map(|it| it["order_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_filter_selects_orders_across_customers_and_of_one() {
    let fake = Arc::new(orders());
    let table: &[(&str, &[&str])] = &[
        ("", &["o-3", "o-2", "o-1"]),
        ("status=confirmed", &["o-2", "o-1"]),
        ("status=confirmed&customer_id=c-1", &["o-1"]),
        ("payment_status=unpaid", &["o-3", "o-2", "o-1"]),
        ("payment_status=partially_refunded", &[]),
        ("fulfilment_status=unfulfilled&status=pending", &["o-3"]),
        ("created_from=2026-11-23T10:02:00Z&created_before=2026-11-23T10:03:00Z", &["o-2"]),
        ("metadata.channel=web+shop", &["o-3"]),
        ("metadata.channel=phone&customer_id=c-2", &["o-2"]),
        ("metadata.channel=phone&metadata.basket=1", &[]),
        ("reference=PO%207", &["o-3"]),
        ("reference=PO+7&status=pending&customer_id=c-1", &["o-3"]),
        ("reference=PO+7&status=confirmed", &[]),
        ("reference=PO+7&customer_id=c-2", &[]),
        ("reference=PO+8", &[]),
    ];
    for (query, expected) in table {
        assert_eq!(ids(&get(&fake, &format!("/v1/orders?{query}")).await), *expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_of_updated_orders_is_sorted_by_update_time_oldest_first() {
    let fake = Arc::new(orders());
    let all = get(&fake, "/v1/orders?updated_from=2026-11-23T00:00:00Z").await;
    assert_eq!(ids(&all), ["o-3", "o-2", "o-1"]);
    let some = "updated_from=2026-11-23T10:04:00Z&updated_before=2026-11-23T10:09:00Z";
    assert_eq!(ids(&get(&fake, &format!("/v1/orders?{some}")).await), ["o-2"]);
}

#[tokio::test]
async fn pages_follow_each_other_and_a_cursor_belongs_to_its_filter() {
    let fake = Arc::new(orders());
    for list in [
        "/v1/orders?",
        "/v1/orders?updated_from=2026-11-23T00%3A00%3A00Z&",
        "/v1/orders?payment_status=unpaid&metadata.channel=phone&",
    ] {
        let whole = ids(&get(&fake, list).await);
        let first = get(&fake, &format!("{list}limit=1")).await;
        let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
        assert_eq!(first.header("link"), format!("<{list}limit=1&cursor={cursor}>; rel=\"next\""));
        let rest = ids(&get(&fake, &format!("{list}cursor={cursor}")).await);
        assert_eq!([ids(&first), rest].concat(), whole);
        let other = get(&fake, &format!("/v1/orders?status=pending&cursor={cursor}")).await;
        assert_eq!(other.validation_errors(), ["cursor format"]);
    }
}

#[tokio::test]
async fn invalid_filters_are_listed() {
    let fake = Arc::new(orders());
    for (query, expected) in [
        (
            "status=lost&payment_status=x&fulfilment_status=",
            vec!["status enum", "payment_status enum", "fulfilment_status enum"],
        ),
        ("reference=+a&updated_from=now", vec!["updated_from format", "reference format"]),
        ("metadata.channel=1&metadata.channel=2", vec!["metadata.channel duplicate"]),
        ("metadata=1&metadata.=2", vec!["metadata. enum", "metadata unknown"]),
    ] {
        let answer = get(&fake, &format!("/v1/orders?{query}")).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.validation_errors(), expected, "{query}");
    }
    let undeclared = get(&fake, "/v1/orders?metadata.colour=red").await;
    let detail = undeclared.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "cannot be searched; the searchable keys are basket, channel");
    let none = get(&Arc::new(FakePorts::default()), "/v1/orders?metadata.colour=red").await;
    assert_eq!(none.validation_errors(), ["metadata.colour enum"]);
}

#[tokio::test]
async fn a_query_without_an_index_is_refused_with_its_own_problem() {
    let fake = Arc::new(FakePorts { lists_customers_only: true, ..orders() });
    get(&fake, "/v1/orders").await.is_problem(400, "/problems/query-not-configured");
    assert_eq!(ids(&get(&fake, "/v1/orders?customer_id=c-2").await), ["o-2"]);
}

#[tokio::test]
async fn only_operators_list_the_orders_of_all_customers() {
    let fake = Arc::new(orders());
    let all = "/v1/orders?status=pending";
    ask(&fake, &[Scope::Read], None, all).await.is_problem(403, "/problems/forbidden");
    ask(&fake, &[Scope::Operate], Some("c-1"), all).await.is_problem(403, "/problems/forbidden");
    assert_eq!(ids(&ask(&fake, &[Scope::Operate], None, all).await), ["o-3"]);
    let of_customer = "/v1/orders?customer_id=c-1";
    ask(&fake, &[Scope::Operate], None, of_customer).await.is_problem(403, "/problems/forbidden");
}

#[tokio::test]
async fn a_reference_leads_a_customer_only_to_its_own_order() {
    let fake = Arc::new(orders());
    let path = "/v1/orders?reference=PO+7";
    assert_eq!(ids(&ask(&fake, &[Scope::Read], None, path).await), ["o-3"]);
    assert_eq!(ids(&ask(&fake, &[Scope::Read], Some("c-1"), path).await), ["o-3"]);
    assert_eq!(ids(&ask(&fake, &[Scope::Read], Some("c-2"), path).await), [""; 0]);
    ask(&fake, &[Scope::Operate], None, path).await.is_problem(403, "/problems/forbidden");
}
