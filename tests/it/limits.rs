//! What clients are granted, by flags and variables.

use reqwest::Method;
use tempfile::TempDir;

use crate::support::service::{Service, orders};

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_configured_by_flags() {
    let folder = TempDir::new().unwrap();
    let flags = ["--rate-limit", "1/2", "--cors-origins", "https://a.example", "--max-connections", "100"];
    let service = Service::start(&folder.path().join("data"), &flags);
    let path = "/v1/orders?customer_id=c-1";
    let answer = service.send(Method::GET, path, None).await.unwrap();
    assert_eq!(answer.headers()["ratelimit-policy"], r#""default";q=2;w=2"#);
    assert!(answer.headers().contains_key("vary"), "answers differ by origin");
    let mut refused = None;
    for _ in 0..1000 {
        let answer = service.send(Method::GET, path, None).await.unwrap();
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(refused.unwrap().headers()["retry-after"], "1");
}

#[test]
fn everything_that_is_wrong_with_them_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--max-connections", "0", "--rate-limit", "fast"]);
    command.arg("--data").arg(folder.path().join("data")).env("ORDERS_CORS_ORIGINS", "shop.example");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for name in
        ["ORDERS_MAX_CONNECTIONS \"0\"", "ORDERS_RATE_LIMIT \"fast\"", "ORDERS_CORS_ORIGINS \"shop.example\""]
    {
        assert!(error.contains(name), "{name} in {error}");
    }
}
