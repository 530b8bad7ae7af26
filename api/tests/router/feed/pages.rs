//! Tests the pages of the feed: what they contain, how they continue, and which requests are refused.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use axum::body::Body;
use axum::http::Request;
use domain::EventType;
use serde_json::json;

use super::fake::{FakeFeed, event};
use super::{items, router};
use crate::fakes::{Answer, FakePorts, get as get_without_feed, send_to};

async fn get(feed: &Arc<FakeFeed>, path: &str) -> Answer {
    send_to(router(feed), Request::get(path).body(Body::empty()).unwrap()).await
}

fn cursor(answer: &Answer) -> String {
    answer.json()["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_follow_each_other_and_the_last_cursor_leads_to_later_events() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let first = get(&feed, "/v1/events?limit=2").await;
    assert_eq!(items(&first), ["o-1 1", "o-2 1"]);
    assert_eq!(
        (first.json()["object"].as_str(), first.json()["has_more"].as_bool()),
        (Some("list"), Some(true))
    );
    let link =
        first.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    assert_eq!(link, format!("/v1/events?limit=2&after={}", cursor(&first)));
    assert_eq!((first.header("vary"), first.header("cache-control")), ("accept", "no-store"));

    let last = get(&feed, &link).await;
    assert_eq!(items(&last), ["o-1 2"]);
    assert_eq!((last.json()["has_more"].as_bool(), last.header("link")), (Some(false), ""));
    let end = cursor(&last);
    let empty = get(&feed, &format!("/v1/events?after={end}")).await;
    assert_eq!((items(&empty).len(), cursor(&empty)), (0, end.clone()));
    feed.append(event("o-2", 2, "order_confirmed", 4));
    assert_eq!(items(&get(&feed, &format!("/v1/events?after={end}")).await), ["o-2 2"]);
}

#[tokio::test]
async fn an_item_is_an_entry_of_the_order_log_with_position_and_cursor() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let page = get(&feed, "/v1/events").await;
    let confirmed = page.json()["items"][2].clone();
    let expected = json!({
        "position": "3", "cursor": cursor(&page), "version": 2, "recorded_at": "2026-11-23T10:03:00Z",
        "event_id": "0199d3a0-0000-7000-8000-000000000002", "type": "order_confirmed", "schema_version": 2,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r", "data": { "order_id": "o-1" },
    });
    assert_eq!(confirmed, expected);
    for item in page.json()["items"].as_array().unwrap() {
        let rest = get(&feed, &format!("/v1/events?after={}", item["cursor"].as_str().unwrap())).await;
        let left = 3 - item["position"].as_str().unwrap().parse::<usize>().unwrap();
        assert_eq!(items(&rest).len(), left, "the cursor is the place after the event");
    }
}

#[tokio::test]
async fn a_filter_may_change_between_pages() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    for (filter, expected) in [
        ("types=order_confirmed", vec!["o-1 2"]),
        ("types=order_confirmed,order_created", vec!["o-1 1", "o-2 1", "o-1 2"]),
        ("types=order_paid", vec![]),
        ("customer_id=c-2", vec!["o-2 1"]),
        ("customer_id=c-1&types=order_created", vec!["o-1 1"]),
    ] {
        assert_eq!(items(&get(&feed, &format!("/v1/events?{filter}")).await), expected, "{filter}");
    }
    let first = get(&feed, "/v1/events?customer_id=c-1&types=order_created&limit=1").await;
    let path = first.header("link").split_once('?').unwrap().1.split_once('>').unwrap().0.to_owned();
    assert_eq!(path, format!("types=order_created&customer_id=c-1&limit=1&after={}", cursor(&first)));
    assert_eq!(items(&get(&feed, &format!("/v1/events?after={}", cursor(&first))).await), ["o-2 1", "o-1 2"]);
}

