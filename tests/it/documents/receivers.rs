//! Tests the webhook receivers in `examples/webhooks/` with requests that the test signs, and with the real service.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method};
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::eventually;
use crate::support::http::{self, free_port};
use crate::support::receiver::{Language, Receiver};
use crate::support::service::{Service, order};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=";

/// The example of a delivered event in the OpenAPI description.
fn event() -> Value {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let body = &document["webhooks"]["recordedEvent"]["post"]["requestBody"];
    let example = &body["content"]["application/cloudevents+json"]["examples"]["event"]["value"];
    assert_eq!(example["type"], "orders.order_paid");
    example.clone()
}

/// A request to a receiver.
#[derive(Clone)]
struct Delivery {
    id: String,
    timestamp: u64,
    body: String,
    signature: String,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signature(secret: &str, id: &str, timestamp: u64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

impl Delivery {
    fn signed(secret: &str, event: &Value, timestamp: u64) -> Self {
        let (id, body) = (event["id"].as_str().unwrap().to_owned(), event.to_string());
        let signature = signature(secret, &id, timestamp, &body);
        Self { id, timestamp, body, signature }
    }

    async fn send(&self, client: &Client, url: &str) -> u16 {
        let request = client
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", self.timestamp)
            .header("webhook-signature", &self.signature);
        request.body(self.body.clone()).send().await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_receiver_refuses_what_is_not_signed() {
    let client = http::client();
    for language in Language::ALL {
        let folder = TempDir::new().unwrap();
        let receiver = Receiver::start(language, SECRET, &folder.path().join("received.jsonl"), 0);
        let good = Delivery::signed(SECRET, &event(), now());
        let changed = Delivery { body: good.body.replace("order_paid", "order_lost"), ..good.clone() };
        let other_id = Delivery { id: "019ab0c2-7d1e-7000-8000-00000000000a".to_owned(), ..good.clone() };
        for (what, delivery) in [
            ("another secret", Delivery::signed(OTHER, &event(), now())),
            ("an old timestamp", Delivery::signed(SECRET, &event(), now() - 600)),
            ("a changed body", changed),
            ("another id", other_id),
            ("no signature", Delivery { signature: "v1,".to_owned(), ..good.clone() }),
            ("another version", Delivery { signature: good.signature.replace("v1,", "v2,"), ..good.clone() }),
        ] {
            assert_eq!(delivery.send(&client, &receiver.url).await, 401, "{language:?}: {what}");
        }
        let unsigned = client.post(&receiver.url).body(good.body.clone()).send().await.unwrap();
        assert_eq!(unsigned.status(), 401, "{language:?}");
        assert_eq!(receiver.events(), Vec::<Value>::new(), "{language:?}");
        // During the overlap of a rotation, a request contains a signature for each secret that is still valid.
        let newer = Delivery::signed(OTHER, &event(), now()).signature;
        let rotating = Delivery { signature: format!("{newer} {}", good.signature), ..good };
        assert_eq!(rotating.send(&client, &receiver.url).await, 204, "{language:?}");
        assert_eq!(receiver.events(), [event()], "{language:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_receiver_stores_an_event_once_also_after_a_restart() {
    let client = http::client();
    for language in Language::ALL {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("received.jsonl");
        let mut next = event();
        next["id"] = "019ab0c2-7d1e-7000-8000-00000000000b".into();
        let test = json!({
            "specversion": "1.0", "id": "019ab0c2-7d1e-7000-8000-00000000000c", "source": "/orders",
            "type": "orders.webhook_test", "time": "2026-11-23T10:00:00Z", "datacontenttype": "application/json",
            "data": { "message": "This is a test. It belongs to no order." },
        });
        let receiver = Receiver::start(language, SECRET, &file, 0);
        for sent in [&event(), &event(), &test] {
            let delivery = Delivery::signed(SECRET, sent, now());
            assert_eq!(delivery.send(&client, &receiver.url).await, 204, "{language:?}");
        }
        // Simulates a crash during a write: kills the process, and appends an incomplete line to its file.
        drop(receiver);
        OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b"{\"id\":\"019ab0c2-7d1e-70")
            .unwrap();
        let receiver = Receiver::start(language, SECRET, &file, 0);
        for sent in [&event(), &next, &next] {
            let delivery = Delivery::signed(SECRET, sent, now());
            assert_eq!(delivery.send(&client, &receiver.url).await, 204, "{language:?}");
        }
        assert_eq!(receiver.events(), [event(), next], "{language:?}");
    }
}

/// Creates two orders with three events each.
async fn record(service: &Service) {
    for _ in 0..2 {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        let path = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap());
        for event in [
            json!({ "type": "order_confirmed" }),
            json!({ "type": "order_annotated", "data": { "notes": "n" } }),
        ] {
            let receipt = service.accept(&path, &event).await;
            assert_eq!(service.outcome(&receipt).await["state"], "recorded");
        }
    }
}

/// Waits until the receiver has stored this many events, and returns them.
async fn has_events(receiver: &Receiver, count: usize) -> Vec<Value> {
    eventually("the events arrive", async || {
        let events = receiver.events();
        if events.len() == count { Ok(events) } else { Err(events.len()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_receiver_has_every_event_of_the_service_once_and_in_order() {
    for language in Language::ALL {
        let folder = TempDir::new().unwrap();
        let delays = vec!["100ms"; 50].join(",");
        let flags = ["--webhooks-allow-private", "--webhooks-retry-delays", &delays];
        let service = Service::start(&folder.path().join("data"), &flags);
        let (file, port) = (folder.path().join("received.jsonl"), free_port());
        let body = json!({ "url": format!("http://127.0.0.1:{port}") });
        let created = service.ask(Method::POST, "/v1/webhooks", &[], Some(&body)).await.body;
        let path = created["links"]["self"].as_str().unwrap();
        let secret =
            |answer: &Value| answer["secret"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let receiver = Receiver::start(language, &secret(&created), &file, port);
        let test = service.ask(Method::POST, &format!("{path}/test"), &[], None).await.body;
        assert_eq!(
            (&test["succeeded"], &test["status"]),
            (&json!(true), &json!(204)),
            "{language:?}: {test}"
        );
        record(&service).await;
        // Events that are recorded while the receiver is down arrive afterwards.
        drop(receiver);
        record(&service).await;
        // A receiver with either secret verifies deliveries during a rotation. Each one must get its events before it ends.
        // Otherwise, the other one would verify them.
        let rotated = service.ask(Method::POST, &format!("{path}/rotate"), &[], Some(&json!({}))).await.body;
        let receiver = Receiver::start(language, &secret(&created), &file, port);
        record(&service).await;
        has_events(&receiver, 18).await;
        drop(receiver);
        let receiver = Receiver::start(language, &secret(&rotated), &file, port);
        record(&service).await;
        let events = has_events(&receiver, 24).await;
        let mut versions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for event in &events {
            let subject = event["subject"].as_str().unwrap();
            versions.entry(subject).or_default().push(event["orderversion"].as_u64().unwrap());
        }
        assert_eq!(versions.len(), 8, "{language:?}");
        assert!(versions.values().all(|versions| *versions == [1, 2, 3]), "{language:?}: {versions:?}");
    }
}
