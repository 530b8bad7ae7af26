//! The body of a delivery: a recorded event as a CloudEvents 1.0 event in JSON
//! ([JSON format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md)). The stores encode it for
//! webhooks, and the relay for its outputs.
//!
//! The body contains nothing that depends on the attempt or the subscription, so all attempts of a delivery have the same bytes.

use domain::{EventId, EventType, OrderId, RecordedEvent, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// The content type of the body.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The default `source` of events.
pub const DEFAULT_SOURCE: &str = "/orders";
/// The prefix of `type`, which precedes the type of the event.
pub const TYPE_PREFIX: &str = "orders.";
/// The `type` of the event that tests a subscription.
pub const TEST_TYPE: &str = "orders.webhook_test";

/// An event, ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPayload {
    /// The id, which is the `webhook-id` of all attempts.
    pub event_id: EventId,
    /// The type of the event. `None` for a test event.
    pub event_type: Option<EventType>,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: EventId,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a OrderId>,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'static str>,
    /// An extension attribute: the version of the order after the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    orderversion: Option<u64>,
    /// An extension attribute: where the data is, if it is not in the event
    /// ([dataref](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/dataref.md)).
    #[serde(skip_serializing_if = "Option::is_none")]
    dataref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

impl<'a, D> CloudEvent<'a, D> {
    fn without_data(source: &'a str, event: &'a RecordedEvent) -> Self {
        let event_type = event.envelope.event.event_type();
        Self {
            specversion: "1.0",
            id: event.envelope.event_id,
            source,
            event_type: cloud_type(event_type),
            subject: Some(&event.envelope.order_id),
            time: event.recorded_at,
            datacontenttype: None,
            orderversion: Some(event.version),
            dataref: None,
            data: None,
        }
    }
}

/// The CloudEvents `type` of an event type.
pub(crate) fn cloud_type(event_type: EventType) -> String {
    format!("{TYPE_PREFIX}{}", event_type.as_str())
}

#[derive(Serialize)]
struct TestData {
    message: &'static str,
}

impl EventPayload {
    /// The payload of a recorded event.
    pub fn of(source: &str, mut event: RecordedEvent) -> serde_json::Result<Self> {
        // The payload leaves out what the feed conceals from readers who are not operators.
        event.conceal(false);
        let cloud_event = CloudEvent {
            datacontenttype: Some("application/json"),
            data: Some(&event),
            ..CloudEvent::without_data(source, &event)
        };
        let body = serde_json::to_vec(&cloud_event)?;
        let event_type = event.envelope.event.event_type();
        let (event_id, recorded_at) = (event.envelope.event_id, event.recorded_at);
        Ok(Self { event_id, event_type: Some(event_type), recorded_at, body })
    }

    /// The body of a recorded event that is too large to be published: the same event, with a reference to
    /// its data in the order's log.
    pub fn reference(source: &str, event: &RecordedEvent) -> serde_json::Result<Vec<u8>> {
        let dataref = format!("/v1/orders/{}/events", event.envelope.order_id);
        serde_json::to_vec(&CloudEvent::<()> {
            dataref: Some(dataref),
            ..CloudEvent::without_data(source, event)
        })
    }

    /// A test event with a random id.
    pub fn test(source: &str, now: Timestamp) -> serde_json::Result<Self> {
        let event_id = EventId::from(Uuid::now_v7());
        let body = serde_json::to_vec(&CloudEvent {
            specversion: "1.0",
            id: event_id,
            source,
            event_type: TEST_TYPE.to_owned(),
            subject: None,
            time: now,
            datacontenttype: Some("application/json"),
            orderversion: None,
            dataref: None,
            data: Some(TestData { message: "This is a test. It belongs to no order." }),
        })?;
        Ok(Self { event_id, event_type: None, recorded_at: now, body })
    }
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Envelope};
    use serde_json::{Value, json};

    use super::*;

    fn recorded() -> RecordedEvent {
        let message = br#"{"event_id":"0199aaaa-0000-7000-8000-000000000001","type":"order_confirmed","schema_version":2,
            "timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","request_hash":"secret","data":{"order_id":"o-1"}}"#;
        let envelope = Envelope::decode(message, Currency::parse("EUR").unwrap()).unwrap();
        let recorded_at = Timestamp::parse("2026-11-23T10:00:01.5Z").unwrap();
        RecordedEvent { version: 2, recorded_at, repaired: None, envelope }
    }

    #[test]
    fn a_reference_has_everything_but_the_data() {
        let event = recorded();
        let whole: Value =
            serde_json::from_slice(&EventPayload::of("/shop", event.clone()).unwrap().body).unwrap();
        let mut reference: Value =
            serde_json::from_slice(&EventPayload::reference("/shop", &event).unwrap()).unwrap();
        assert_eq!(reference.as_object_mut().unwrap().remove("dataref").unwrap(), "/v1/orders/o-1/events");
        let mut expected = whole;
        for member in ["data", "datacontenttype"] {
            expected.as_object_mut().unwrap().remove(member).unwrap();
        }
        assert_eq!(reference, expected);
    }

    #[test]
    fn a_recorded_event_is_a_cloud_event_with_the_event_as_its_data() {
        let payload = EventPayload::of("/shop", recorded()).unwrap();
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        assert_eq!(
            body,
            json!({
                "specversion": "1.0", "id": "0199aaaa-0000-7000-8000-000000000001", "source": "/shop",
                "type": "orders.order_confirmed", "subject": "o-1", "time": "2026-11-23T10:00:01.500Z",
                "datacontenttype": "application/json", "orderversion": 2,
                "data": { "version": 2, "recorded_at": "2026-11-23T10:00:01.500Z",
                    "event_id": "0199aaaa-0000-7000-8000-000000000001", "type": "order_confirmed", "schema_version": 2,
                    "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r", "data": { "order_id": "o-1" } }
            })
        );
    }

    #[test]
    fn a_test_event_has_no_subject() {
        let now = Timestamp::from_micros(0).unwrap();
        let payload = EventPayload::test("/shop", now).unwrap();
        let body: Value = serde_json::from_slice(&payload.body).unwrap();
        assert_eq!(body["type"], "orders.webhook_test");
        assert_eq!(body["id"], payload.event_id.as_uuid().to_string());
        assert!(body.get("subject").is_none() && body.get("orderversion").is_none());
    }
}
