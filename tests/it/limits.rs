//! Tests the limits for clients, which flags and variables set.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use tempfile::TempDir;

use crate::support::eventually::{check, eventually};
use crate::support::http;
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
fn all_invalid_limits_are_reported_together() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--max-connections", "0", "--rate-limit", "fast"]);
    command.env("ORDERS_MAX_CONNECTIONS_PER_ADDRESS", "none");
    command.env("ORDERS_MAX_EVENT_STREAMS", "0").env("ORDERS_MAX_EVENT_STREAMS_PER_ADDRESS", "few");
    command.arg("--data").arg(folder.path().join("data")).env("ORDERS_CORS_ORIGINS", "shop.example");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for name in [
        "ORDERS_MAX_CONNECTIONS \"0\"",
        "ORDERS_MAX_CONNECTIONS_PER_ADDRESS \"none\"",
        "ORDERS_MAX_EVENT_STREAMS \"0\"",
        "ORDERS_MAX_EVENT_STREAMS_PER_ADDRESS \"few\"",
        "ORDERS_RATE_LIMIT \"fast\"",
        "ORDERS_CORS_ORIGINS \"shop.example\"",
    ] {
        assert!(error.contains(name), "{name} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_streams_is_configured() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--max-event-streams", "1"]);
    let client = http::client();
    let open = async || {
        let request = client.get(format!("{}/v1/events", service.url)).header("accept", "text/event-stream");
        request.send().await.unwrap()
    };
    let first = open().await;
    assert_eq!(first.status(), 200);
    let second = open().await;
    assert_eq!((second.status().as_u16(), second.headers()["retry-after"].to_str().unwrap()), (503, "30"));
    drop(first);
    // The service notices only a moment later that the reader has disconnected.
    eventually("the slot is free", async || {
        let answer = open().await;
        check(answer.status() == 200, answer.status())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_limited_by_the_open_files_that_the_system_allows() {
    let folder = TempDir::new().unwrap();
    let service = orders(&["serve", "--listen", "127.0.0.1:0"]);
    // `ulimit -n` lowers the hard limit too, so the service cannot raise it again.
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""])
        .arg(service.get_program())
        .args(service.get_args());
    limited.arg("--data").arg(folder.path().join("data")).env("ORDERS_MIN_FREE_DISK", "1");
    let service = Service::spawn(limited);
    let mut streams = Vec::new();
    let refused = loop {
        let request = http::client().get(format!("{}/v1/events", service.url));
        let answer = request.header("accept", "text/event-stream").send().await.unwrap();
        if answer.status() != 200 {
            break answer;
        }
        streams.push(answer);
    };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "30"));
    assert!(refused.text().await.unwrap().contains("/problems/too-many-streams"));
    // A quarter of the files is for data. Half of the other 192 files may be streams, and one address may
    // have all but an eighth of the streams.
    assert_eq!(streams.len(), 96 - 96 / 8);
}

fn connect(service: &Service) -> TcpStream {
    let connection = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_keep_others_out() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--max-connections", "16"]);
    // The silent connections send nothing. The service would close them only after 10 s.
    let silent: Vec<_> = (0..100).map(|_| connect(&service)).collect();
    let bystander = http::client_builder().local_address("127.0.0.2".parse::<std::net::IpAddr>().unwrap());
    // The client's timeout is less than 10 s. So if the client gets an answer, it got a slot before the silent
    // connections timed out.
    let bystander = bystander.timeout(Duration::from_secs(8)).build().unwrap();
    let answer = bystander.get(format!("{}/v1/orders?customer_id=c-1", service.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(silent);
}

/// Sends a request as Python's `http.client` does: it sends the whole body before it reads the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_too_large_body_gets_the_answer() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let body = vec![b' '; 5 << 20];
    for _ in 0..20 {
        let mut connection = connect(&service);
        let head = "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        write!(connection, "{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len()).unwrap();
        connection.write_all(&body).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_only_requests_to_local_names_are_served() {
    let folder = TempDir::new().unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0", "--allowed-hosts", "orders.internal"];
    let service = Service::start(&folder.path().join("data"), &flags);
    for (host, status) in [
        ("host: localhost:8080\r\n", "200 OK"),
        ("host: orders.internal\r\n", "200 OK"),
        ("host: rebound.example:8080\r\n", "421 "),
        ("host: localhost\r\nhost: localhost\r\n", "400 "),
        ("", "400 "),
    ] {
        let mut connection = connect(&service);
        write!(connection, "GET /v1/orders?customer_id=c-1 HTTP/1.1\r\n{host}connection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_does_not_end_the_service() {
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(&folder.path().join("data"), &[]);
    service.signal("HUP");
    service.wait_for_log("SIGHUP");
    let path = "/v1/orders?customer_id=c-1";
    assert_eq!(service.send(Method::GET, path, None).await.unwrap().status(), 200);
    assert!(service.terminate().success());
}
