//! Records what a request is about to change. Handlers that write register a [`ChangeAttempt`]. If such a handler
//! panics or runs out of time, the middleware in `correlation` answers that the outcome is unknown. The answer also
//! states where the client can look up the outcome.

use std::borrow::Cow;

use domain::{EventId, OrderId, Receipt, SubscriptionId};

use crate::http::links::LinkBuilder;
use crate::http::request_tag::RequestTag;
use crate::problem::{Problem, ProblemLinks, ProblemSubject};

/// What a request may have changed.
#[derive(Debug)]
pub(crate) enum ChangeAttempt {
    /// An event that may have been accepted.
    Event(UncertainEvent),
    /// A batch of which some orders may have been accepted.
    Batch,
    /// The id of a dead letter that may have been changed.
    DeadLetter(String),
    /// The webhook subscription that may have been created, changed or deleted.
    Webhook(SubscriptionId),
    /// A redrive that may have sent some dead letters back to the queue.
    Redrive,
}

impl ChangeAttempt {
    /// The problem that answers a request if `cause` leaves the outcome of the change unknown.
    pub(crate) fn problem(self, links: &LinkBuilder, cause: anyhow::Error) -> Problem {
        match self {
            Self::Event(event) => event.problem(links, cause),
            Self::Batch => {
                let detail = "Some orders of the batch may have been accepted. If you sent an Idempotency-Key, send the \
                    same batch again under the same key: no order is accepted twice. Without a key, list the customers' \
                    orders before you send any of them again.";
                Problem::outcome_unknown(detail, ProblemSubject::default(), None, cause)
            }
            Self::DeadLetter(id) => {
                let detail = format!(
                    "The dead letter {id} may have been changed. Read it (links.dead_letter) before you send the request \
                     again."
                );
                let dead_letter = Some(links.dead_letter(&id));
                linked(detail, ProblemLinks { dead_letter, ..ProblemLinks::default() }, cause)
            }
            Self::Webhook(id) => {
                let detail = format!(
                    "The webhook subscription {id} may have been created, changed or deleted. Read it (links.webhook) before \
                     you send the request again."
                );
                let webhook = Some(links.webhook(id));
                linked(detail, ProblemLinks { webhook, ..ProblemLinks::default() }, cause)
            }
            Self::Redrive => {
                let detail = "Some dead letters may have been sent back to the queue. Send the same redrive again: no event \
                    is applied twice.";
                Problem::outcome_unknown(detail, ProblemSubject::default(), Some(1), cause)
            }
        }
    }
}

/// An event that may have been accepted.
#[derive(Debug)]
pub(crate) struct UncertainEvent {
    order_id: OrderId,
    event_id: EventId,
    /// The tag of the request that proposed the event. `None` if the request has no idempotency key.
    request: Option<RequestTag>,
}

impl UncertainEvent {
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let request = receipt.request_hash.as_deref().and_then(RequestTag::of);
        Self { order_id: receipt.order_id.clone(), event_id: receipt.event_id, request }
    }

    pub(crate) fn problem(self, links: &LinkBuilder, cause: anyhow::Error) -> Problem {
        let Self { order_id, event_id, request } = self;
        let detail: Cow<'static, str> = match request {
            Some(_) => "The event may have been accepted. Send the same request again under the same Idempotency-Key: \
                the event is accepted only once."
                .into(),
            None => unkeyed(event_id, links).into(),
        };
        let receipt = Some(links.uncertain_receipt(&order_id, event_id, request));
        let order = Some(links.order(&order_id));
        let found = ProblemLinks { receipt, order, ..ProblemLinks::default() };
        let subject = ProblemSubject { order_id: Some(order_id), event_id: Some(event_id), links: found };
        // Without an idempotency key, the answer has no Retry-After header, because a client that obeys the header
        // would create a second order.
        Problem::outcome_unknown(detail, subject, request.map(|_| 1), cause)
    }
}

/// The advice to a client without an idempotency key: how to find out whether the event was accepted.
fn unkeyed(event_id: EventId, links: &LinkBuilder) -> String {
    let absent = if links.sees_queued() {
        "While the answer is 404, the event may still be in progress. If it is still 404 after a restart of the service, \
         the event was not accepted."
    } else {
        "While the answer is 404, the event may still be on the queue."
    };
    format!(
        "The event {event_id} may have been accepted. Do not send the request again before you have read the event's \
         receipt (links.receipt): if it exists, the event was accepted. {absent} A request with an Idempotency-Key can \
         always be sent again."
    )
}

/// The problem for a change whose outcome is unknown. `links` lead to the resource that may have changed.
fn linked(detail: String, links: ProblemLinks, cause: anyhow::Error) -> Problem {
    let subject = ProblemSubject { links, ..ProblemSubject::default() };
    Problem::outcome_unknown(detail, subject, None, cause)
}
