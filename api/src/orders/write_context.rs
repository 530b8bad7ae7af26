//! The context of a request that publishes events. `accept`, `batch` and `answer` share it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{CorrelationId, Receipt};

use crate::auth::{Principal, Scope};
use crate::http::{Deadline, LinkBuilder};
use crate::input::{IdempotencyKey, Prefer};
use crate::problem::Problem;
use crate::state::SharedState;

/// The parts of a request that publishes events, apart from its body.
#[derive(Debug)]
pub(crate) struct WriteContext {
    pub(crate) principal: Principal,
    pub(crate) key: IdempotencyKey,
    pub(crate) prefer: Prefer,
    pub(crate) links: LinkBuilder,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) deadline: Option<Deadline>,
}

impl FromRequestParts<SharedState> for WriteContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require(Scope::Write)?;
        let key = IdempotencyKey::from_request_parts(parts, state).await?;
        let Ok(prefer) = Prefer::from_request_parts(parts, state).await;
        // Only a principal that may read can see the outcome, so only such a principal can wait for it.
        let prefer = if principal.may(Scope::Read) { prefer } else { prefer.without_wait() };
        let Ok(links) = LinkBuilder::from_request_parts(parts, state).await;
        let correlation_id = parts.extensions.get().cloned();
        let correlation_id =
            correlation_id.ok_or_else(|| anyhow::anyhow!("the request has no correlation id"))?;
        let deadline = parts.extensions.get().copied();
        Ok(Self { principal, key, prefer, links, correlation_id, deadline })
    }
}

/// An accepted event.
#[derive(Debug)]
pub(crate) struct AcceptedEvent {
    /// The receipt as it is when the event is accepted: it has no outcome yet.
    pub(crate) receipt: Receipt,
    /// Whether an earlier request under the same idempotency key was accepted.
    pub(crate) replayed: bool,
}
