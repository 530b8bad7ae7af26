//! Problems with the state of an order: its status or version conflicts with the request, or it does not exist.

use std::borrow::Cow;
use std::sync::Arc;

use domain::{AsOf, EventType, Order, OrderId, OrderStatus, Violation, allowed_events};

use super::{Problem, ProblemKind, ProblemLinks, ProblemParts, ProblemSubject};
use crate::http::LinkBuilder;

/// The status of an order at a version, and the events that are legal at that version.
#[derive(Debug)]
pub(super) struct OrderAtRejection {
    pub(super) status: OrderStatus,
    pub(super) version: u64,
    pub(super) allowed_events: Vec<EventType>,
}

impl Problem {
    /// The order's status or version does not allow the request.
    pub(crate) fn of_order(kind: ProblemKind, detail: impl Into<Cow<'static, str>>, order: &Order) -> Self {
        let allowed_events = allowed_events(Some(order)).collect();
        let order_at_rejection =
            OrderAtRejection { status: order.status, version: order.version, allowed_events };
        Self(Arc::new(ProblemParts { order: Some(order_at_rejection), ..Self::of(kind, detail) }))
    }

    /// Adds the guard that the event failed, its numbers, and a link to the other order that it names.
    pub(crate) fn with_violation(mut self, violation: Option<&Violation>, links: &LinkBuilder) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.violation = violation.cloned().map(Box::new);
            let other = violation.and_then(|violation| violation.order_id.as_ref());
            parts.subject = other.map(|other| ProblemSubject {
                links: ProblemLinks { order: Some(links.order(other)), ..ProblemLinks::default() },
                ..ProblemSubject::default()
            });
        }
        self
    }

    /// Marks the problem as a replay for the same idempotency key.
    pub(crate) fn of_replay(mut self) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.replayed = true;
            let detail = parts.detail.trim_end_matches('.');
            parts.detail = format!(
                "{detail}. This is the answer to the first request with this key. To propose the event again, use a new key."
            )
            .into();
        }
        self
    }

    /// The order has not reached this version, or did not exist at this time.
    pub(crate) fn unknown_version(order: &Order, asked: AsOf) -> Self {
        let Order { order_id, version, .. } = order;
        let detail = match asked {
            AsOf::Version(asked) => {
                format!("Order {order_id} has no version {asked}; its latest version is {version}.")
            }
            AsOf::Time(time) => format!(
                "No event of order {order_id} was recorded by {time}; its latest version is {version}."
            ),
        };
        Self::new(ProblemKind::VersionNotFound, detail)
    }

    /// No event of the order is recorded.
    pub(crate) fn unknown_order(order_id: &OrderId) -> Self {
        let detail =
            format!("No event of order {order_id} is recorded. If one was accepted, read its receipt.");
        Self::new(ProblemKind::OrderNotFound, detail)
    }
}
