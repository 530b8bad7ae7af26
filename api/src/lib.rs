//! The HTTP API of the order service: it checks requests, puts events on the queue, and shows what became of them.
//!
//! One [`router`] serves every shape the service runs in, and every test. What it needs from the outside are the
//! [`ports`], given to it in an [`AppState`]; [`serve`](serve()) runs it over TCP, and `lambda` behind API Gateway.
//!
//! A request takes this way through the crate:
//!
//! 1. `correlation`: the one middleware. It gives the request a correlation id and its [`trace`], holds it to its
//!    [`Deadline`], and on the way back it writes every error as a `problem` (RFC 9457), whoever made it.
//! 2. `params` and `json` extract what the request says. A body is read by `body` in one pass that finds every fault;
//!    `dto` and `event_dto` are the bodies there are; `faults` turns what was found into JSON pointers.
//! 3. `accept` publishes events, `read` shows orders, `health` answers health checks; `responses` are their bodies,
//!    `links` the addresses in them, and `cursor` is how lists go on.
//! 4. `openapi` completes the description that registering the handlers yields, and `docs` serves it.

mod accept;
mod answer;
mod batch;
mod body;
mod conditional;
mod correlation;
mod cursor;
mod docs;
mod dto;
mod event_dto;
mod faults;
mod health;
mod history;
mod idempotency;
mod json;
#[cfg(feature = "lambda")]
pub mod lambda;
mod links;
mod openapi;
mod params;
pub mod ports;
mod prefer;
pub mod principal;
mod problem;
mod queries;
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
    let (router, api) = described();
    router.with_state(state).merge(docs::routes(api)).layer(middleware::from_fn(
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
        .routes(routes!(batch::create_orders))
        .routes(routes!(read::get_order))
        .routes(routes!(accept::propose_event, history::list_events))
        .routes(routes!(history::get_receipt))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .split_for_parts();
    openapi::complete(&mut api);
    (router, api)
}