#[tokio::test]
async fn a_reader_starts_at_the_oldest_or_latest_event_or_at_a_time() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    for (from, count) in
        [("oldest", 3), ("latest", 0), ("2026-11-23T10:02:00Z", 2), ("2026-11-23T12:02:00%2B02:00", 2)]
    {
        assert_eq!(items(&get(&feed, &format!("/v1/events?from={from}")).await).len(), count, "{from}");
    }
    let latest = get(&feed, "/v1/events?from=latest").await;
    feed.append(event("o-2", 2, "order_confirmed", 4));
    assert_eq!(items(&get(&feed, &format!("/v1/events?after={}", cursor(&latest))).await), ["o-2 2"]);
}

#[tokio::test]
async fn a_page_may_be_empty_before_the_end_of_the_feed() {
    let feed = Arc::new(FakeFeed::default());
    for version in 1..=25 {
        feed.append(event("o-1", version, "order_confirmed", 1));
    }
    feed.append(event("o-2", 1, "order_created", 2));
    // The fake feed examines only ten events in one read, and none of the first ten events matches the filter.
    let empty = get(&feed, "/v1/events?types=order_created").await;
    assert_eq!((items(&empty).len(), empty.json()["has_more"].as_bool()), (0, Some(true)));
    assert!(empty.header("link").contains("types=order_created"), "{empty:?}");
}

#[tokio::test]
async fn errors_of_the_query_are_listed() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let good = cursor(&get(&feed, "/v1/events").await);
    for (query, expected) in [
        ("limit=1001", "limit range".to_owned()),
        ("limit=0", "limit range".to_owned()),
        ("types=order_lost", "types enum".to_owned()),
        ("types=", "types enum".to_owned()),
        ("types=order_paid,,order_created", "types enum".to_owned()),
        ("from=yesterday", "from format".to_owned()),
        ("from=2026-11-23T10:00:00", "from format".to_owned()),
        ("after=x", "after format".to_owned()),
        ("cursor=x", "cursor unknown".to_owned()),
        ("customer_id=", "customer_id format".to_owned()),
    ] {
        let answer = get(&feed, &format!("/v1/events?{query}")).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.validation_errors(), [expected], "{query}");
    }
    let both = get(&feed, &format!("/v1/events?after={good}&from=oldest&limit=x")).await;
    assert_eq!(both.validation_errors(), ["from unknown", "limit range"]);
    let detail = get(&feed, "/v1/events?from=now").await.json()["errors"][0]["detail"].clone();
    assert!(detail.as_str().unwrap().ends_with("or it must be oldest or latest"), "{detail}");
    let types = get(&feed, "/v1/events?types=x").await.json()["errors"][0]["detail"].clone();
    assert!(EventType::ALL.iter().all(|it| types.as_str().unwrap().contains(it.as_str())), "{types}");
}

#[tokio::test]
async fn a_cursor_that_the_feed_refuses_has_its_problem() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let end = cursor(&get(&feed, "/v1/events").await);
    let other = get(&Arc::new(FakeFeed::default()), &format!("/v1/events?after={end}")).await;
    other.is_problem(400, "/problems/invalid-parameter");
    assert_eq!(other.validation_errors(), ["after format"]);
    assert!(other.json()["errors"][0]["detail"].as_str().unwrap().contains("not of another service"));

    let begin = cursor(&get(&feed, "/v1/events?limit=1").await);
    feed.expired.store(2, SeqCst);
    get(&feed, &format!("/v1/events?after={begin}")).await.is_problem(410, "/problems/cursor-expired");
    assert_eq!(get(&feed, &format!("/v1/events?after={end}")).await.status, 200);
}

#[tokio::test]
async fn a_feed_that_fails_or_is_missing_is_a_problem() {
    let broken = Arc::new(FakeFeed::broken());
    get(&broken, "/v1/events").await.is_problem(500, "/problems/internal");
    let without = get_without_feed(&Arc::new(FakePorts::default()), "/v1/events").await;
    without.is_problem(404, "/problems/not-found");
    assert!(without.json()["detail"].as_str().unwrap().contains("no feed"), "{without:?}");
}
