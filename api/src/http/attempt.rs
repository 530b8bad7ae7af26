//! What a request has begun to change, so that whoever answers for its handler (when it fails, panics or runs out of time)
//! can say that the outcome is not known, and where to find it. `accept`, `batch` and `operator` begin attempts; the
//! middleware in [`crate::http::correlation`] keeps the attempt of each request.

use std::borrow::Cow;

use domain::{EventId, OrderId, Receipt};

use crate::http::links::Links;
use crate::http::request_tag::RequestTag;
use crate::problem::{Problem, ProblemLinks, Subject};

/// What may have been changed.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// This event may have been accepted.
    Event(InDoubt),
    /// Some orders of a batch may have been accepted.
    Batch,
    /// The dead letter with this id may have been changed.
    Letter(String),
    /// Some dead letters may have been sent back.
    Redrive,
}

impl Attempt {
    /// The answer when the outcome is not known because of `cause`.
    pub(crate) fn problem(self, links: &Links, cause: anyhow::Error) -> Problem {
        match self {
            Self::Event(event) => event.problem(links, cause),
            Self::Batch => {
                let detail = "Some orders of the batch may have been accepted. Under an Idempotency-Key, send the same \
                    batch again: what was accepted is not accepted twice. Without a key, list the customers' orders \
                    before you send any of it again.";
                Problem::outcome_unknown(detail, Subject::default(), None, cause)
            }
            Self::Letter(id) => {
                let detail = format!(
                    "The dead letter {id} may have been changed. Read it (links.dead_letter) before you ask for the change again."
                );
                let dead_letter = Some(links.letter(&id));
                let links = ProblemLinks { dead_letter, ..ProblemLinks::default() };
                Problem::outcome_unknown(detail, Subject { links, ..Subject::default() }, None, cause)
            }
            Self::Redrive => {
                let detail = "Some dead letters may have been sent back. Send the same redrive again: it applies nothing twice.";
                Problem::outcome_unknown(detail, Subject::default(), Some(1), cause)
            }
        }
    }
}

/// An event of which it is not known whether it was accepted.
#[derive(Debug)]
pub(crate) struct InDoubt {
    order_id: OrderId,
    event_id: EventId,
    /// There is one if the request has an idempotency key.
    request: Option<RequestTag>,
}

impl InDoubt {
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let request = receipt.request_hash.as_deref().and_then(RequestTag::of);
        Self { order_id: receipt.order_id.clone(), event_id: receipt.event_id, request }
    }

    pub(crate) fn problem(self, links: &Links, cause: anyhow::Error) -> Problem {
        let Self { order_id, event_id, request } = self;
        let detail: Cow<'static, str> = match request {
            Some(_) => "The event may have been accepted. Send the same request again under the same Idempotency-Key: \
                whatever became of this one, the event happens once."
                .into(),
            None => unkeyed(event_id, links).into(),
        };
        let receipt = Some(links.receipt_in_doubt(&order_id, event_id, request));
        let found = ProblemLinks { receipt, order: Some(links.order(&order_id)), dead_letter: None };
        let subject = Subject { order_id: Some(order_id), event_id: Some(event_id), links: found };
        // Whoever retries by the header alone, without a key, could order twice.
        Problem::outcome_unknown(detail, subject, request.map(|_| 1), cause)
    }
}

/// How to go on without a key.
fn unkeyed(event_id: EventId, links: &Links) -> String {
    let absent = if links.sees_waiting() {
        "While it is 404, the event may still be being written; if it is 404 after a restart of the service, the event was \
         not accepted."
    } else {
        "While it is 404, the event has no outcome: it may still be on the queue."
    };
    format!(
        "The event {event_id} may have been accepted. Do not send the request again before you have read the event's \
         receipt (links.receipt): if it is there, the event was accepted. {absent} A request with an Idempotency-Key can \
         simply be sent again."
    )
}
