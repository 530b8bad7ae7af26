//! The bodies and keys of all requests. The workers send these bodies, and the audit compares the service's data with
//! them.
//!
//! Each write has a number that determines its key and its body. So repeating a write byte for byte needs no stored
//! copy.

use domain::{OrderId, Timestamp};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use uuid::Uuid;

use super::client::LoadRequest;
use super::lives::{ADJUSTMENTS, AMENDED, Expiry, Lives, OrderLife};
use super::steps::{CONCESSION, LifeStep, SURPLUS};

const CONTACT: &str = r#"{"name":"Ada Lovelace","email":"ada@example.com","shipping_address":{"line1":"Hauptstraße 5","city":"Köln","postal_code":"50667","country":"DE"}}"#;
const NEW_CONTACT: &str = r#"{"name":"Ada Lovelace","email":"ada@example.com","shipping_address":{"line1":"5 Rue Neuve","city":"Lyon","postal_code":"69001","country":"FR"}}"#;
/// The adjustments of an order with free shipping: [`ADJUSTMENTS`] without the price of shipping.
const FREE_SHIPPING: &str = r#"[{"adjustment_id":"welcome","kind":"discount","amount":-100,"line_id":"1"}]"#;
/// The `items` of an event that concerns one unit of the first line.
const ONE: &str = r#"[{"line_id":"1","quantity":1}]"#;
/// How many seconds after its creation an order expires. The first number is for orders that expire during the run, and
/// the second for orders that expire after the run.
const EXPIRY_SECONDS: (i64, i64) = (4, 30 * 86_400);

/// The write that created an order. Its number determines the order's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Creation {
    /// The number of the write.
    pub(super) number: u32,
    /// The time of the write, in seconds since the start of the run.
    pub(super) second: u32,
}

/// Makes the requests of one run. Their keys and customers differ from the keys and customers of other runs.
#[derive(Debug)]
pub(super) struct RequestBodies {
    /// The prefix of all keys, references and customer ids.
    run: String,
    customers: u32,
    lives: Lives,
    start: Timestamp,
}

impl RequestBodies {
    pub(super) fn new(run: Uuid, customers: u32, lives: Lives, start: Timestamp) -> Self {
        Self { run: format!("load-{}", run.simple()), customers, lives, start }
    }

    /// The idempotency key of the write with this number.
    pub(super) fn key(&self, number: u32) -> String {
        format!("{}-{number}", self.run)
    }

    /// The customer of the order that the write with this number creates.
    pub(super) fn customer(&self, number: u32) -> String {
        format!("{}-c{}", self.run, number % self.customers)
    }

    /// The time at which the run began.
    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// The life of the order that this write created.
    pub(super) fn life(&self, creation: Creation) -> OrderLife {
        self.lives.life(creation.number)
    }

    /// The time at which the service cancels the order that this write created, if the order is not paid.
    pub(super) fn expires_at(&self, creation: Creation) -> Option<Timestamp> {
        let seconds = match self.life(creation).expiry {
            Expiry::None => return None,
            Expiry::Soon => EXPIRY_SECONDS.0,
            Expiry::Later => EXPIRY_SECONDS.1,
        };
        Timestamp::from_micros(self.start.micros() + (i64::from(creation.second) + seconds) * 1_000_000)
    }

