//! Decodes the service's receipts, and stores the location of each receipt. The workers and the audit use it.

use domain::{EventId, EventType, OrderId, ReceiptState};
use serde::Deserialize;

use crate::base_url::BaseUrl;

#[derive(Debug, Deserialize)]
pub(super) struct ServiceReceipt {
    pub(super) order_id: OrderId,
    pub(super) event_id: EventId,
    #[serde(rename = "type")]
    pub(super) event_type: EventType,
    pub(super) state: ReceiptState,
    pub(super) version: Option<u64>,
    pub(super) reason: Option<String>,
    links: ServiceReceiptLinks,
}

#[derive(Debug, Deserialize)]
struct ServiceReceiptLinks {
    #[serde(rename = "self")]
    own: String,
}

impl ServiceReceipt {
    pub(super) fn decode(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("not a receipt: {error}"))
    }

    /// The location in the receipt's `links.self`.
    pub(super) fn location(&self, url: &BaseUrl) -> ReceiptLocation {
        ReceiptLocation::of(&self.links.own, url, &self.order_id, self.event_id, self.event_type)
    }
}

/// The location of a receipt, stored in as few bytes as possible, because a run stores one location for each event. Nearly all
/// paths can be rebuilt from the ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReceiptLocation {
    /// `/v1/orders/{order}/events/{event}`
    Plain,
    /// The path `/v1/orders/{order}/events/{event}` with the query parameter `type`. If there is a number, the path
    /// also has the query parameter `request`, which contains the number in hexadecimal.
    Typed(Option<u64>),
    /// Any other path.
    Other(Box<str>),
}

impl ReceiptLocation {
    fn of(text: &str, url: &BaseUrl, order: &OrderId, event: EventId, event_type: EventType) -> Self {
        let request = text.rsplit_once("&request=").and_then(|(_, tag)| u64::from_str_radix(tag, 16).ok());
        [Self::Plain, Self::Typed(request)]
            .into_iter()
            .find(|location| location.path(url, order, event, event_type) == text)
            .unwrap_or_else(|| Self::Other(text.into()))
    }

    pub(super) fn path(
        &self,
        url: &BaseUrl,
        order: &OrderId,
        event: EventId,
        event_type: EventType,
    ) -> String {
        let base = url.base_path();
        match self {
            Self::Plain => format!("{base}/v1/orders/{order}/events/{event}"),
            Self::Typed(None) => format!("{base}/v1/orders/{order}/events/{event}?type={event_type}"),
            Self::Typed(Some(request)) => {
                format!("{base}/v1/orders/{order}/events/{event}?type={event_type}&request={request:016x}")
            }
            Self::Other(text) => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_gives_the_path_that_the_service_returned() {
        let url: BaseUrl = "http://h/prod".parse().unwrap();
        let order = OrderId::parse("o-1").unwrap();
        let event: EventId = "0199aaaa-0000-7000-8000-000000000001".parse().unwrap();
        let plain = format!("/prod/v1/orders/o-1/events/{event}");
        for (text, location) in [
            (plain.clone(), ReceiptLocation::Plain),
            (format!("{plain}?type=order_paid"), ReceiptLocation::Typed(None)),
            (
                format!("{plain}?type=order_paid&request=00ff5e8c24a0b1d3"),
                ReceiptLocation::Typed(Some(0x00ff_5e8c_24a0_b1d3)),
            ),
            (
                format!("{plain}?type=order_paid&request=FF"),
                ReceiptLocation::Other(format!("{plain}?type=order_paid&request=FF").into()),
            ),
            (
                format!("{plain}?type=order_shipped"),
                ReceiptLocation::Other(format!("{plain}?type=order_shipped").into()),
            ),
            ("/elsewhere/1".to_owned(), ReceiptLocation::Other("/elsewhere/1".into())),
        ] {
            let read = ReceiptLocation::of(&text, &url, &order, event, EventType::Paid);
            assert_eq!(read, location);
            assert_eq!(read.path(&url, &order, event, EventType::Paid), text);
        }
    }
}
