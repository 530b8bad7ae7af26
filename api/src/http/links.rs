//! Writes the links in answers. Handlers get a [`LinkBuilder`] as an extractor.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{EventId, OrderId, Receipt, SubscriptionId};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::http::request_tag::RequestTag;
use crate::state::SharedState;

/// The path of an order's events, relative to the path of the order.
const EVENTS: &str = "/events";

/// A request extension: the path under which the client sees the API, such as `/prod` for a stage of API Gateway. Code
/// that mounts the router under a path removes that path from the request's path and inserts this extension. Then every
/// link and `Location` contains the path. Without this extension, the API is at the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(String);

impl BasePath {
    /// Parses a path of one or more segments without a trailing slash, such as `/one/two`. The path becomes part of
    /// links, so it may contain only characters that need no escaping, and the links must not point to another host.
    pub fn parse(path: &str) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"$-_.+!*'()~".contains(&c);
        let segment = |s: &str| !s.is_empty() && !matches!(s, "." | "..") && s.bytes().all(plain);
        path.strip_prefix('/')?.split('/').all(segment).then(|| Self(path.to_owned()))
    }

    /// The path without a trailing slash. Empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Builds links for one request.
#[derive(Debug, Clone)]
pub(crate) struct LinkBuilder {
    base: BasePath,
    /// Whether the receipts of queued events can be found; see
    /// [`OrderReader::sees_queued`](crate::ports::OrderReader::sees_queued).
    sees_queued: bool,
}

impl LinkBuilder {
    /// Builds the links in the examples of the descriptions.
    pub(crate) fn at_root() -> Self {
        Self::under(BasePath::default(), true)
    }

    pub(crate) fn under(base: BasePath, sees_queued: bool) -> Self {
        Self { base, sees_queued }
    }

    pub(crate) fn are_at_root(&self) -> bool {
        self.base.as_str().is_empty()
    }

    pub(crate) fn order(&self, order_id: &OrderId) -> String {
        self.to_order(order_id, 0)
    }

    /// The path of an order, with spare capacity for `more` bytes, so that extending the path does not allocate again.
    /// Every answer contains several links that begin with this path.
    fn to_order(&self, order_id: &OrderId, more: usize) -> String {
        const ORDERS: &str = "/v1/orders/";
        let (base, order_id) = (self.base.as_str(), order_id.as_str());
        let mut link = String::with_capacity(base.len() + ORDERS.len() + order_id.len() + more);
        link.push_str(base);
        link.push_str(ORDERS);
        link.push_str(order_id);
        link
    }

    pub(crate) fn events(&self, order_id: &OrderId) -> String {
        let mut link = self.to_order(order_id, EVENTS.len());
        link.push_str(EVENTS);
        link
    }

    pub(crate) fn dead_letter(&self, id: &str) -> String {
        format!("{}/v1/dead-letters/{id}", self.base.as_str())
    }

    pub(crate) fn webhook(&self, id: SubscriptionId) -> String {
        format!("{}/v1/webhooks/{id}", self.base.as_str())
    }

    pub(crate) fn deliveries(&self, webhook: SubscriptionId) -> String {
        format!("{}/deliveries", self.webhook(webhook))
    }

    /// The value of the `Link` header that leads to the next page of a subscription's deliveries.
    pub(crate) fn next_deliveries(&self, webhook: SubscriptionId, query: &str) -> String {
        next_page(&self.deliveries(webhook), query)
    }

    /// The value of the `Link` header (RFC 8288) that leads to the next page of orders.
    pub(crate) fn next_orders(&self, query: &str) -> String {
        next_page(&format!("{}/v1/orders", self.base.as_str()), query)
    }

    /// The value of the `Link` header that leads to the next page of an order's events.
    pub(crate) fn next_events(&self, order_id: &OrderId, query: &str) -> String {
        next_page(&self.events(order_id), query)
    }

    /// The value of the `Link` header that leads to the next page of an order's rejected events.
    pub(crate) fn next_rejections(&self, order_id: &OrderId, query: &str) -> String {
        next_page(&format!("{}/rejections", self.order(order_id)), query)
    }

    /// The value of the `Link` header that leads to the next page of the feed.
    pub(crate) fn next_feed(&self, query: &str) -> String {
        next_page(&format!("{}/v1/events", self.base.as_str()), query)
    }

    /// The value of the `Link` header that leads to the next page of dead letters.
    pub(crate) fn next_dead_letters(&self, query: &str) -> String {
        next_page(&format!("{}/v1/dead-letters", self.base.as_str()), query)
    }

    /// The link to a receipt. If the queue cannot be searched, the receipt of a queued event must be built from the
    /// link alone. So the link also contains the event's type and, if the request has an idempotency key, the request's
    /// tag.
    pub(crate) fn receipt(&self, receipt: &Receipt) -> String {
        let path = self.to_receipt(&receipt.order_id, receipt.event_id);
        if self.sees_queued || receipt.outcome.is_some() {
            return path;
        }
        let event_type = receipt.event_type;
        match receipt.request_hash.as_deref().and_then(RequestTag::of) {
            Some(request) => format!("{path}?type={event_type}&request={request}"),
            None => format!("{path}?type={event_type}"),
        }
    }

    /// The link to the receipt of an event that may not have been accepted. The link omits the event's type, because a
    /// type in the link states that the event was accepted.
    pub(crate) fn uncertain_receipt(
        &self,
        order_id: &OrderId,
        event_id: EventId,
        request: Option<RequestTag>,
    ) -> String {
        let path = self.to_receipt(order_id, event_id);
        match request {
            Some(request) => format!("{path}?request={request}"),
            None => path,
        }
    }

    fn to_receipt(&self, order_id: &OrderId, event_id: EventId) -> String {
        let mut path = self.to_order(order_id, EVENTS.len() + 1 + Hyphenated::LENGTH);
        path.push_str(EVENTS);
        path.push('/');
        path.push_str(event_id.as_uuid().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        path
    }

    /// Whether the receipt of a queued event can be found by the ids of the order and the event alone.
    pub(crate) fn sees_queued(&self) -> bool {
        self.sees_queued
    }
}

fn next_page(path: &str, query: &str) -> String {
    format!("<{path}?{query}>; rel=\"next\"")
}

impl FromRequestParts<SharedState> for LinkBuilder {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Infallible> {
        let base = parts.extensions.get::<BasePath>().cloned().unwrap_or_default();
        Ok(Self { base, sees_queued: state.reader.sees_queued() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_plain_segments() {
        for yes in ["/prod", "/shop/v1", "/a-b_c.d~", "/$x+!*'()"] {
            assert_eq!(BasePath::parse(yes).as_ref().map(BasePath::as_str), Some(yes));
        }
        for no in
            ["", "/", "prod", "/prod/", "//host", "/a//b", "/a/..", "/.", "/a%20b", "/a?b", "/a\\b", "/é"]
        {
            assert_eq!(BasePath::parse(no), None, "{no:?}");
        }
    }
}
