//! The bodies and keys of all requests. The workers send them, and the audit compares the service's data with them.
//!
//! Each write has a number that determines its key and its body. So repeating a write byte for byte needs no stored
//! copy.

use domain::{EventType, OrderId};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use uuid::Uuid;

use super::client::LoadRequest;

/// The items of orders, and their total.
const BASKETS: [(&str, u64); 4] = [
    (
        r#"[{"sku":"TEA-ASSAM-250G","quantity":2,"unit_price":450},{"sku":"CUP-BLUE","quantity":1,"unit_price":900}]"#,
        1800,
    ),
    (r#"[{"sku":"MUG-BLUE","quantity":2,"unit_price":1250}]"#, 2500),
    (
        r#"[{"sku":"POT-IRON","quantity":1,"unit_price":6900},{"sku":"TEA-SENCHA-100G","quantity":3,"unit_price":780},{"sku":"FILTER","quantity":1,"unit_price":250}]"#,
        9490,
    ),
    (r#"[{"sku":"GIFT-CARD","quantity":1,"unit_price":5000}]"#, 5000),
];
/// The items of an amended order. Their total is 3600.
const AMENDED: &str = r#"[{"sku":"TEA-ASSAM-250G","quantity":4,"unit_price":450},{"sku":"CUP-BLUE","quantity":2,"unit_price":900}]"#;

/// Makes the requests of one run. Their keys and customers differ from those of other runs.
#[derive(Debug)]
pub(super) struct RequestBodies {
    /// The prefix of all keys and customer ids.
    run: String,
    customers: u32,
}

impl RequestBodies {
    pub(super) fn new(run: Uuid, customers: u32) -> Self {
        Self { run: format!("load-{}", run.simple()), customers }
    }

    /// The idempotency key of the write with this number.
    pub(super) fn key(&self, number: u32) -> String {
        format!("{}-{number}", self.run)
    }

    /// The customer of the order that the write with this number creates.
    pub(super) fn customer(&self, number: u32) -> String {
        format!("{}-c{}", self.run, number % self.customers)
    }

    pub(super) fn creation(&self, number: u32) -> String {
        let (items, _) = BASKETS[number as usize % BASKETS.len()];
        let customer = self.customer(number);
        format!(
            r#"{{"customer_id":"{customer}","currency":"EUR","items":{items},"metadata":{{"channel":"load"}}}}"#
        )
    }

    /// The body of an event for the order that the write with the number `creation` created.
    pub(super) fn event(&self, event_type: EventType, number: u32, creation: u32) -> String {
        let amount = BASKETS[creation as usize % BASKETS.len()].1;
        let data = match event_type {
            EventType::Amended => format!(r#","data":{{"items":{AMENDED}}}"#),
            EventType::Paid => format!(r#","data":{{"payment_id":"pay-{number}","amount":{amount}}}"#),
            EventType::Shipped => {
                format!(r#","data":{{"carrier":"DHL","tracking_number":"JD{number:014}"}}"#)
            }
            EventType::Refunded => format!(r#","data":{{"refund_id":"ref-{number}","amount":{amount}}}"#),
            // All events of the other types may have the same data.
            _ => match event_type.example_data() {
                "{}" => String::new(),
                example => format!(r#","data":{example}"#),
            },
        };
        format!(r#"{{"type":"{event_type}"{data}}}"#)
    }

    /// The body of a write.
    pub(super) fn body(&self, event_type: EventType, number: u32, creation: u32) -> String {
        match event_type {
            EventType::Created => self.creation(number),
            other => self.event(other, number, creation),
        }
    }
}

/// The path of a write, without the base path: a creation without `order`, an event with it.
pub(super) fn path(order: Option<&OrderId>) -> String {
    order.map_or_else(|| "/v1/orders".to_owned(), |order| format!("/v1/orders/{order}/events"))
}

/// A request to one of these paths that the API must refuse, for one of six reasons.
pub(super) fn malformed<'a>(number: u32, creations: &'a str, events: &'a str) -> LoadRequest<'a> {
    let (path, body): (_, &'static str) = match number % 6 {
        0 => (creations, r#"{"customer_id":"#),
        1 => (creations, r#"{"customer_id":"c-1","currency":"EUR"}"#),
        2 => (
            creations,
            r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"tea","quantity":-2,"unit_price":450}]}"#,
        ),
        3 => (events, r#"{"type":"order_misplaced"}"#),
        4 => (events, r#"{"type":"order_paid","data":{"payment_id":"p-1","amount":"18,00"}}"#),
        _ => (creations, r#"{"customer_id":"c-1","currency":"EUR","items":[]}"#),
    };
    let content_type = (number % 6 == 5).then(|| HeaderValue::from_static("text/plain"));
    LoadRequest { content_type, ..LoadRequest::post(path, Bytes::from_static(body.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_body_is_json_and_the_same_for_the_same_number() {
        let requests = RequestBodies::new(Uuid::nil(), 10);
        for (number, event_type) in (1..).zip(EventType::ALL) {
            let body = requests.body(event_type, number, 3);
            assert_eq!(body, requests.body(event_type, number, 3));
            let json: Value = serde_json::from_str(&body).unwrap();
            match event_type {
                EventType::Created => assert_eq!(json["customer_id"], requests.customer(number)),
                other => assert_eq!(json["type"], other.as_str()),
            }
        }
        assert_ne!(requests.key(1), requests.key(2));
        assert_ne!(requests.key(1), RequestBodies::new(Uuid::max(), 10).key(1));
    }

    #[test]
    fn each_total_is_the_sum_of_its_items() {
        for (items, total) in BASKETS {
            let items: Value = serde_json::from_str(items).unwrap();
            let cost =
                |item: &Value| item["quantity"].as_u64().unwrap() * item["unit_price"].as_u64().unwrap();
            assert_eq!(items.as_array().unwrap().iter().map(cost).sum::<u64>(), total);
        }
    }
}
