//! The state machine of an order, as one table: the rules, the API's answers, the documents and the diagram are all derived
//! from [`TRANSITIONS`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_kinds::EventType;

/// The status of an order, as readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Created; it can still be amended.
    Pending,
    /// Confirmed by the merchant.
    Confirmed,
    /// Paid by the customer.
    Paid,
    /// Shipped, not delivered yet.
    Shipped,
    /// Delivered to the customer.
    Delivered,
    /// Returned by the customer.
    Returned,
    /// Cancelled.
    Cancelled,
    /// Refunded to the customer.
    Refunded,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Confirmed,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Returned,
        Self::Cancelled,
        Self::Refunded,
    ];

    /// The inverse of [`OrderStatus::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// The status as readers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }
}

/// The state of an order, as the rules see it: its status, and whether a cancelled order was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// The order does not exist: no event is recorded.
    None,
    /// An order in this status. `Cancelled` here means cancelled before any payment.
    Is(OrderStatus),
    /// Cancelled after payment: it can be refunded.
    CancelledPaid,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Is(OrderStatus::Pending),
        Self::Is(OrderStatus::Confirmed),
        Self::Is(OrderStatus::Paid),
        Self::Is(OrderStatus::Shipped),
        Self::Is(OrderStatus::Delivered),
        Self::Is(OrderStatus::Returned),
        Self::Is(OrderStatus::Cancelled),
        Self::CancelledPaid,
        Self::Is(OrderStatus::Refunded),
    ];

    /// The status that readers see; `None` if the order does not exist.
    pub fn status(self) -> Option<OrderStatus> {
        match self {
            Self::None => None,
            Self::Is(status) => Some(status),
            Self::CancelledPaid => Some(OrderStatus::Cancelled),
        }
    }

    /// The events that are legal in this state, in the order of the table.
    pub fn allowed_events(self) -> impl Iterator<Item = EventType> {
        TRANSITIONS.iter().filter(move |(from, ..)| *from == self).map(|(_, event, _)| *event)
    }

    /// Whether `event` is legal in this state, or in a state that can be reached from this state.
    pub(crate) fn can_ever_allow(self, event: EventType) -> bool {
        OrderState::ALL.into_iter().any(|state| next(state, event).is_some() && self.reaches(state))
    }

    /// Whether some sequence of events leads from this state to `target`.
    fn reaches(self, target: Self) -> bool {
        let mut seen = vec![self];
        let mut i = 0;
        while let Some(&from) = seen.get(i) {
            for (_, _, to) in TRANSITIONS.iter().filter(|(f, ..)| *f == from) {
                if !seen.contains(to) {
                    seen.push(*to);
                }
            }
            i += 1;
        }
        seen.contains(&target)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not yet created",
            Self::Is(status) => status.as_str(),
            Self::CancelledPaid => "cancelled after payment",
        })
    }
}

/// The table. Each entry says that in one state, one event leads to another state. All other transitions are illegal.
pub const TRANSITIONS: &[(OrderState, EventType, OrderState)] = {
    use EventType as E;
    use OrderState::{CancelledPaid, Is, None};
    use OrderStatus as S;
    &[
        (None, E::Created, Is(S::Pending)),
        (Is(S::Pending), E::Amended, Is(S::Pending)),
        (Is(S::Pending), E::Confirmed, Is(S::Confirmed)),
        (Is(S::Pending), E::Cancelled, Is(S::Cancelled)),
        (Is(S::Confirmed), E::Paid, Is(S::Paid)),
        (Is(S::Confirmed), E::Cancelled, Is(S::Cancelled)),
        (Is(S::Paid), E::Shipped, Is(S::Shipped)),
        (Is(S::Paid), E::Cancelled, CancelledPaid),
        (Is(S::Shipped), E::Delivered, Is(S::Delivered)),
        (Is(S::Delivered), E::Returned, Is(S::Returned)),
        (Is(S::Returned), E::Refunded, Is(S::Refunded)),
        (CancelledPaid, E::Refunded, Is(S::Refunded)),
    ]
};

/// The state after `event` in state `from`; `None` if that is illegal.
pub fn next(from: OrderState, event: EventType) -> Option<OrderState> {
    TRANSITIONS.iter().find(|(f, e, _)| *f == from && *e == event).map(|(_, _, to)| *to)
}

/// The table as a Mermaid state diagram. `docs/api.md` contains it.
pub fn diagram() -> String {
    let name = |state: OrderState| match state {
        OrderState::None => "[*]",
        OrderState::CancelledPaid => "cancelled_after_payment",
        OrderState::Is(status) => status.as_str(),
    };
    let mut lines = vec!["stateDiagram-v2".to_owned()];
    lines.extend(
        TRANSITIONS.iter().map(|(from, event, to)| format!("    {} --> {}: {event}", name(*from), name(*to))),
    );
    lines.join("\n")
}
