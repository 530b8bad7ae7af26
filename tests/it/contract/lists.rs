//! Tests lists of orders, and orders at an earlier version.

use reqwest::Method;
use serde_json::{Value, json};

use super::{WAIT, propose, recorded};
use crate::support::service::{Api, PATIENCE};

/// Waits until the customer's list has `count` orders. Lists are eventually consistent on AWS.
async fn wait_for_list(api: &Api, customer: &str, count: usize) {
    let start = std::time::Instant::now();
    loop {
        let (_, list) = api.get(&format!("/v1/orders?customer_id={customer}")).await;
        if list["items"].as_array().unwrap().len() == count {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{list}");
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["order_id"].as_str().unwrap().to_owned())
        .collect()
}

pub async fn a_list_is_paged_by_its_links(api: &Api) {
    let mut created = Vec::new();
    for n in 0..5 {
        let id = recorded(api, "links").await;
        if n % 2 == 0 {
            propose(api, &id, &[WAIT], "order_confirmed", json!({})).await;
        }
        created.insert(0, id);
    }
    wait_for_list(api, "links", 5).await;
    for (query, expected) in [
        ("customer_id=links&limit=2", vec![0, 1, 2, 3, 4]),
        ("customer_id=links&status=confirmed&limit=1", vec![0, 2, 4]),
        ("customer_id=links&status=paid", vec![]),
        ("customer_id=links&created_before=2020-01-01T00:00:00Z", vec![]),
        ("customer_id=links&created_from=2020-01-01T00:00:00%2B02:00&limit=4", vec![0, 1, 2, 3, 4]),
    ] {
        let (mut path, mut found) = (format!("/v1/orders?{query}"), Vec::new());
        loop {
            let page = api.ask(Method::GET, &path, &[], None).await;
            assert_eq!(page.status, 200, "{page:?}");
            found.extend(ids(&page.body));
            let link = page.header("link");
            assert_eq!(link.is_empty(), page.body["next_cursor"].is_null());
            match link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(
            found,
            expected.iter().map(|i: &usize| created[*i].clone()).collect::<Vec<_>>(),
            "{query}"
        );
    }
}

pub async fn a_cursor_belongs_to_its_list(api: &Api) {
    for _ in 0..2 {
        recorded(api, "cursors").await;
    }
    wait_for_list(api, "cursors", 2).await;
    let (_, page) = api.get("/v1/orders?customer_id=cursors&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let changed = format!("{}A", &cursor[..cursor.len() - 1]);
    let changed = if changed == cursor { format!("{}B", &cursor[..cursor.len() - 1]) } else { changed };
    for query in [
        format!("customer_id=cursors&limit=1&cursor={changed}"),
        format!("customer_id=somebody&limit=1&cursor={cursor}"),
        format!("customer_id=cursors&status=pending&cursor={cursor}"),
    ] {
        api.ask(Method::GET, &format!("/v1/orders?{query}"), &[], None)
            .await
            .is_problem(400, "invalid-parameter");
    }
    let (status, next) = api.get(&format!("/v1/orders?customer_id=cursors&limit=9&cursor={cursor}")).await;
    assert_eq!((status.as_u16(), ids(&next).len()), (200, 1), "the page size may change between pages");
    for query in
        ["customer_id=c&status=open", "customer_id=c&created_from=yesterday", "customer_id=c&state=paid"]
    {
        api.ask(Method::GET, &format!("/v1/orders?{query}"), &[], None)
            .await
            .is_problem(400, "invalid-parameter");
    }
}

pub async fn an_order_is_shown_at_an_earlier_version_or_time(api: &Api) {
    let id = recorded(api, "past").await;
    propose(api, &id, &[WAIT], "order_confirmed", json!({})).await;
    propose(api, &id, &[WAIT], "order_paid", json!({ "payment_id": "p", "amount": 1800 })).await;
    let (_, history) = api.get(&format!("/v1/orders/{id}/events")).await;
    let recorded_at = |i: usize| history["items"][i]["recorded_at"].as_str().unwrap().to_owned();

    for (query, status, version) in [
        ("version=1".to_owned(), "pending", 1),
        ("version=2".to_owned(), "confirmed", 2),
        ("version=3".to_owned(), "paid", 3),
        (format!("at={}", recorded_at(1)), "confirmed", 2),
        (format!("at={}", recorded_at(2)), "paid", 3),
        ("at=2100-01-01T00:00:00Z".to_owned(), "paid", 3),
    ] {
        let then = api.ask(Method::GET, &format!("/v1/orders/{id}?{query}"), &[], None).await;
        assert_eq!(
            (then.status, &then.body["status"], &then.body["version"]),
            (200, &json!(status), &json!(version)),
            "{query}"
        );
        assert_eq!(then.header("etag"), format!("\"{version}\""));
    }
    for query in ["version=4", "at=2020-01-01T00:00:00Z"] {
        let then = api.ask(Method::GET, &format!("/v1/orders/{id}?{query}"), &[], None).await;
        then.is_problem(404, "version-not-found");
        let detail = then.body["detail"].as_str().unwrap();
        assert!(detail.contains("latest version is 3"), "{detail}");
    }
    api.ask(Method::GET, "/v1/orders/nobody?version=1", &[], None).await.is_problem(404, "order-not-found");
    for query in
        ["version=0", "version=-1", "version=x", "at=now", "version=1&at=2100-01-01T00:00:00Z", "v=1"]
    {
        api.ask(Method::GET, &format!("/v1/orders/{id}?{query}"), &[], None)
            .await
            .is_problem(400, "invalid-parameter");
    }
}
