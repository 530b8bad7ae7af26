//! Who a request is from: told by a bearer token that is verified here, or by the claims of API Gateway's authorizer.
//! Either becomes a [`Principal`], by the same code.
//!
//! The middleware [`authenticate`] stands before every path that is not public. `token` takes a token apart and verifies
//! it, `keys` has the issuer's keys (`jwk`) from a file or an address (`source`), `claims` judges what it says, `failures`
//! limits what fails, `gateway` takes the claims that were verified before, and `refusal` says why a request is not let in.

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
pub use crate::auth::keys::{Keys, Refresh};
pub use crate::auth::principal::{Principal, Scope};
pub use crate::auth::source::JwksUrl;
pub use crate::auth::token::TokenVerifier;
use crate::http::network;
use crate::problem::Problem;

/// How the service finds out who a request is from.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// It does not: anyone may do anything.
    #[default]
    None,
    /// By the bearer token, which is verified here.
    Tokens(Arc<TokenVerifier>),
    /// By the claims that API Gateway's authorizer has verified and put into the event; never by a header. Only behind
    /// [`lambda`](crate::lambda): elsewhere nobody states claims, and nobody is let in.
    #[cfg(feature = "lambda")]
    Gateway {
        /// What the issuer writes before the names of our scopes, if anything: [`Principal::scope_prefix`].
        scope_prefix: Option<Arc<str>>,
    },
}

/// Lets in who may come in, and leaves their [`Principal`] in the request's extensions.
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
                let address = peer.map(|ConnectInfo(peer)| network(peer));
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

/// Whether a path is everybody's: health checks and descriptions. All others are not, also those that are yet to come.
fn is_public(path: &str) -> bool {
    let exact = ["/", "/healthz", "/readyz", "/openapi.json", "/asyncapi.json", "/docs", "/problems"];
    exact.contains(&path) || path.starts_with("/docs/") || path.starts_with("/problems/")
}

#[cfg(test)]
mod tests;
