//! The links that clients follow, written for the request they answer.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{EventId, OrderId, Receipt};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::http::request_tag::RequestTag;
use crate::state::Shared;

/// The path of an order's events, below it.
const EVENTS: &str = "/events";

/// A request extension: the path that the whole API is under, as the client sees it, such as `/prod` for a stage of
/// API Gateway. Whoever puts the router under a path takes it off the request's path and leaves it here, so that every
/// link and `Location` carries it. Without one the API is at the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(String);

impl BasePath {
    /// Reads `/one` or `/one/two`, of the characters a path needs no escapes for. Anything else is no base path: it
    /// ends up in links, so it must not be able to lead to another host.
    pub fn parse(path: &str) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"$-_.+!*'()~".contains(&c);
        let segment = |s: &str| !s.is_empty() && !matches!(s, "." | "..") && s.bytes().all(plain);
        path.strip_prefix('/')?.split('/').all(segment).then(|| Self(path.to_owned()))
    }

    /// The path, without a slash at its end; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes links: what they depend on beside the order they lead to.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    base: BasePath,
    /// Whether receipts of waiting events are found without being told the type of the event.
    sees_waiting: bool,
}

impl Links {
    /// Links of an API at the root that looks into its queue: for examples.
    pub(crate) fn at_root() -> Self {
        Self::under(BasePath::default(), true)
    }

    /// Links of an API under `base`.
    pub(crate) fn under(base: BasePath, sees_waiting: bool) -> Self {
        Self { base, sees_waiting }
    }

    pub(crate) fn order(&self, order_id: &OrderId) -> String {
        self.to_order(order_id, 0)
    }

    /// The address of an order, with room for so much behind it: every answer has several of these.
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

    /// The `Link` (RFC 8288) to the page of orders with this query.
    pub(crate) fn next_orders(&self, query: &str) -> String {
        format!("<{}/v1/orders?{query}>; rel=\"next\"", self.base.as_str())
    }

    /// The `Link` to the page of events behind this cursor.
    pub(crate) fn next_events(&self, order_id: &OrderId, limit: usize, cursor: &str) -> String {
        format!("<{}?limit={limit}&cursor={cursor}>; rel=\"next\"", self.events(order_id))
    }

    pub(crate) fn letter(&self, id: &str) -> String {
        format!("{}/v1/dead-letters/{id}", self.base.as_str())
    }

    /// The `Link` to the page of dead letters with this query.
    pub(crate) fn next_letters(&self, query: &str) -> String {
        format!("<{}/v1/dead-letters?{query}>; rel=\"next\"", self.base.as_str())
    }

    /// The address of the receipt. Where the queue cannot be looked into, it carries what the receipt of a waiting event
    /// says beside the ids, and which request under its key it belongs to.
    pub(crate) fn receipt(&self, receipt: &Receipt) -> String {
        let path = self.to_receipt(&receipt.order_id, receipt.event_id);
        if self.sees_waiting || receipt.outcome.is_some() {
            return path;
        }
        let event_type = receipt.event_type;
        match receipt.request_hash.as_deref().and_then(RequestTag::of) {
            Some(request) => format!("{path}?type={event_type}&request={request}"),
            None => format!("{path}?type={event_type}"),
        }
    }

    /// The address of the receipt of an event that may not have been accepted: it promises nothing.
    pub(crate) fn receipt_in_doubt(
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

    /// Whether receipts of waiting events are found by their ids alone.
    pub(crate) fn sees_waiting(&self) -> bool {
        self.sees_waiting
    }
}

impl FromRequestParts<Shared> for Links {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Infallible> {
        let base = parts.extensions.get::<BasePath>().cloned().unwrap_or_default();
        Ok(Self { base, sees_waiting: state.reader.sees_waiting() })
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