    /// The data of a creation.
    fn creation(&self, creation: Creation) -> String {
        let life = self.life(creation);
        let (customer, items) = (self.customer(creation.number), life.basket.items);
        let mut data = format!(
            r#"{{"customer_id":"{customer}","currency":"EUR","items":{items},"metadata":{{"channel":"load"}}"#
        );
        if life.is_detailed {
            let (adjustments, reference) = (ADJUSTMENTS.0, self.key(creation.number));
            let total = life.basket.total + ADJUSTMENTS.1;
            data += &format!(
                r#","total":{total},"adjustments":{adjustments},"reference":"{reference}","contact":{CONTACT},"notes":"Please ring twice.""#
            );
        }
        if let Some(expires_at) = self.expires_at(creation) {
            data += &format!(r#","expires_at":"{expires_at}""#);
        }
        data + if life.ship_unpaid { r#","ship_unpaid":true}"# } else { "}" }
    }

    /// The data of the event that takes an order through a step. `number` is the number of the event's write, and
    /// `creation` the write that created the order.
    pub(super) fn data(&self, step: LifeStep, number: u32, creation: Creation) -> String {
        use LifeStep as S;
        let total = self.life(creation).total;
        let authorization = format!(r#""payment_id":"auth-{}""#, creation.number);
        let parcel = format!(r#""carrier":"DHL","tracking_number":"JD{number:014}""#);
        let refund = format!(r#""refund_id":"ref-{number}""#);
        match step {
            S::Create => self.creation(creation),
            S::AmendItems => format!(r#"{{"items":{}}}"#, AMENDED.items),
            S::AmendAdjustments => format!(r#"{{"adjustments":{FREE_SHIPPING}}}"#),
            S::AmendContact => format!(r#"{{"contact":{NEW_CONTACT}}}"#),
            S::AmendReference => format!(r#"{{"reference":"{}"}}"#, self.key(number)),
            S::Annotate => format!(
                r#"{{"metadata":{{"channel":null,"clerk":"clerk-{}"}},"notes":"Gift wrapping."}}"#,
                number % 10
            ),
            S::Confirm => "{}".to_owned(),
            S::Hold => r#"{"hold":"fraud-check","reason":"The addresses differ."}"#.to_owned(),
            S::Release => r#"{"hold":"fraud-check"}"#.to_owned(),
            S::Authorize => format!(r#"{{{authorization},"amount":{total},"method":"card"}}"#),
            S::Void => format!("{{{authorization}}}"),
            S::CapturePart => format!(r#"{{{authorization},"amount":{}}}"#, total / 2),
            S::CaptureRest => format!(r#"{{{authorization},"amount":{}}}"#, total - total / 2),
            S::PayTotal => format!(r#"{{"payment_id":"pay-{number}","amount":{total}}}"#),
            S::PayTooMuch => format!(r#"{{"payment_id":"pay-{number}","amount":{}}}"#, total + SURPLUS),
            S::PayGiftCard => {
                format!(r#"{{"payment_id":"pay-{number}","amount":{},"method":"gift_card"}}"#, total / 3)
            }
            S::PayRest => {
                let amount = total - total / 3;
                format!(r#"{{"payment_id":"pay-{number}","amount":{amount},"method":"card"}}"#)
            }
            S::ShipOne => format!(r#"{{{parcel},"shipment_id":"parcel-1","items":{ONE}}}"#),
            S::ShipRest => format!("{{{parcel}}}"),
            S::DeliverOne => r#"{"shipment_id":"parcel-1"}"#.to_owned(),
            S::DeliverRest => "{}".to_owned(),
            S::CancelOne => format!(r#"{{"reason":"Out of stock.","items":{ONE}}}"#),
            S::CancelRest => r#"{"reason":"The customer changed their mind."}"#.to_owned(),
            S::RequestReturn => {
                format!(r#"{{"return_id":"return-1","reason":"It arrived broken.","items":{ONE}}}"#)
            }
            S::ReceiveReturn => r#"{"return_id":"return-1","reason":"It arrived broken."}"#.to_owned(),
            S::ReturnRest => r#"{"reason":"It does not fit."}"#.to_owned(),
            S::RefundPart => format!(r#"{{{refund},"amount":{SURPLUS},"reason":"It was too much."}}"#),
            S::RefundGoodwill => format!(
                r#"{{{refund},"amount":{CONCESSION},"goodwill":true,"reason":"The parcel was late."}}"#
            ),
            S::RefundTotal => format!(r#"{{{refund},"amount":{total}}}"#),
        }
    }

    /// The JSON body of the write with this number.
    pub(super) fn body(&self, step: LifeStep, number: u32, creation: Creation) -> String {
        let data = self.data(step, number, creation);
        match step {
            LifeStep::Create => data,
            _ if data == "{}" => format!(r#"{{"type":"{}"}}"#, step.event_type()),
            _ => format!(r#"{{"type":"{}","data":{data}}}"#, step.event_type()),
        }
    }
}

/// The path of a write, without the base path. Without `order`, the write is a creation; with `order`, it is an event
/// of that order.
pub(super) fn path(order: Option<&OrderId>) -> String {
    order.map_or_else(|| "/v1/orders".to_owned(), |order| format!("/v1/orders/{order}/events"))
}

/// A request that the API must refuse, for one of six reasons. `creations` and `events` are the paths of writes.
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

    fn bodies(run: Uuid) -> RequestBodies {
        RequestBodies::new(run, 10, Lives::Expiring, Timestamp::parse("2026-11-29T10:00:00Z").unwrap())
    }

    #[test]
    fn every_body_is_json_and_the_same_for_the_same_number() {
        let requests = bodies(Uuid::nil());
        for number in 0..100 {
            for step in LifeStep::ALL {
                let creation = Creation {
                    number: if step == LifeStep::Create { number } else { number / 2 },
                    second: 7,
                };
                let body = requests.body(step, number, creation);
                assert_eq!(body, requests.body(step, number, creation));
                let json: Value = serde_json::from_str(&body).unwrap();
                match step {
                    LifeStep::Create => assert_eq!(json["customer_id"], requests.customer(number)),
                    other => assert_eq!(json["type"], other.event_type().as_str()),
                }
            }
        }
        assert_ne!(requests.key(1), requests.key(2));
        assert_ne!(requests.key(1), bodies(Uuid::max()).key(1));
    }

    #[test]
    fn a_deadline_counts_from_the_second_of_the_creation() {
        let requests = bodies(Uuid::nil());
        let (mut soon, mut later) = (0, 0);
        for number in 0..100 {
            match requests.expires_at(Creation { number, second: 60 }).map(|at| at.to_string()) {
                Some(at) if at == "2026-11-29T10:01:04Z" => soon += 1,
                Some(at) => {
                    assert_eq!(at, "2026-12-29T10:01:00Z");
                    later += 1;
                }
                None => {}
            }
        }
        assert_eq!(soon, 8);
        assert!(later > 50, "{later}");
    }
}
