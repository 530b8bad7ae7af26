//! Records what a request is about to change. Handlers that write register a [`ChangeAttempt`]. If such a handler
//! panics or runs out of time, the middleware in `correlation` answers that the outcome is unknown and where the client
//! can find it.

use std::borrow::Cow;

use domain::{EventId, OrderId, Receipt};

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
    /// A redrive that may have sent some dead letters back to the queue.
    Redrive,
}

impl ChangeAttempt {
    /// The answer to a request if `cause` leaves the outcome of the change unknown.
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
                let links = ProblemLinks { dead_letter, ..ProblemLinks::default() };
                Problem::outcome_unknown(
                    detail,
                    ProblemSubject { links, ..ProblemSubject::default() },
                    None,
                    cause,
                )
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
    /// The key to repeat the request with. `None` if the request has no idempotency key.
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
        let found = ProblemLinks { receipt, order: Some(links.order(&order_id)), dead_letter: None };
        let subject = ProblemSubject { order_id: Some(order_id), event_id: Some(event_id), links: found };
        // Without a key, there is no Retry-After. A client that retries because of it would create a second order.
        Problem::outcome_unknown(detail, subject, request.map(|_| 1), cause)
    }
}

/// Tells a client without an idempotency key what to do next.
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
