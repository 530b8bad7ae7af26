//! The service's proposal to cancel an order that is unpaid at its deadline. The consumer decides about this proposal
//! as about every other event.

use crate::derived_ids::event_id_for_deadline;
use crate::envelope::Envelope;
use crate::event::Cancelled;
use crate::event_kinds::Event;
use crate::ids::CorrelationId;
use crate::order::Order;
use crate::value::{Text, Timestamp};

/// The actor in the envelope of a proposal.
pub const ACTOR: &str = "orders";
/// The reason in the data of a proposal.
pub const REASON: &str = "expired";

/// A proposal to cancel an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The deadline that has passed.
    pub deadline: Timestamp,
    /// The event to publish.
    pub proposal: Envelope,
}

/// Whether the order can never get a deadline again: something was captured or shipped, or nothing is left to
/// ship. Any other order without a deadline may still get one, because an authorization may be voided, and an
/// amendment may raise the total from 0.
pub fn never_expires(order: &Order) -> bool {
    let units = order.units();
    units.left() == 0 || units.shipped > 0 || order.money().captured > 0
}

/// Returns the proposal to cancel `order` if its [deadline](Order::deadline) has passed at `now`.
///
/// The proposal expects the current version of `order`. If a payment is recorded first, the proposal is rejected.
pub fn expiry(order: &Order, unpaid_age_micros: Option<i64>, now: Timestamp) -> Option<Expiry> {
    let deadline = order.deadline(unpaid_age_micros).filter(|deadline| *deadline <= now)?;
    let event_id = event_id_for_deadline(&order.order_id, deadline, order.version);
    let reason = Text::parse(REASON).expect("the reason is a valid text");
    let proposal = Envelope {
        event_id,
        order_id: order.order_id.clone(),
        timestamp: now,
        correlation_id: CorrelationId::from(event_id.as_uuid()),
        expected_version: Some(order.version),
        request_hash: None,
        actor: Some(ACTOR.to_owned()),
        event: Event::Cancelled(Cancelled { reason: Some(reason), items: None }),
    };
    Some(Expiry { deadline, proposal })
}
