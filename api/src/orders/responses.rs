//! The bodies of receipts and pages. The handlers of this module return them, and `describe` shows their schemas.

use domain::{EventId, EventType, OrderId, Receipt, ReceiptState, RecordedEvent, Violation};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::describe::schemas;
use crate::http::LinkBuilder;
use crate::orders::order_response::OrderBody;
use crate::ports::OrderSnapshot;

/// The initial capacity for a receipt without an outcome, in bytes. Every receipt without an outcome is smaller.
const RECEIPT_CAPACITY: usize = 512;

/// The state of an accepted event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody<'a> {
    #[schema(schema_with = schemas::receipt_object)]
    object: &'static str,
    /// The order that the event belongs to.
    #[schema(value_type = String)]
    order_id: &'a OrderId,
    /// The id of the event.
    #[schema(value_type = String, format = "uuid")]
    event_id: EventId,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(schema_with = schemas::event_type)]
    event_type: EventType,
    /// `accepted`: durable, without an outcome yet. `recorded`: in the order's log. `rejected`: refused by the rules.
    /// `parked`: in the dead letters.
    #[schema(schema_with = schemas::receipt_state)]
    state: ReceiptState,
    /// The version that the event has in the order's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u64>,
    /// Why the event was not recorded, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'a str>,
    /// Why the event was not recorded, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'a str>,
    /// The guard that the event failed, and the numbers that it compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::violation, required = false)]
    violation: Option<&'a Violation>,
    pub(crate) links: ReceiptLinks,
}

/// The links of a receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptLinks {
    /// This receipt.
    #[serde(rename = "self")]
    pub(crate) own: String,
    /// The order.
    order: String,
}

impl<'a> ReceiptBody<'a> {
    pub(crate) fn of(receipt: &'a Receipt, links: &LinkBuilder) -> Self {
        let reason = receipt.reason();
        Self {
            object: schemas::RECEIPT,
            order_id: &receipt.order_id,
            event_id: receipt.event_id,
            event_type: receipt.event_type,
            state: receipt.state(),
            version: receipt.version(),
            reason: reason.map(|(code, _)| code),
            detail: reason.map(|(_, detail)| detail),
            violation: receipt.violation(),
            links: ReceiptLinks { own: links.receipt(receipt), order: links.order(&receipt.order_id) },
        }
    }
}

impl ReceiptBody<'_> {
    /// The body as JSON. Nearly every accepted event is answered with a receipt without an outcome. The members of such
    /// a receipt need no escaping, so they are concatenated, which is faster than serde. See
    /// `docs/decisions/body-budget-and-json.md`.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = Vec::with_capacity(RECEIPT_CAPACITY);
        if self.state != ReceiptState::Accepted {
            serde_json::to_writer(&mut json, self)?;
            return Ok(json);
        }
        let mut buffer = Uuid::encode_buffer();
        let event_id: &str = self.event_id.as_uuid().hyphenated().encode_lower(&mut buffer);
        let parts = [
            r#"{"object":"receipt","order_id":""#,
            self.order_id.as_str(),
            r#"","event_id":""#,
            event_id,
            r#"","type":""#,
            self.event_type.as_str(),
            r#"","state":"accepted","links":{"self":""#,
            &self.links.own,
            r#"","order":""#,
            &self.links.order,
            r#""}}"#,
        ];
        parts.iter().for_each(|part| json.extend_from_slice(part.as_bytes()));
        Ok(json)
    }
}

/// A page of a list of orders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderPage<'a> {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    #[schema(value_type = Vec<OrderBody<'a>>)]
    items: Vec<ListedBody<'a>>,
    /// The `cursor` of the next page. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// An order of a page: as JSON that was encoded earlier, or as members that are still to be encoded.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ListedBody<'a> {
    Encoded(&'a RawValue),
    Members(Box<OrderBody<'a>>),
}

impl<'a> OrderPage<'a> {
    pub(crate) fn of(orders: &'a [OrderSnapshot], links: &LinkBuilder, next_cursor: Option<String>) -> Self {
        let body = |OrderSnapshot { order, parked }: &'a OrderSnapshot| {
            if *parked == 0 && links.are_at_root() {
                ListedBody::Encoded(order.usual_body())
            } else {
                ListedBody::Members(Box::new(OrderBody::of(order, *parked, links)))
            }
        };
        Self { object: schemas::LIST, items: orders.iter().map(body).collect(), next_cursor }
    }
}

/// A page of an order's log, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    #[schema(schema_with = schemas::list_object)]
    object: &'static str,
    #[schema(schema_with = schemas::recorded_events)]
    items: Vec<RecordedEvent>,
    /// The `cursor` of the next page. `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl EventPage {
    pub(crate) fn of(items: Vec<RecordedEvent>, next_cursor: Option<String>) -> Self {
        Self { object: schemas::LIST, items, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Envelope, Order};

    use super::*;
    use crate::http::BasePath;

    #[test]
    fn an_encoded_order_of_a_page_equals_the_one_that_is_shown_alone() {
        let event =
            br#"{"type":"order_created","schema_version":1,"timestamp":"2026-11-23T10:00:00Z","data":{
            "order_id":"o-1","customer_id":"c","total":2,"currency":"EUR",
            "items":[{"sku":"s","quantity":1,"unit_price":2}]}}"#;
        let envelope = Envelope::decode(event, Currency::parse("EUR").unwrap()).unwrap();
        let recorded_at = envelope.timestamp;
        let event = RecordedEvent { version: 1, recorded_at, repaired: None, envelope };
        let order = Order::fold([&event]).unwrap().unwrap();
        let at_root = LinkBuilder::at_root();
        let below = LinkBuilder::under(BasePath::parse("/prod").unwrap(), true);
        let mut snapshot = OrderSnapshot { order: order.into(), parked: 0 };
        for (parked, links) in [(0, &at_root), (0, &below), (3, &at_root), (0, &at_root)] {
            snapshot.parked = parked;
            let page = OrderPage::of(std::slice::from_ref(&snapshot), links, None);
            let alone = serde_json::to_string(&OrderBody::of(&snapshot.order, parked, links)).unwrap();
            let expected = format!(r#"{{"object":"list","items":[{alone}],"next_cursor":null}}"#);
            assert_eq!(serde_json::to_string(&page).unwrap(), expected);
        }
    }

    #[test]
    fn a_concatenated_receipt_equals_the_one_of_serde() {
        let receipt = Receipt {
            order_id: OrderId::from(Uuid::from_u128(7)),
            event_id: EventId::from(Uuid::from_u128(8)),
            event_type: EventType::Created,
            outcome: None,
            request_hash: None,
            message: None,
        };
        let body = ReceiptBody::of(&receipt, &LinkBuilder::at_root());
        assert_eq!(body.to_json().unwrap(), serde_json::to_vec(&body).unwrap());
    }
}
