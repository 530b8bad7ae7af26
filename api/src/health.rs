//! Health checks, for whoever keeps the service running.

use axum::Json;
use axum::extract::State;

use crate::problem::Problem;
use crate::responses::HealthBody;
use crate::state::Shared;

/// Tells that the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "isAlive",
    tag = "health",
    responses((status = 200, description = "Alive", body = HealthBody))
)]
pub(crate) async fn healthz() -> Json<HealthBody> {
    Json(HealthBody { status: "ok" })
}

/// Tells whether the service can take requests
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "isReady",
    tag = "health",
    responses(
        (status = 200, description = "Ready", body = HealthBody),
        (status = 503, description = "Not ready; the detail says why"),
    )
)]
pub(crate) async fn readyz(State(state): State<Shared>) -> Result<Json<HealthBody>, Problem> {
    state.health.ready().await.map_err(Problem::not_ready)?;
    Ok(Json(HealthBody { status: "ok" }))
}
