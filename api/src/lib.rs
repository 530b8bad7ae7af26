//! The HTTP API of the order service: it checks requests, puts events on the queue, and shows what became of them.
//!
//! One [`router`] serves every shape the service runs in, and every test. What it needs from the outside are the
//! [`ports`], given to it in an [`AppState`]; [`serve`](serve()) runs it over TCP, and `lambda` behind API Gateway.
//!
//! A request takes this way through the crate:
//!
//! 1. `correlation`: the outermost middleware. It gives the request a correlation id and its [`trace`], holds it to its
//!    [`Deadline`], and on the way back it writes every error as a `problem` (RFC 9457), whoever made it.
//! 2. [`auth`]: finds out who asks, and leaves it as a [`principal`].
//! 3. `params` and `json` extract what the request says. A body is read by `body` in one pass that finds every fault;
//!    `dto` and `event_dto` are the bodies there are; `faults` turns what was found into JSON pointers.
//! 4. `accept` publishes events, `read` shows orders, `health` answers health checks; `responses` are their bodies,
//!    `links` the addresses in them, and `cursor` is how lists go on.
//! 5. `openapi` completes the description that registering the handlers yields, and `docs` serves it.

mod accept;
pub mod auth;
mod body;
mod correlation;
mod cursor;
mod docs;
mod dto;
mod event_dto;
mod faults;
mod health;
mod json;
#[cfg(feature = "lambda")]
pub mod lambda;
mod links;
mod openapi;
mod params;
pub mod ports;
pub mod principal;
mod problem;
mod read;
mod responses;
mod serve;
mod state;
pub mod trace;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use crate::correlation::Deadline;
pub use crate::links::BasePath;
pub use crate::serve::serve;
pub use crate::state::AppState;

/// The whole API: `/v1`, health checks, `/openapi.json` and `/docs`.
pub fn router(state: AppState) -> Router {
    let new_id = state.new_id;
    let authenticated = middleware::from_fn_with_state((state.auth.clone(), state.clock), auth::authenticate);
    let (router, api) = described();
    // The last is the outermost, so that a request that is not let in is answered with a problem too.
    router.with_state(state).merge(docs::routes(api)).layer(authenticated).layer(middleware::from_fn(
        move |request: Request, next: Next| correlation::correlate(new_id, request, next),
    ))
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().1
}

/// The handlers and their description, registered together so that neither can be without the other.
fn described() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    let (router, mut api) = OpenApiRouter::with_openapi(openapi::document())
        .routes(routes!(accept::create_order, read::list_orders))
        .routes(routes!(read::get_order))
        .routes(routes!(accept::propose_event, read::list_events))
        .routes(routes!(read::get_receipt))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .split_for_parts();
    openapi::complete(&mut api);
    (router, api)
}
