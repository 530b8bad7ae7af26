//! The HTTP API of the order service: it checks requests, puts events on the queue, and shows what became of them.
//!
//! One [`router`] serves every shape the service runs in, and every test. What it needs from the outside are the
//! [`ports`], given to it in an [`AppState`]; [`serve`] runs it over TCP.
//!
//! A request takes this way through the crate:
//!
//! 1. `correlation`: the one middleware. It gives the request a correlation id, and on the way back it writes every
//!    error as a `problem` (RFC 9457), whoever made it.
//! 2. `params` and `json` extract what the request says. A body is read by `body` in one pass that finds every fault;
//!    `dto` and `event_dto` are the bodies there are; `faults` turns what was found into JSON pointers.
//! 3. `accept` publishes events, `read` shows orders, `health` answers health checks; `responses` are their bodies and
//!    `cursor` is how lists go on.
//! 4. `openapi` completes the description that registering the handlers yields.

mod accept;
mod body;
mod correlation;
mod cursor;
mod dto;
mod event_dto;
mod faults;
mod health;
mod json;
mod openapi;
mod params;
pub mod ports;
mod problem;
mod read;
mod responses;
mod serve;
mod state;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use crate::serve::serve;
pub use crate::state::AppState;

const OPENAPI_PATH: &str = "/openapi.json";

/// The whole API: `/v1`, health checks, `/openapi.json` and `/docs`.
pub fn router(state: AppState) -> Router {
    let new_id = state.new_id;
    let (router, api) = described();
    let api = Bytes::from(serde_json::to_vec(&api).expect("an OpenAPI document is plain JSON"));
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], api).into_response() };
    // No validator: it would send the description to a site outside.
    let ui = SwaggerUi::new("/docs").config(Config::new([OPENAPI_PATH]).validator_url("none"));

    router.with_state(state).route(OPENAPI_PATH, get(document)).merge(ui).layer(middleware::from_fn(
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
