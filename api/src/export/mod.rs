//! `GET /v1/export`: the log entries of all orders, as lines of JSON. `lib.rs` adds the [`routes`]. A command that
//! serves the API from one data folder enables the endpoint with [`Exports`].
//!
//! [`mod@format`] defines the lines, which `orders export` and `orders import` share. `stream` sends them.

pub mod format;
mod stream;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Principal;
use crate::input::ExportQuery;
use crate::ports::export::LogExport;
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// The export that the endpoint sends. Only one export runs at a time, because it reads the whole log.
#[derive(Clone)]
pub struct Exports {
    log: Arc<dyn LogExport>,
    slots: Arc<Semaphore>,
}

impl Exports {
    /// Exports `log`.
    pub fn new(log: Arc<dyn LogExport>) -> Self {
        Self { log, slots: Arc::new(Semaphore::new(1)) }
    }
}

/// The endpoint and its description.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(export_events))
}

/// Exports the recorded events of all orders
///
/// Sends one line of JSON for each recorded event, as the order's log contains it: order by order, and within an order in
/// the order of the versions. All lines are from one state of the store; events that are recorded meanwhile are not
/// among them. The lines contain everything that `orders import` needs, also what other endpoints conceal.
///
/// The last line has no event. It counts the orders and events, and has the SHA-256 of all lines before it. An answer
/// without this line is not a whole export: the service stopped, or the connection broke.
///
/// The limit for the time of a request applies only until the answer begins. One export runs at a time.
#[utoipa::path(
    get,
    path = "/v1/export",
    operation_id = "exportEvents",
    tag = "operations",
    params(ExportQuery),
    responses(
        (status = 200, description = "The lines of the export", content(
            (String = "application/x-ndjson", example = json!(stream::EXAMPLE)),
        )),
        (status = 400, description = "The query has errors"),
        (status = 403, description = "The token does not allow this"),
        (status = 404, description = "The service has no export"),
    )
)]
pub(crate) async fn export_events(
    State(state): State<SharedState>,
    principal: Principal,
    query: ExportQuery,
) -> Result<Response, Problem> {
    principal.require_operator()?;
    let missing = "This service has no export. On AWS, run `orders export --aws`.";
    let exports = state.exports.as_ref().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))?;
    let slot = Arc::clone(&exports.slots).try_acquire_owned().map_err(|_| Problem::too_many_exports())?;
    stream::answer(exports.log.export(query.filter), &state, slot).await
}
