//! Examples of webhook subscriptions and deliveries.

use std::collections::{BTreeMap, BTreeSet};

use domain::subscription::SigningSecret;
use domain::{EventType, OrderId, Subscription, SubscriptionState, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ORDER, envelope, log, message, to_json};
use crate::http::LinkBuilder;
use crate::ports::feed::FeedCursor;
use crate::ports::webhooks::{
    Delivery, DeliveryAttempt, DeliveryProgress, DeliveryState, SubscriptionStatus,
};
use crate::webhooks::{AttemptBody, DeliveryPage, WebhookBody, WebhookList};

/// An example of a delivered event: the payment of the example order.
pub(crate) fn event() -> Value {
    let mut paid = log().pop().expect("the samples have a paid order");
    paid.conceal(false);
    let data = to_json(&paid);
    json!({
        "specversion": "1.0",
        "id": paid.envelope.event_id,
        "source": "/orders",
        "type": format!("orders.{}", paid.envelope.event.event_type()),
        "subject": paid.envelope.order_id,
        "time": paid.recorded_at,
        "datacontenttype": "application/json",
        "orderversion": paid.version,
        "data": data,
    })
}

/// An example of the event that tests a subscription.
pub(crate) fn test_event() -> Value {
    json!({
        "specversion": "1.0",
        "id": "019ab0c2-8f00-7000-8000-000000000001",
        "source": "/orders",
        "type": "orders.webhook_test",
        "time": "2026-11-23T10:30:00Z",
        "datacontenttype": "application/json",
        "data": { "message": "This is a test. It belongs to no order." },
    })
}

fn at(minute: u32) -> Timestamp {
    Timestamp::parse(&format!("2026-11-23T10:{minute:02}:00Z"))
        .expect("the samples follow the domain's rules")
}

/// An example of a subscription: its receiver fails for one order.
fn subscription() -> SubscriptionStatus {
    let secret = |secret: &str| SigningSecret { secret: secret.to_owned(), expires_at: None };
    let subscription = Subscription {
        id: Uuid::from_u128(0x019a_b0c2_7d1e_7aa1_8d2f_1f6c_1f0f_8a11).into(),
        revision: 1,
        url: "https://shop.example/hooks/orders".to_owned(),
        types: BTreeSet::from([EventType::Paid, EventType::Shipped]),
        customer_id: None,
        description: Some("The warehouse".to_owned()),
        headers: BTreeMap::from([("authorization".to_owned(), String::new())]),
        state: SubscriptionState::Active,
        stopped: None,
        secrets: vec![secret("whsec_")],
        request_hash: None,
        created_at: at(0),
        updated_at: at(0),
    };
    let progress = DeliveryProgress {
        cursor: Some(FeedCursor(vec![1041])),
        lag_events: Some(2),
        lag_ms: Some(1500),
        held_orders: 1,
        held_since: Some(at(27)),
        succeeded_at: Some(at(29)),
        succeeded_recorded_at: None,
        failing_since: None,
        last_error: Some("the receiver answered with the status 500".to_owned()),
    };
    SubscriptionStatus { subscription, progress }
}

fn attempt() -> DeliveryAttempt {
    DeliveryAttempt {
        at: at(28),
        latency_ms: 83,
        status: Some(500),
        body_excerpt: Some("{\"error\":\"unknown SKU\"}".to_owned()),
        error: Some("the receiver answered with the status 500".to_owned()),
    }
}

fn deliveries() -> [Delivery; 2] {
    let of = |event_type, version, state| Delivery {
        event_id: envelope(&message(event_type)).event_id,
        event_type,
        order_id: OrderId::parse(ORDER).expect("the sample order has a valid id"),
        version,
        state,
        attempts: 0,
        last_attempt: None,
        next_attempt_at: None,
        skip: None,
    };
    let retrying = Delivery {
        attempts: 2,
        last_attempt: Some(attempt()),
        next_attempt_at: Some(at(33)),
        ..of(EventType::Paid, 3, DeliveryState::Retrying)
    };
    [retrying, of(EventType::Shipped, 4, DeliveryState::Held)]
}

/// Examples of the request body of `operation`: the name, the summary and the value of each example.
pub(super) fn of_request(operation: &str) -> Vec<(&'static str, &'static str, Value)> {
    match operation {
        "createWebhook" => vec![
            ("all", "All events from now on", json!({ "url": "https://shop.example/hooks/orders" })),
            (
                "full",
                "With all members",
                json!({
                    "url": "https://shop.example/hooks/orders",
                    "types": ["order_paid", "order_shipped"],
                    "customer_id": "customer-7",
                    "description": "The warehouse",
                    "headers": { "Authorization": "Bearer 7d1e98c4" },
                    "paused": false,
                    "from": "2026-11-23T10:00:00Z",
                }),
            ),
        ],
        "updateWebhook" => vec![
            ("resume", "Resume deliveries", json!({ "paused": false })),
            (
                "move",
                "Another URL and header, and all types",
                json!({ "url": "https://shop.example/v2/hooks", "types": null, "headers": { "X-Key": "98c4", "Authorization": null } }),
            ),
        ],
        "rotateWebhookSecret" => vec![
            ("overlap", "The earlier secret stays valid for a day", json!({ "overlap_seconds": 86_400 })),
            ("leaked", "All earlier secrets end immediately", json!({ "overlap_seconds": 0 })),
        ],
        "replayWebhook" => vec![
            ("time", "All events since a time", json!({ "from": "2026-11-23T10:00:00Z" })),
            ("order", "All events of one order", json!({ "order_id": ORDER })),
        ],
        "skipDelivery" => {
            vec![("manual", "With the reason", json!({ "reason": "The receiver has the order already." }))]
        }
        _ => vec![],
    }
}

/// Examples of a body with the schema `name`: the name, the summary and the value of each example.
pub(super) fn of_schema(name: &str) -> Vec<(&'static str, &'static str, Value)> {
    let links = LinkBuilder::at_root();
    match name {
        "Webhook" => {
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=".to_owned();
            let new = SubscriptionStatus { progress: DeliveryProgress::default(), ..subscription() };
            vec![
                (
                    "active",
                    "An active subscription, one of whose deliveries fails",
                    to_json(WebhookBody::of(&subscription(), &links)),
                ),
                (
                    "secret",
                    "A subscription with its new secret",
                    to_json(WebhookBody::of(&new, &links).with_secret(secret)),
                ),
            ]
        }
        "WebhookList" => {
            vec![("one", "One subscription", to_json(WebhookList::of(&[subscription()], &links)))]
        }
        "DeliveryAttempt" => vec![("failed", "A failed attempt", to_json(AttemptBody::of(&attempt())))],
        "DeliveryPage" => vec![(
            "held",
            "A payment that is retried, and a shipment that waits for it",
            to_json(DeliveryPage::of(&deliveries(), &links, None)),
        )],
        _ => vec![],
    }
}
