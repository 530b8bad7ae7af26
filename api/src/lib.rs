//! The HTTP API of the order service: it checks requests, publishes events, and shows what became of them.
//!
//! One [`router`] serves every shape the service runs in, and every test. What it needs from the outside are the
//! [`ports`], and for operators the [`operations`], given to it in an [`AppState`]; [`serve`](serve()) runs it over TCP, and `lambda` behind API Gateway.
//!
//! A request takes this way through the crate:
//!
//! 1. [`serve`](serve()) reads it, as long as it arrives in time, and gives it a [`Deadline`].
//! 2. `correlation`, the middleware around all others, gives it a correlation id and its [`trace`], holds it to its
//!    deadline, and on the way back it writes every error as a `problem` (RFC 9457), whoever made it; `headers` keeps
//!    browsers and caches in check, and `hosts` names that are not ours. `cors` answers the preflights of browsers, and `limit` counts requests under `/v1`.
//!    [`auth`] finds out who asks, and leaves it as a [`Principal`](auth::Principal).
//! 3. `params` and `json` extract what the request says, within the `budget` that all bodies have together. A body is read
//!    by `body` in one pass that finds every error; `dto` and `event_dto` are the bodies there are; `faults` keeps what was
//!    found, with JSON pointers.
//! 4. `accept` publishes events, `read` shows orders, `health` answers health checks; `responses` are their bodies,
//!    `links` the addresses in them, and `cursor` is how lists go on.
//! 5. `operator` is what operators do with dead letters, and the numbers they read.
//! 6. `openapi` completes the description that registering the handlers yields, `asyncapi` describes the queue's
//!    messages, and `docs` serves both; `problem_pages` has a page for each of the `kinds` of problem.

pub mod auth;
mod describe;
mod health;
mod http;
pub mod http_client;
mod input;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod operations;
mod operator;
mod orders;
pub mod ports;
mod problem;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::Route;
use tower::layer::layer_fn;
use tower::service_fn;
use utoipa_axum::router::OpenApiRouter;

pub use crate::describe::asyncapi;
use crate::describe::openapi;
pub use crate::http::trace;
use crate::http::{correlation, rate_limited};
pub use crate::http::{
    AllowedHosts, BasePath, CorsOrigins, Deadline, Hosts, RateLimit, ServeOptions, serve, with_correlation_id,
};
pub use crate::input::BodyBudget;
pub use crate::orders::created_for;
pub use crate::state::AppState;
use crate::state::Shared;

/// The whole API: `/v1`, health checks, both descriptions with `/docs`, and a page for each kind of problem.
pub fn router(state: AppState) -> Router {
    let (new_id, sees_waiting) = (state.new_id, state.reader.sees_waiting());
    let hosts = Arc::new(state.hosts.clone());
    let cors = state.cors_origins.as_ref().map(CorsOrigins::layer);
    let Described { v1, others, api } = described();
    // What a route is wrapped in last runs first: authentication, which tells whom to count for, goes around this.
    let v1 = rate_limited(v1, state.rate_limit);
    let (auth, clock) = (state.auth.clone(), state.clock);
    let router =
        v1.merge(others).with_state(Arc::new(state)).merge(describe::routes(api)).merge(problem::routes());
    let router = match auth {
        auth::Auth::None => router,
        auth => router.layer(middleware::from_fn_with_state((auth, clock), auth::authenticate)),
    };
    // Not by `from_fn`, which boxes the rest of the way once more for each request.
    let router = router.layer(layer_fn(move |route: Route| {
        let hosts = Arc::clone(&hosts);
        service_fn(move |request| {
            let refused = hosts.refuse(&request);
            correlation::correlate(new_id, sees_waiting, request, route.clone(), refused)
        })
    }));
    // Around everything, so that pages can read every answer, whoever made it.
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().api
}

/// The handlers and their description, registered together so that neither can be without the other.
struct Described {
    /// What clients use.
    v1: Router<Shared>,
    /// What whoever runs the service uses.
    others: Router<Shared>,
    api: utoipa::openapi::OpenApi,
}

fn described() -> Described {
    let (v1, mut api) = OpenApiRouter::with_openapi(openapi::document())
        .merge(orders::routes())
        .merge(operator::routes())
        .split_for_parts();
    let (others, described) = health::routes().split_for_parts();
    api.merge(described);
    openapi::complete(&mut api);
    Described { v1, others, api }
}
