//! The state machine of an order, as one table: the code, the API's answers, the documentation and the diagram are
//! all read off [`TRANSITIONS`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::EventType;

/// Where an order stands, as readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Created, and still open to change.
    Pending,
    /// Taken on by the merchant.
    Confirmed,
    /// Paid by the customer.
    Paid,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Came back.
    Returned,
    /// Called off.
    Cancelled,
    /// Paid back.
    Refunded,
}

impl Status {
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

    /// The status that readers see as `name`.
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

/// Where an order stands, as the rules see it: a status, with what the rules must remember besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No event is recorded yet: the order does not exist.
    None,
    /// An order in this status. `Cancelled` here means cancelled before any payment.
    Is(Status),
    /// Cancelled after payment, so that a refund can follow.
    CancelledPaid,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Is(Status::Pending),
        Self::Is(Status::Confirmed),
        Self::Is(Status::Paid),
        Self::Is(Status::Shipped),
        Self::Is(Status::Delivered),
        Self::Is(Status::Returned),
        Self::Is(Status::Cancelled),
        Self::CancelledPaid,
        Self::Is(Status::Refunded),
    ];

    /// The status readers see; nothing while the order does not exist.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::None => None,
            Self::Is(status) => Some(status),
            Self::CancelledPaid => Some(Status::Cancelled),
        }
    }

    /// The events that are legal now, in the table's order.
    pub fn allowed_events(self) -> impl Iterator<Item = EventType> {
        TRANSITIONS.iter().filter(move |(from, ..)| *from == self).map(|(_, event, _)| *event)
    }

    /// Judges an event of type `event` in this state.
    pub fn legality(self, event: EventType) -> Legality {
        if let Some(next) = next(self, event) {
            return Legality::Legal(next);
        }
        let could_come =
            State::ALL.into_iter().any(|later| next(later, event).is_some() && self.reaches(later));
        if could_come { Legality::Early } else { Legality::Never }
    }

    /// Whether some sequence of events leads from here to `target`.
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

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not yet created",
            Self::Is(status) => status.as_str(),
            Self::CancelledPaid => "cancelled after payment",
        })
    }
}

/// Whether an event may happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legality {
    /// Yes; it leads to this state.
    Legal(State),
    /// Not now, but it could become legal: an unordered queue may have delivered it before its predecessors.
    Early,
    /// Not now and at no later time.
    Never,
}

/// The table: in this state, this event leads to that state. What is not here is illegal.
pub const TRANSITIONS: &[(State, EventType, State)] = {
    use EventType as E;
    use State::{CancelledPaid, Is, None};
    use Status as S;
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

/// Where `event` leads from `from`, if the table has it.
pub fn next(from: State, event: EventType) -> Option<State> {
    TRANSITIONS.iter().find(|(f, e, _)| *f == from && *e == event).map(|(_, _, to)| *to)
}

/// The table as a Mermaid state diagram, as `docs/api.md` shows it.
pub fn diagram() -> String {
    let name = |state: State| match state {
        State::None => "[*]",
        State::CancelledPaid => "cancelled_after_payment",
        State::Is(status) => status.as_str(),
    };
    let mut lines = vec!["stateDiagram-v2".to_owned()];
    lines.extend(
        TRANSITIONS.iter().map(|(from, event, to)| format!("    {} --> {}: {event}", name(*from), name(*to))),
    );
    lines.join("\n")
}
