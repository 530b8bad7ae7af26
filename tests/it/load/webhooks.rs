//! Tests `orders load --webhooks`: a clean run, and an audit that finds faulty deliveries. A proxy between
//! the service and the receiver of the run tampers with the deliveries.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LoadOutput, load};
use crate::support::http;
use crate::support::service::Service;

/// The fault that the proxy simulates.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tampering {
    None,
    /// Answers one delivery in place of the receiver, and does not forward it.
    Loses,
    /// Delivers version 2 of each order after version 3.
    Reorders,
    /// Changes the body of the first delivery.
    ChangesBody,
    /// Delivers everything twice.
    Repeats,
}

#[derive(Debug, Default)]
struct ProxyState {
    deliveries: usize,
    /// Deliveries of version 2, by order id. Each is held until version 3 of its order has been forwarded.
    waiting: HashMap<String, (HeaderMap, Bytes)>,
}

#[derive(Clone)]
struct Proxy {
    tampering: Tampering,
    receiver: SocketAddr,
    client: reqwest::Client,
    state: Arc<Mutex<ProxyState>>,
}

impl Proxy {
    async fn forward(&self, headers: &HeaderMap, body: Bytes) -> StatusCode {
        let url = format!("http://{}", self.receiver);
        let mut request = self.client.post(url).body(body);
        for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            request = request.header(name, &headers[name]);
        }
        request.send().await.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
    }
}

async fn pass(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let (order_id, version) = (event["subject"].as_str().unwrap(), event["orderversion"].as_u64().unwrap());
    let (place, earlier) = {
        let mut state = proxy.state.lock().unwrap();
        state.deliveries += 1;
        let earlier = if version == 3 { state.waiting.remove(order_id) } else { None };
        (state.deliveries, earlier)
    };
    match proxy.tampering {
        Tampering::Loses if place == 5 => return StatusCode::NO_CONTENT,
        Tampering::Reorders if version == 2 => {
            proxy.state.lock().unwrap().waiting.insert(order_id.to_owned(), (headers, body));
            return StatusCode::NO_CONTENT;
        }
        Tampering::ChangesBody if place == 1 => {
            let text =
                String::from_utf8(body.to_vec()).unwrap().replace("\"orderversion\":1", "\"orderversion\":2");
            return proxy.forward(&headers, text.into()).await;
        }
        Tampering::Repeats => drop(proxy.forward(&headers, body.clone()).await),
        _ => {}
    }
    let status = proxy.forward(&headers, body).await;
    if let Some((headers, body)) = earlier {
        assert_eq!(proxy.forward(&headers, body).await, StatusCode::NO_CONTENT);
    }
    status
}

/// Runs a load on a service that delivers to the run's receiver through the given proxy.
async fn load_through(tampering: Tampering) -> LoadOutput {
    let folder = TempDir::new().unwrap();
    let delays = vec!["50ms"; 50].join(",");
    let flags = ["--webhooks-allow-private", "--webhooks-retry-delays", &delays, "--require-idempotency-key"];
    let service = Service::start(&folder.path().join("data"), &flags);
    let receiver = SocketAddr::from(([127, 0, 0, 1], http::free_port()));
    let proxy = Proxy { tampering, receiver, client: http::client(), state: Arc::default() };
    let url = http::serve(Router::new().fallback(pass).with_state(proxy)).await;
    let listen = receiver.to_string();
    let flags = [
        "--rate",
        "60",
        "--duration",
        "2",
        "--patience",
        "3",
        "--mix",
        "create=1,advance=3",
        "--webhooks",
        "--webhooks-listen",
        &listen,
        "--webhooks-url",
        &url,
    ];
    let output = load(folder.path(), &service.url, &flags).await;
    let (_, list) = service.get("/v1/webhooks").await;
    assert_eq!(list["items"], json!([]), "the run deletes its subscription: {}", output.text());
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_event_arrives_signed_and_in_order() {
    let output = load_through(Tampering::None).await;
    output.assert_clean();
    let events = output.number("/webhooks/events");
    assert_eq!(events, output.number("/audit/tally/recorded") + output.number("/audit/tally/expired"));
    assert_eq!(output.number("/webhooks/latency/count"), events);
    let lines = output.report.pointer("/cost/bill/lines").unwrap().as_array().unwrap();
    let requests = lines.iter().find(|line| line["what"] == "SQS FIFO, webhooks").unwrap();
    assert_eq!(
        requests["quantity"],
        3.0 * (events as f64 / 5.0).ceil(),
        "a batch of five takes three requests"
    );
    assert!(output.text().contains(&format!("webhooks: {events} events arrived")), "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_deliveries_are_counted_and_are_no_findings() {
    let output = load_through(Tampering::Repeats).await;
    output.assert_clean();
    assert!(output.number("/webhooks/repeated") >= output.number("/webhooks/events"), "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_does_not_arrive_is_found() {
    let output = load_through(Tampering::Loses).await;
    output.assert_found("not_delivered", "did not arrive at the webhook receiver");
    assert_eq!(output.number("/audit/findings/count"), 1, "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_out_of_order_are_found() {
    let output = load_through(Tampering::Reorders).await;
    output.assert_found("delivered_out_of_order", "after a later event of their order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_delivery_is_found() {
    let output = load_through(Tampering::ChangesBody).await;
    output.assert_found("wrong_delivery", "not signed or not as recorded");
    assert_eq!(output.number("/audit/findings/count"), 1, "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_may_not_post_to_this_machine_is_reported() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let flags = ["--rate", "20", "--duration", "1", "--patience", "1", "--webhooks"];
    let output = load(folder.path(), &service.url, &flags).await;
    output.assert_found("not_delivered", "did not arrive at the webhook receiver");
}
