//! Authenticates requests, by a bearer token that is verified here or by the claims of API Gateway's authorizer. The
//! token or the claims become a [`Principal`]. `lib.rs` puts the middleware [`authenticate`] before every path that is
//! not public.
//!
//! `token` parses and verifies tokens. `source` loads the issuer's keys from a file or a URL, `jwk` parses them, and
//! `keys` caches them. `claims` checks claims. `failures` limits failed attempts. `gateway` reads claims that API
//! Gateway has verified. `refusal` lists the reasons to refuse a request. `docs/decisions/jwt-on-ring.md` explains why
//! we verify tokens ourselves.

mod claims;
mod failures;
#[cfg(feature = "lambda")]
mod gateway;
mod jwk;
mod keys;
mod principal;
mod refusal;
mod source;
mod token;

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;

pub use crate::auth::claims::TokenRules;
pub use crate::auth::keys::{IssuerKeys, KeyRefresh};
pub use crate::auth::principal::{Principal, Scope};
pub use crate::auth::source::JwksUrl;
pub use crate::auth::token::TokenVerifier;
use crate::http::client_network;
use crate::problem::Problem;

/// How requests are authenticated.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Requests are not authenticated. Every client may do everything.
    #[default]
    None,
    /// Requests are authenticated by a bearer token, which this service verifies.
    Tokens(Arc<TokenVerifier>),
    /// Requests are authenticated by the claims that API Gateway's authorizer has verified and put into the event.
    /// Headers are not read. This works only behind [`lambda`](crate::lambda): over TCP, requests have no such claims
    /// and are refused.
    #[cfg(feature = "lambda")]
    Gateway {
        /// The prefix that the issuer writes before our scopes; see [`Principal::scope_prefix`].
        scope_prefix: Option<Arc<str>>,
    },
}

/// Refuses requests that cannot be authenticated. Puts the [`Principal`] of every other request into its extensions.
pub(crate) async fn authenticate(
    State((auth, clock)): State<(Auth, fn() -> Timestamp)>,
    mut request: Request,
    next: Next,
) -> Response {
    if is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let principal = match &auth {
        Auth::None => return next.run(request).await,
        Auth::Tokens(verifier) => match token::bearer(request.headers()).map(str::to_owned) {
            Ok(token) => {
                let peer = request.extensions().get();
                let address = peer.map(|ConnectInfo(peer)| client_network(peer));
                verifier.verify(&token, clock(), address).await
            }
            Err(refusal) => Err(refusal),
        },
        #[cfg(feature = "lambda")]
        Auth::Gateway { scope_prefix } => gateway::principal(&request, scope_prefix.clone()),
    };
    match principal {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

/// Whether a path needs no authentication. Only health checks, descriptions and the console's files are public. The
/// console contains no data, and sends a token with each of its requests. A new path needs authentication until it is
/// listed here.
fn is_public(path: &str) -> bool {
    let exact = [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/try",
        "/problems",
        "/console",
    ];
    let below = ["/docs/", "/try/", "/problems/", "/console/"];
    exact.contains(&path) || below.iter().any(|public| path.starts_with(public))
}

#[cfg(test)]
mod tests;
