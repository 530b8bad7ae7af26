//! Who asks, and what they may do.
//!
//! Whoever authenticates a request leaves a [`Principal`] in its extensions; handlers find it there and ask it. A
//! request without one was let in without authentication, which the service's configuration decides: then anyone may
//! do anything.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::CustomerId;

use crate::problem::Problem;

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read orders, their history and receipts.
    Read,
    /// Create orders and propose events.
    Write,
    /// Look after dead letters and the pipeline.
    Operate,
}

impl Scope {
    /// The name of the scope, as tokens have it after their issuer's prefix, if that writes one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "orders.read",
            Self::Write => "orders.write",
            Self::Operate => "orders.operate",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Names who asks, uniquely: issuer and subject of a token. Keys of idempotency are per subject.
    pub subject: String,
    /// The scopes that were granted, as the token names them; `None`: all there are.
    pub scopes: Option<Vec<String>>,
    /// What the token's issuer writes before the names of our scopes: `orders/` makes `orders/orders.read` of
    /// `orders.read`. `None`: nothing.
    pub scope_prefix: Option<Arc<str>>,
    /// The one customer whose orders exist for this principal; `None`: everyone's do.
    pub customer_id: Option<CustomerId>,
}

impl Principal {
    /// Anyone, where requests are not authenticated.
    pub fn anyone() -> Self {
        Self { subject: String::new(), scopes: None, scope_prefix: None, customer_id: None }
    }

    /// Whether the scope was granted.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        let prefix = self.scope_prefix.as_deref().unwrap_or_default();
        let is_it = |granted: &String| granted.strip_prefix(prefix) == Some(scope.as_str());
        self.scopes.as_ref().is_none_or(|granted| granted.iter().any(is_it))
    }

    /// Fails unless the scope was granted.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        let prefix = self.scope_prefix.as_deref().unwrap_or_default();
        Err(Problem::insufficient_scope(&format!("{prefix}{}", scope.as_str())))
    }

    /// Whether the principal may look after the whole pipeline.
    pub(crate) fn operates(&self) -> bool {
        self.customer_id.is_none() && self.require(Scope::Operate).is_ok()
    }

    /// Whether this customer's orders exist for the principal.
    pub(crate) fn sees(&self, customer_id: &CustomerId) -> bool {
        self.customer_id.as_ref().is_none_or(|own| own == customer_id)
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(Self::anyone))
    }
}
