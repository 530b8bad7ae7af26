//! `GET /v1/backup`: sends everything that a backup of the store contains, for `orders backup`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::input::BackupQuery;
use crate::ports::backup::{BackupStream, BackupStreamError};
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// The content type of the stream.
const OCTET_STREAM: &str = "application/octet-stream";

/// Frames that only `orders backup` reads.
#[derive(ToSchema)]
#[schema(as = BackupStream, value_type = String, format = Binary)]
#[expect(dead_code, reason = "only the schema is used")]
pub(crate) struct BackupBytes(Vec<u8>);

/// Reads a backup of the store
///
/// Sends everything that a restore needs, as of one commit: the recorded events after the position `after`, and the rows of the
/// store that cannot be derived from them. `orders backup` reads this stream and writes it to a folder or a bucket; its format
/// is for that command only. The stream contains the secrets of webhook subscriptions.
///
/// The stream ends with a frame that counts its lines. A stream without that frame was cut off, for example because the service
/// stops. Only one stream can be open at a time.
#[utoipa::path(
    get,
    path = "/v1/backup",
    operation_id = "readBackup",
    tag = "operations",
    params(BackupQuery),
    responses(
        (status = 200, description = "The stream", body = BackupBytes, content_type = "application/octet-stream"),
        (status = 400, description = "The query has errors"),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service does not keep its data in a folder"),
        (status = 409, description = "Another backup is being read"),
    )
)]
pub(crate) async fn read_backup(
    State(state): State<SharedState>,
    _: BackupOperator,
    query: BackupQuery,
) -> Result<Response, Problem> {
    let missing = "This service does not keep its data in a folder. On AWS, use point-in-time recovery of its DynamoDB tables.";
    let backups = state.backups.clone().ok_or_else(|| Problem::new(ProblemKind::NotFound, missing))?;
    let stream = backups.begin(query.0).await.map_err(|error| match error {
        BackupStreamError::Busy => Problem::new(
            ProblemKind::BackupRunning,
            "Another client is reading a backup. Try again when it has finished.",
        ),
        BackupStreamError::Failed(error) => error.into(),
    })?;
    let chunks = futures_util::stream::unfold(Some(Sending { stream, state }), |sending| async move {
        let mut sending = sending?;
        match sending.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(sending))),
            Ok(None) => None,
            // Closes the connection without ending the answer, so that the client notices the failure.
            Err(error) => Some((Err(error), None)),
        }
    });
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(OCTET_STREAM))];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

struct Sending {
    stream: Box<dyn BackupStream>,
    state: SharedState,
}

impl Sending {
    async fn chunk(&mut self) -> Result<Option<Bytes>, std::io::Error> {
        let state = Arc::clone(&self.state);
        let chunk = tokio::select! {
            () = state.stopped() => return Err(std::io::Error::other("the service stops")),
            chunk = self.stream.chunk() => chunk,
        };
        match chunk {
            Ok(chunk) => {
                let bytes = chunk.as_ref().map_or(0, Vec::len) as u64;
                counter!("orders_backup_stream_bytes_total").increment(bytes);
                Ok(chunk.map(Bytes::from))
            }
            Err(error) => {
                tracing::error!("the stream of a backup ends early: {error:#}");
                Err(std::io::Error::other("the store failed"))
            }
        }
    }
}

/// A principal that may operate the service. Unlike `Operator`, this extractor works without
/// [`operations`](crate::operations).
pub(crate) struct BackupOperator;

impl FromRequestParts<SharedState> for BackupOperator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let Ok(principal) = Principal::from_request_parts(parts, state).await;
        principal.require_operator()?;
        Ok(Self)
    }
}
