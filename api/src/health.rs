//! Health checks, for whoever keeps the service running.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Auth;
use crate::input::{ReadyFor, ReadyQuery};
use crate::orders::{HealthBody, ReadyBody};
use crate::problem::Problem;
use crate::state::Shared;

/// The endpoints, with their description.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Reports that the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "isAlive",
    tag = "health",
    responses((status = 200, description = "Alive", body = HealthBody))
)]
async fn healthz() -> Json<HealthBody> {
    Json(HealthBody { status: "ok" })
}

/// Reports whether the service can take requests
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "isReady",
    tag = "health",
    params(ReadyQuery),
    responses(
        (status = 200, description = "Ready for what was asked", body = ReadyBody),
        (status = 400, description = "The query has faults"),
        (status = 503, description = "Not ready; the detail says why"),
    )
)]
async fn readyz(
    State(state): State<Shared>,
    ReadyQuery(purpose): ReadyQuery,
) -> Result<Json<ReadyBody>, Problem> {
    state.health.ready().await.map_err(Problem::not_ready)?;
    if let Auth::Tokens(verifier) = &state.auth
        && !verifier.keys().are_there().await
    {
        let why = "There are no current keys of the issuer, so no token can be verified.";
        return Err(Problem::not_ready(why.to_owned()));
    }
    match state.health.accepts().await {
        Err(why) if purpose == ReadyFor::Writes => Err(Problem::not_ready(why)),
        accepts => Ok(Json(ReadyBody::of(accepts.err()))),
    }
}
