//! The pipeline in numbers.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operations::Numbers;
use crate::problem::Problem;

use super::Operator;

/// The pipeline in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub(crate) struct PipelineBody {
    /// What became of everything that was accepted.
    ledger: LedgerBody,
    /// What is on the queue.
    queue: QueueBody,
    /// Dead letters that wait for somebody: parked, or on their way back.
    dead_letters: u64,
}

/// `accepted = recorded + rejected + duplicate + parked + in_flight`. A message counts once, where it is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(crate) struct LedgerBody {
    /// Messages that the queue has taken.
    accepted: u64,
    /// In an order's log.
    recorded: u64,
    /// Refused by the rules, or discarded.
    rejected: u64,
    /// Of those rejected, how many were discarded by an operator.
    discarded: u64,
    /// Of an event that had its outcome already.
    duplicate: u64,
    /// In the dead letters, and not on their way back.
    parked: u64,
    /// On the queue.
    in_flight: u64,
    /// Whether the numbers add up. Only where `exact` is true does that prove that nothing is lost. Where it is false they may
    /// not add up for a moment; if they do not for minutes, look into it.
    balanced: bool,
    /// Whether the counters are exact. On the embedded engine they are: they change in the same commit as what they count. On
    /// SQS and DynamoDB they are approximate: a consumer that is killed leaves messages uncounted, an update whose answer is
    /// lost counts twice, and SQS reports approximate depths. Such an error stays, and `balanced` may be true in spite of it.
    exact: bool,
}

/// Messages on the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueBody {
    /// That can be received now.
    visible: u64,
    /// That are being handled, or wait after a failure.
    in_flight: u64,
    /// That are not to be received yet.
    delayed: u64,
    /// How old the oldest is, in seconds; `null` if there is none, or if the queue does not tell.
    #[schema(required = true, minimum = 0)]
    oldest_seconds: Option<f64>,
}

/// Shows the pipeline in numbers
#[utoipa::path(
    get,
    path = "/v1/pipeline",
    operation_id = "getPipeline",
    tag = "operations",
    responses(
        (status = 200, description = "The numbers, as of now", body = PipelineBody),
        (status = 403, description = "The token does not allow it"),
        (status = 404, description = "This service is not told where dead letters are kept"),
    )
)]
pub(crate) async fn get_pipeline(operator: Operator) -> Result<Json<PipelineBody>, Problem> {
    Ok(Json(PipelineBody::of(&operator.operations.pipeline.numbers().await?)))
}

impl PipelineBody {
    pub(crate) fn of(numbers: &Numbers) -> Self {
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
        }
    }
}
