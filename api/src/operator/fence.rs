//! The handlers of `/v1/fence`. `orders move` sets the fence, so that the service accepts no writes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::Timestamp;
use reqwest::Url;
use serde::Serialize;
use serde::de::MapAccess;
use std::sync::Arc;
use utoipa::ToSchema;
use validator::Validate;

use super::backup::BackupOperator;
use crate::input::{BodyField, FromJson, JsonBody, Parsed, ValidationCode, invalid, members, read_object};
use crate::ports::fence::Fence;
use crate::problem::{Problem, ProblemKind};
use crate::state::{AppState, SharedState};
use crate::write_gate::{FenceIsFinal, WriteGate};

/// The maximum length of an address, in bytes.
const MAX_ADDRESS: usize = 2048;

/// Whether the service accepts writes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fence)]
pub(crate) struct FenceBody {
    /// Whether the fence is set: the service answers writes with `503`.
    fenced: bool,
    /// When the fence was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    since: Option<Timestamp>,
    /// The URL of the service that takes the writes instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 2048, example = "https://orders.example")]
    address: Option<String>,
    /// Whether the fence stays for ever.
    #[serde(rename = "final")]
    is_final: bool,
}

impl FenceBody {
    pub(crate) fn of(fence: Option<Fence>) -> Self {
        match fence {
            Some(Fence { since, address, is_final }) => {
                Self { fenced: true, since: Some(since), address, is_final }
            }
            None => Self { fenced: false, since: None, address: None, is_final: false },
        }
    }
}

/// The fence to set.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FenceRequest {
    /// The URL of the service that takes the writes instead. Problems show it.
    #[schema(value_type = Option<String>, max_length = 2048, pattern = "^https?://", example = "https://orders.example")]
    address: BodyField<ServiceAddress>,
    /// Whether the fence stays for ever. A final fence cannot be lifted.
    #[schema(value_type = Option<bool>)]
    r#final: BodyField<bool>,
}

members!(FenceRequest { "address" => address, "final" => r#final });

/// The validated body of a request that sets the fence.
#[derive(Debug)]
pub(crate) struct NewFence {
    address: Option<String>,
    is_final: bool,
}

impl<'de> FromJson<'de> for NewFence {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |body: FenceRequest| {
            let address = body.address.into_valid().map(|ServiceAddress(address)| address);
            Some(Self { address, is_final: body.r#final.into_valid().unwrap_or_default() })
        })
    }
}

#[derive(Debug)]
struct ServiceAddress(String);

impl<'de> FromJson<'de> for ServiceAddress {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Parsed<Self> {
        if text.len() > MAX_ADDRESS {
            return Err(invalid(ValidationCode::Length, format!("must have at most {MAX_ADDRESS} bytes")));
        }
        let is_http = text.starts_with("https://") || text.starts_with("http://");
        match Url::parse(text) {
            Ok(url) if is_http && url.username().is_empty() && url.password().is_none() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(invalid(
                ValidationCode::Format,
                "must be an absolute https or http URL without a user name, such as https://orders.example",
            )),
        }
    }
}

fn gate(state: &AppState) -> Result<&Arc<WriteGate>, Problem> {
    let missing = "This service does not keep its data in a folder, so it has no fence.";
    state.write_gate.as_ref().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))
}

fn is_final(_: FenceIsFinal) -> Problem {
    let detail = "The fence is final: the service was moved, and never accepts writes again.";
    Problem::new(ProblemKind::FenceFinal, detail)
}

/// Reads the fence
///
/// Shows whether the service accepts writes. A fence is set while the service is moved to another place.
#[utoipa::path(
    get,
    path = "/v1/fence",
    operation_id = "readFence",
    tag = "operations",
    responses(
        (status = 200, description = "The fence", body = FenceBody),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not keep its data in a folder"),
    )
)]
pub(crate) async fn read_fence(
    State(state): State<SharedState>,
    _: BackupOperator,
) -> Result<Json<FenceBody>, Problem> {
    Ok(Json(FenceBody::of(gate(&state)?.fence())))
}

/// Sets the fence
///
/// Closes the service for writes, also after a restart. Requests that write are answered with `503` (`service-moved`), and reads
/// go on. The answer comes when every write that was accepted before has ended, so it may take some seconds. A fence that is set
/// already is changed.
#[utoipa::path(
    post,
    path = "/v1/fence",
    operation_id = "setFence",
    tag = "operations",
    request_body(content = FenceRequest, description = "The fence"),
    responses(
        (status = 200, description = "The fence", body = FenceBody),
        (status = 400, description = "The body is not JSON"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not keep its data in a folder"),
        (status = 409, description = "The fence is final"),
        (status = 422, description = "The body has errors; up to 100 are listed"),
    )
)]
pub(crate) async fn set_fence(
    State(state): State<SharedState>,
    _: BackupOperator,
    JsonBody(NewFence { address, is_final: stays }, _grant): JsonBody<NewFence>,
) -> Result<Json<FenceBody>, Problem> {
    let fence = Fence { since: (state.clock)(), address, is_final: stays };
    let fence = gate(&state)?.close(fence).await?.map_err(is_final)?;
    Ok(Json(FenceBody::of(Some(fence))))
}

/// Lifts the fence
///
/// The service accepts writes again. A final fence cannot be lifted.
#[utoipa::path(
    delete,
    path = "/v1/fence",
    operation_id = "liftFence",
    tag = "operations",
    responses(
        (status = 204, description = "The service accepts writes"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not keep its data in a folder"),
        (status = 409, description = "The fence is final"),
    )
)]
pub(crate) async fn lift_fence(
    State(state): State<SharedState>,
    _: BackupOperator,
) -> Result<StatusCode, Problem> {
    gate(&state)?.open().await?.map_err(is_final)?;
    Ok(StatusCode::NO_CONTENT)
}
