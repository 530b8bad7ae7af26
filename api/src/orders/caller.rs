//! What a request that publishes has beside its body, and what comes of it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{CorrelationId, Receipt};

use crate::auth::{Principal, Scope};
use crate::http::{Deadline, Links};
use crate::input::Prefer;
use crate::orders::idempotency::IdempotencyKey;
use crate::problem::Problem;
use crate::state::Shared;

/// Who asks, and how they want it: what every request that publishes has beside its body.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) key: IdempotencyKey,
    pub(crate) prefer: Prefer,
    pub(crate) links: Links,
    pub(crate) correlation_id: CorrelationId,
    /// When the request is to be answered at the latest, if there is a limit.
    pub(crate) deadline: Option<Deadline>,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require(Scope::Write)?;
        let key = IdempotencyKey::from_request_parts(parts, state).await?;
        let Ok(prefer) = Prefer::from_request_parts(parts, state).await;
        // An outcome, and the order, are for those to see who may read.
        let prefer = if principal.may(Scope::Read) { prefer } else { prefer.without_wait() };
        let Ok(links) = Links::from_request_parts(parts, state).await;
        let correlation_id = parts.extensions.get().cloned();
        let correlation_id = correlation_id.ok_or_else(|| anyhow::anyhow!("no correlation id was given"))?;
        let deadline = parts.extensions.get().copied();
        Ok(Self { principal, key, prefer, links, correlation_id, deadline })
    }
}

/// What was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// As of then.
    pub(crate) receipt: Receipt,
    /// Whether it was accepted before, under the same key.
    pub(crate) replayed: bool,
}
