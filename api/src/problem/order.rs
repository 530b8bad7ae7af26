//! Problems with an order: its status or version conflicts with the request, or the order does not exist.

use std::borrow::Cow;
use std::sync::Arc;

use domain::{AsOf, EventType, Order, OrderId, OrderStatus, Violation, allowed_events};

use super::{Problem, ProblemKind, ProblemLinks, ProblemParts, ProblemSubject};
use crate::http::LinkBuilder;

/// An order's status and version when the problem occurred, and the events that were legal at that version.
#[derive(Debug)]
pub(super) struct OrderAtRejection {
    pub(super) status: OrderStatus,
    pub(super) version: u64,
    pub(super) allowed_events: Vec<EventType>,
}

impl Problem {
    /// The problem for a request that the order's status or version does not allow.
    pub(crate) fn of_order(kind: ProblemKind, detail: impl Into<Cow<'static, str>>, order: &Order) -> Self {
        let allowed_events = allowed_events(Some(order)).collect();
        let order_at_rejection =
            OrderAtRejection { status: order.status, version: order.version, allowed_events };
        Self(Arc::new(ProblemParts { order: Some(order_at_rejection), ..Self::of(kind, detail) }))
    }

    /// Adds the guard that the event failed, with its numbers. If the guard names another order, adds a link to that
    /// order.
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

    /// Marks the problem as a replay, which means that an earlier request had the same idempotency key.
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

    /// The problem for reading an earlier state of an order: the order has not reached the version, or did not exist at the time.
    pub(crate) fn unknown_version(order: &Order, asked: AsOf) -> Self {
        let Order { order_id, version, .. } = order;
        let detail = match asked {
            AsOf::Version(asked) => {
                format!("Order {order_id} has no version {asked}; its latest version is {version}.")
            }
            AsOf::Time(time) => format!(
                "No event of order {order_id} was recorded at {time} or before; its latest version is {version}."
            ),
        };
        Self::new(ProblemKind::VersionNotFound, detail)
    }

    /// The problem for an order without recorded events.
    pub(crate) fn unknown_order(order_id: &OrderId) -> Self {
        let detail =
            format!("No event of order {order_id} is recorded. If you proposed an event, read its receipt.");
        Self::new(ProblemKind::OrderNotFound, detail)
    }
}
