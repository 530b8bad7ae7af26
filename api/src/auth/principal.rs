//! Who makes a request, and what they may do. Handlers take the [`Principal`] as an extractor.
//!
//! The authentication middleware puts the principal into the request's extensions. Requests have no principal only if
//! the service is configured without authentication. Then every client may do everything.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{CustomerId, Timestamp};

use crate::problem::{Problem, ProblemKind};

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read orders, their history and receipts.
    Read,
    /// Create orders and propose events.
    Write,
    /// Manage dead letters and webhooks, read the pipeline's counters, export events, and list the orders of all customers.
    Operate,
}

impl Scope {
    /// The name of the scope in tokens, without the issuer's prefix.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "orders.read",
            Self::Write => "orders.write",
            Self::Operate => "orders.operate",
        }
    }
}

/// The client that makes a request, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The issuer and the subject of the token, which together are unique. Idempotency keys belong to a subject.
    pub subject: String,
    /// The granted scopes, as the token names them. `None` grants all scopes.
    pub scopes: Option<Vec<String>>,
    /// The prefix that the token's issuer writes before our scopes. With `orders/`, the token contains
    /// `orders/orders.read`. `None` means no prefix.
    pub scope_prefix: Option<Arc<str>>,
    /// The only customer whose orders this principal can see. `None` allows the orders of all customers.
    pub customer_id: Option<CustomerId>,
    /// The time from which the token is refused. An open stream of events ends at that time. `None` if the principal
    /// does not expire.
    pub valid_until: Option<Timestamp>,
}

impl Principal {
    /// The principal of every request to a service without authentication.
    pub fn anyone() -> Self {
        Self {
            subject: String::new(),
            scopes: None,
            scope_prefix: None,
            customer_id: None,
            valid_until: None,
        }
    }

    /// Whether the principal has the scope `scope`.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        let prefix = self.scope_prefix.as_deref().unwrap_or_default();
        let is_it = |granted: &String| granted.strip_prefix(prefix) == Some(scope.as_str());
        self.scopes.as_ref().is_none_or(|granted| granted.iter().any(is_it))
    }

    /// Fails unless the principal has the scope `scope`.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        let prefix = self.scope_prefix.as_deref().unwrap_or_default();
        Err(Problem::insufficient_scope(&format!("{prefix}{}", scope.as_str())))
    }

    /// Whether the principal may operate the pipeline. A principal that is limited to one customer may not, because the
    /// pipeline concerns all customers.
    pub(crate) fn operates(&self) -> bool {
        self.customer_id.is_none() && self.require(Scope::Operate).is_ok()
    }

    /// Fails unless the principal may operate the service.
    pub(crate) fn require_operator(&self) -> Result<(), Problem> {
        self.require(Scope::Operate)?;
        if self.customer_id.is_none() {
            return Ok(());
        }
        let detail =
            "The token is limited to one customer. Operator requests need a token without a customer_id.";
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }

    /// The subject that is recorded with a change, or `None` if requests are not authenticated.
    pub(crate) fn name(&self) -> Option<String> {
        Some(self.subject.clone()).filter(|subject| !subject.is_empty())
    }

    /// Fails unless the principal may see the orders of all customers.
    pub(crate) fn require_all_customers(&self) -> Result<(), Problem> {
        self.require(Scope::Operate)?;
        if self.customer_id.is_none() {
            return Ok(());
        }
        let detail = "The token is limited to one customer. To list orders, add the customer_id of that customer to the query.";
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }

    /// Whether the principal can see the orders of `customer_id`.
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
