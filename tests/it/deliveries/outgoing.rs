//! Tests what the service reveals of a receiver's address and credentials, and that its requests use no proxy
//! of the environment.

use std::net::TcpListener;
use std::path::Path;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::receiver::Receiver;
use super::{PATIENCE, record, subscribe};
use crate::support::eventually::{check, eventually_within};
use crate::support::http::free_port;
use crate::support::service::{Api, Service, order, orders};

/// An address that refuses connections while the socket lives. The socket occupies the port, but does not
/// listen.
fn closed() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

/// Waits until the subscription is disabled because its deliveries fail. Only a failed delivery can disable a
/// subscription, and the deliveries of earlier orders may be given up too early. So this function records
/// another order whenever no delivery is due.
async fn until_disabled(service: &Service, id: &str) {
    eventually_within(PATIENCE, "the subscription is disabled", async || {
        let (_, subscription) = service.get(&format!("/v1/webhooks/{id}")).await;
        let is_disabled = subscription["state"] == "disabled";
        let (_, retrying) = service.get(&format!("/v1/webhooks/{id}/deliveries?state=retrying")).await;
        let is_idle = subscription["progress"]["lag_events"] == 0 && retrying["items"] == json!([]);
        if !is_disabled && is_idle {
            service.accept("/v1/orders", &order("c-1")).await;
        }
        check(is_disabled, subscription)
    })
    .await;
}

/// Checks the log at the level `trace`. Deliveries succeed, fail, reach no receiver, are given up, and stop a
/// subscription.
#[tokio::test(flavor = "multi_thread")]
async fn logs_and_metrics_contain_no_token_of_a_url_and_no_value_of_a_header() {
    let folder = TempDir::new().unwrap();
    let flags =
        ["--log-level", "trace", "--webhooks-allow-private", "--webhooks-retry-delays", "100ms,100ms"];
    let metrics_address = format!("127.0.0.1:{}", free_port());
    let more =
        ["--webhooks-disable-after", "5s", "--webhooks-timeout", "1s", "--metrics-listen", &metrics_address];
    let flags = [&flags[..], &more].concat();
    let mut service = Service::start(&folder.path().join("data"), &flags);
    let receiver = Receiver::start(folder.path(), "flaky");
    let body = |url: &str| {
        let url = format!("{url}/path-token?key=query-token");
        json!({ "url": url, "headers": { "authorization": "Bearer header-token" } })
    };
    let (id, secret) = subscribe(&service, &body(&receiver.url())).await;
    receiver.set_secret(&secret);
    let (_socket, closed_url) = closed();
    let (unreachable, other_secret) = subscribe(&service, &body(&closed_url)).await;
    record(&service).await;
    let failed_and_succeeded = async || {
        let requests = receiver.requests();
        let accepted = requests.iter().filter(|request| request.does == "accept").count();
        check(accepted >= 5 && requests.len() >= accepted + 5, requests.len())
    };
    eventually_within(PATIENCE, "deliveries fail and succeed", failed_and_succeeded).await;
    until_disabled(&service, &unreachable).await;
    for path in [format!("/v1/webhooks/{id}/test"), format!("/v1/webhooks/{unreachable}/test")] {
        assert_eq!(service.ask(Method::POST, &path, &[], Some(&json!({}))).await.status, 200);
    }
    let changed =
        json!({ "url": format!("{closed_url}/path-token"), "headers": { "x-key": "header-token" } });
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(service.ask(Method::PATCH, &path, &[], Some(&changed)).await.status, 200);
    let metrics =
        Api::at(&format!("http://{metrics_address}")).send(Method::GET, "/metrics", None).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(service.terminate().success());
    let log = service.rest_of_log();
    for (what, text) in [("the log", &log), ("the metrics", &metrics)] {
        for credential in ["path-token", "query-token", "header-token", &secret, &other_secret] {
            let line = text.lines().find(|line| line.contains(credential));
            assert!(line.is_none(), "{what} contains {credential}: {line:?}");
        }
    }
    for part in ["a delivery failed", "did not answer", "cannot be reached", "disabled"] {
        assert!(log.contains(part), "the log shows deliveries that fail: {part}");
    }
    assert!(metrics.contains("orders_webhook_attempts_total"), "{metrics}");
}

fn with_proxy(data: &Path, proxy: &str) -> Service {
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--webhooks-allow-private"]);
    command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(data);
    command.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, proxy);
    }
    Service::spawn(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_do_not_use_the_proxies_of_the_environment() {
    let folder = TempDir::new().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let service = with_proxy(&folder.path().join("data"), &url);
    let receiver = Receiver::start(folder.path(), "good");
    let (_, secret) = subscribe(&service, &json!({ "url": receiver.url() })).await;
    receiver.set_secret(&secret);
    record(&service).await;
    let arrived = async || check(receiver.requests().len() >= 5, "few requests");
    eventually_within(PATIENCE, "the events arrive directly", arrived).await;
    assert!(proxy.accept().is_err(), "the service has connected to the proxy");
}
