//! The health checks `/healthz` and `/readyz`, for load balancers and orchestrators. `lib.rs` adds the [`routes`].

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Auth;
use crate::input::{ReadyFor, ReadyQuery};
use crate::problem::Problem;
use crate::state::SharedState;

/// The endpoints and their descriptions.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
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

/// Reports whether the service can handle requests
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "isReady",
    tag = "health",
    params(ReadyQuery),
    responses(
        (status = 200, description = "Ready", body = ReadyBody),
        (status = 400, description = "The query has errors"),
        (status = 503, description = "Not ready; `detail` states the reason"),
    )
)]
async fn readyz(
    State(state): State<SharedState>,
    ReadyQuery(purpose): ReadyQuery,
) -> Result<Json<ReadyBody>, Problem> {
    state.health.ready().await.map_err(Problem::not_ready)?;
    if let Auth::Tokens(verifier) = &state.auth
        && !verifier.keys().are_available().await
    {
        let why = "The service has no current keys of the issuer, so no token can be verified.";
        return Err(Problem::not_ready(why.to_owned()));
    }
    match state.health.accepts().await {
        Err(why) if purpose == ReadyFor::Writes => Err(Problem::not_ready(why)),
        accepts => Ok(Json(ReadyBody::of(accepts.err()))),
    }
}

/// What the service is ready for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    /// Always `ok`. If orders could not be read, or accepted events could not be processed, the answer would be a
    /// problem.
    #[schema(value_type = String)]
    status: &'static str,
    /// `ok` if orders can be read.
    #[schema(value_type = String)]
    reads: &'static str,
    /// `ok` if new events are accepted. `refused` if they are not, for example while the disk is nearly full.
    #[schema(value_type = String)]
    writes: &'static str,
    /// The reason why new events are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

impl ReadyBody {
    /// The answer of a service that is ready for reading. The service is also ready for writing if `refused` is `None`;
    /// otherwise `refused` is the reason why new events are refused.
    pub(crate) fn of(refused: Option<String>) -> Self {
        let writes = if refused.is_some() { "refused" } else { "ok" };
        Self { status: "ok", reads: "ok", writes, detail: refused }
    }
}

/// The answer of the health check.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// Always `ok`. A service that is not healthy answers with a problem.
    #[schema(value_type = String)]
    pub(crate) status: &'static str,
}
