//! The endpoint that returns the pipeline's counters.

use axum::Json;
use domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operations::{BackupReport, PipelineCounters};
use crate::problem::Problem;

use super::Operator;

/// The pipeline's counters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub(crate) struct PipelineBody {
    /// The ledger, which counts what happened to all accepted events.
    ledger: LedgerBody,
    /// The messages on the queue.
    queue: QueueBody,
    /// The number of dead letters that are parked, or were sent back and are not finished yet.
    dead_letters: u64,
    /// The continuous backup. Absent if the service has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    backup: Option<BackupBody>,
}

/// The continuous backup of the service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupStatus)]
pub(crate) struct BackupBody {
    /// Where the backup is.
    #[schema(example = "s3://backups/orders")]
    target: String,
    /// When the latest increment was begun. Absent if there was none since the start of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, format = "date-time")]
    last_at: Option<Timestamp>,
    /// The position up to which the latest increment contains the events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<u64>,
    /// The time since the latest increment in seconds, or 0 if nothing has changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    lag_seconds: Option<f64>,
    /// The number of events after the latest increment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lag_events: Option<u64>,
    /// The number of attempts that failed since the start of the service.
    failures: u64,
    /// Why the latest attempt failed. Absent if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// The conservation equation: `accepted = recorded + rejected + duplicate + parked + in_flight`. Each message counts once,
/// by its current state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(crate) struct LedgerBody {
    /// The number of messages that the queue accepted. On SQS, which does not count them, it is the sum of the other
    /// numbers.
    accepted: u64,
    /// The number of messages whose event was recorded.
    recorded: u64,
    /// The number of messages whose event was rejected by the rules or discarded by an operator.
    rejected: u64,
    /// The part of `rejected` that operators discarded.
    discarded: u64,
    /// The number of messages whose event had an outcome already.
    duplicate: u64,
    /// The number of messages that are parked as dead letters. Dead letters that were sent back to the queue are not
    /// included.
    parked: u64,
    /// The number of messages on the queue. SQS reports it approximately.
    in_flight: u64,
    /// Whether the equation holds. `true` proves that no message is lost. `null` if nothing can be compared, because
    /// `accepted` is derived from the other numbers, as on SQS.
    #[schema(required = true)]
    balanced: Option<bool>,
    /// Whether each outcome is counted exactly once, whatever fails: `recorded`, `rejected`, `discarded` and `duplicate`.
    /// On the embedded engine it is always true. On SQS and DynamoDB it is false if an earlier version of the service has
    /// counted a part.
    exact: bool,
}

/// Messages on the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueBody {
    /// The number of messages that can be received now.
    visible: u64,
    /// The number of messages that are being handled, or are in backoff after a failure.
    in_flight: u64,
    /// The number of messages that cannot be received yet.
    delayed: u64,
    /// The age of the oldest message in seconds. `null` if the queue is empty or does not report the age.
    #[schema(required = true, minimum = 0)]
    oldest_seconds: Option<f64>,
}

/// Shows the pipeline's counters
#[utoipa::path(
    get,
    path = "/v1/pipeline",
    operation_id = "getPipeline",
    tag = "operations",
    responses(
        (status = 200, description = "The current counters", body = PipelineBody),
        (status = 403, description = "The token does not allow this request"),
        (status = 404, description = "The service has no access to the dead letters"),
    )
)]
pub(crate) async fn get_pipeline(operator: Operator) -> Result<Json<PipelineBody>, Problem> {
    let pipeline = &operator.operations.pipeline;
    Ok(Json(PipelineBody::of(&pipeline.counters().await?, pipeline.backup())))
}

impl PipelineBody {
    pub(crate) fn of(numbers: &PipelineCounters, backup: Option<BackupReport>) -> Self {
        let ledger = &numbers.ledger;
        Self {
            ledger: LedgerBody {
                accepted: ledger.accepted,
                recorded: ledger.recorded,
                rejected: ledger.rejected,
                discarded: ledger.discarded,
                duplicate: ledger.duplicate,
                parked: ledger.parked,
                in_flight: numbers.queued(),
                balanced: numbers.balanced(),
                exact: numbers.exact,
            },
            queue: QueueBody {
                visible: numbers.visible,
                in_flight: numbers.in_flight,
                delayed: numbers.delayed,
                oldest_seconds: numbers.oldest.map(|age| age.as_secs_f64()),
            },
            dead_letters: numbers.dead_letters,
            backup: backup.map(BackupBody::of),
        }
    }
}

impl BackupBody {
    fn of(report: BackupReport) -> Self {
        Self {
            target: report.target,
            last_at: report.last.map(|last| last.time),
            position: report.last.map(|last| last.position),
            lag_seconds: report.lag.map(|lag| lag.as_secs_f64()),
            lag_events: report.lag_events,
            failures: report.failures,
            error: report.error,
        }
    }
}
