//! The HTTP API of the order service: it validates requests, publishes events, and shows orders and outcomes.
//!
//! [`router`] builds the whole API from an [`AppState`], which holds the [`ports`] and, for operators, the
//! [`operations`]. [`serve`](serve()) serves the router over TCP, and `lambda` serves it behind API Gateway. All tests
//! use the same router.
//!
//! Terms are defined in `docs/glossary.md`. A request passes the modules in this order:
//!
//! 1. `http` contains what all requests share. Its server reads a request and gives it a [`Deadline`]. The outermost
//!    middleware (`correlation`) assigns a correlation id and the [`trace`], checks the host, enforces the deadline and
//!    writes every error as a problem. `http` also contains CORS, the rate limit and the links in answers.
//! 2. [`auth`] authenticates the request and puts a [`Principal`](auth::Principal) into its extensions.
//! 3. `input` reads path, query, headers and body, and collects all validation errors.
//! 4. `orders` accepts events and shows orders. `feed` shows the recorded events of all orders, and [`export`] sends them
//!    all. `operator` manages dead letters and shows the pipeline's counters. `webhooks` manages subscriptions and their
//!    deliveries. `health` answers health checks.
//! 5. `problem` builds the error answers (RFC 9457) and a page for each kind of problem.
//! 6. `describe` generates the OpenAPI and AsyncAPI descriptions and serves them. `console` serves a page for people, which
//!    uses the API.
//!
//! While the service is moved, the [`WriteGate`] refuses writes before their handlers run.
//!
//! [`expiry`] publishes events of the service itself: it proposes to cancel orders that are unpaid at their deadline.
//! [`pipeline_history`] keeps the last hour of the pipeline's counters in memory.

pub mod auth;
mod console;
mod describe;
pub mod expiry;
pub mod export;
mod feed;
mod health;
mod http;
pub mod http_client;
mod input;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod operations;
mod operator;
mod orders;
pub mod pipeline_history;
pub mod ports;
mod problem;
mod shared_order;
mod state;
mod webhooks;
mod write_gate;

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
pub use crate::http::{
    AllowedHosts, BasePath, CorsOrigins, Deadline, EventStreams, Hosts, RateLimit, ServeOptions, serve,
    with_correlation_id, with_trace_id,
};
use crate::http::{correlate, rate_limited};
pub use crate::input::BodyBudget;
pub use crate::orders::created_for;
pub use crate::state::AppState;
use crate::state::SharedState;
pub use crate::write_gate::WriteGate;

/// The whole API: `/v1`, health checks, both descriptions with `/docs`, the console, and a page for each kind of problem.
pub fn router(state: AppState) -> Router {
    let (new_id, sees_queued) = (state.new_id, state.reader.sees_queued());
    let hosts = Arc::new(state.hosts.clone());
    let DescribedRoutes { v1, others, api } = described();
    let cors = state.cors_origins.as_ref().map(|origins| origins.layer(&api));
    // The layer that is added last runs first. Authentication is added after the rate limit, so it runs before the rate
    // limit, which counts requests by principal.
    let v1 = rate_limited(write_gate::gated(v1, state.write_gate.clone()), state.rate_limit);
    let (auth, clock) = (state.auth.clone(), state.clock);
    let pages = describe::routes(api).merge(console::routes()).merge(problem::routes());
    let router = v1.merge(others).with_state(Arc::new(state)).merge(pages);
    let router = match auth {
        auth::Auth::None => router,
        auth => router.layer(middleware::from_fn_with_state((auth, clock), auth::authenticate)),
    };
    // Uses `layer_fn`, because `from_fn` would box the inner service again for each request.
    let router = router.layer(layer_fn(move |route: Route| {
        let hosts = Arc::clone(&hosts);
        service_fn(move |request| {
            let refused = hosts.refuse(&request);
            correlate(new_id, sees_queued, request, route.clone(), refused)
        })
    }));
    // CORS is the outermost layer, so that pages of other origins can read every answer, including errors.
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().api
}

/// The handlers, together with their descriptions. Both are registered in one place, so that every handler is described.
struct DescribedRoutes {
    /// The routes under `/v1`.
    v1: Router<SharedState>,
    /// The health checks.
    others: Router<SharedState>,
    api: utoipa::openapi::OpenApi,
}

fn described() -> DescribedRoutes {
    let (v1, mut api) = OpenApiRouter::with_openapi(openapi::document())
        .merge(orders::routes())
        .merge(feed::routes())
        .merge(export::routes())
        .merge(operator::routes())
        .merge(webhooks::routes())
        .split_for_parts();
    let (others, described) = health::routes().split_for_parts();
    api.merge(described);
    openapi::complete(&mut api);
    DescribedRoutes { v1, others, api }
}
