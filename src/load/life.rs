//! The life that the load generator gives to an order: a part of what the rules allow. `known_orders` plans with it.

use std::fmt;

use domain::{EventType, OrderStatus};

/// The events that the load generator proposes.
pub(super) const EVENTS: [EventType; 9] = [
    EventType::Created,
    EventType::Amended,
    EventType::Confirmed,
    EventType::Paid,
    EventType::Shipped,
    EventType::Delivered,
    EventType::Cancelled,
    EventType::Returned,
    EventType::Refunded,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Legal,
    Early,
    Never,
}

/// Judges an event of this type by the state of its order alone.
pub(super) fn judge_transition(state: OrderState, event: EventType) -> Verdict {
    if next(state, event).is_some() {
        Verdict::Legal
    } else if state.can_ever_allow(event) {
        Verdict::Early
    } else {
        Verdict::Never
    }
}

/// The state of an order, as the rules see it: its status, and whether a cancelled order was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum OrderState {
    /// The order does not exist: no event is recorded.
    None,
    /// An order in this status. `Cancelled` here means cancelled before any payment.
    Is(OrderStatus),
    /// Cancelled after payment: it can be refunded.
    CancelledPaid,
}

impl OrderState {
    /// Every state.
    pub(super) const ALL: [Self; 10] = [
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

    /// Whether `event` is legal in this state, or in a state that can be reached from this state.
    pub(super) fn can_ever_allow(self, event: EventType) -> bool {
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
const TRANSITIONS: &[(OrderState, EventType, OrderState)] = {
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
pub(super) fn next(from: OrderState, event: EventType) -> Option<OrderState> {
    TRANSITIONS.iter().find(|(f, e, _)| *f == from && *e == event).map(|(_, _, to)| *to)
}
