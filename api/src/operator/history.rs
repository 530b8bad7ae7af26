//! The endpoint that returns the last hour of the pipeline.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::input::SamplesQuery;
use crate::pipeline_history::{PipelineSample, SAMPLE_INTERVAL};
use crate::problem::Problem;
use crate::state::SharedState;

/// The last hour of the pipeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineHistory)]
pub(crate) struct PipelineHistoryBody {
    /// Whether the service keeps a history. On AWS it does not, because CloudWatch has it; `samples` is then empty.
    kept: bool,
    /// The time between two samples in seconds.
    #[schema(minimum = 1)]
    interval_seconds: u64,
    /// The samples, oldest first. There are fewer than those of an hour after a restart, which empties the history.
    #[schema(max_items = 360)]
    samples: Vec<PipelineSampleBody>,
}

/// The pipeline at a time. Rates and percentiles are those of the time since the sample before. `null` is unknown, or not
/// applicable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineSample)]
pub(crate) struct PipelineSampleBody {
    /// When the sample was taken.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// Messages that the queue accepted, per second. `null` in the first sample.
    #[schema(required = true, minimum = 0)]
    accepted_per_second: Option<f64>,
    /// Events that were recorded, per second. `null` in the first sample.
    #[schema(required = true, minimum = 0)]
    recorded_per_second: Option<f64>,
    /// Events that were rejected, per second. `null` in the first sample.
    #[schema(required = true, minimum = 0)]
    rejected_per_second: Option<f64>,
    /// The median of the time to publish events durably, within 7 %. `null` if nothing was published.
    #[schema(required = true, minimum = 0)]
    publish_p50_seconds: Option<f64>,
    /// The 99th percentile of the time to publish events durably, within 7 %.
    #[schema(required = true, minimum = 0)]
    publish_p99_seconds: Option<f64>,
    /// The median of the time from accepting an event until it is recorded, within 7 %. `null` if nothing was recorded.
    #[schema(required = true, minimum = 0)]
    record_p50_seconds: Option<f64>,
    /// The 99th percentile of the time from accepting an event until it is recorded, within 7 %.
    #[schema(required = true, minimum = 0)]
    record_p99_seconds: Option<f64>,
    /// The number of messages on the queue.
    queue_depth: u64,
    /// The age of the oldest message on the queue. 0 if the queue is empty.
    #[schema(required = true, minimum = 0)]
    queue_oldest_seconds: Option<f64>,
    /// The number of dead letters that are parked, or were sent back and are not finished yet.
    dead_letters: u64,
    /// The free space of the disk with the data folder.
    #[schema(required = true)]
    disk_free_bytes: Option<u64>,
    /// The time since the latest increment of the continuous backup, or 0 if nothing has changed since. `null` without a
    /// backup.
    #[schema(required = true, minimum = 0)]
    backup_lag_seconds: Option<f64>,
    /// The age of the oldest event that is not delivered to a webhook, for the subscription that lags most. `null` without
    /// a subscription.
    #[schema(required = true, minimum = 0)]
    webhook_lag_seconds: Option<f64>,
}

/// Shows the last hour of the pipeline
///
/// Returns a sample of the counters for each ten seconds of the last hour. The service keeps them in memory. To follow the
/// pipeline, ask again for the samples after the last one.
#[utoipa::path(
    get,
    path = "/v1/pipeline/history",
    operation_id = "getPipelineHistory",
    tag = "operations",
    params(SamplesQuery),
    responses(
        (status = 200, description = "The samples", body = PipelineHistoryBody),
        (status = 400, description = "The query has errors"),
        (status = 403, description = "The token does not allow this request"),
    )
)]
pub(crate) async fn get_pipeline_history(
    State(state): State<SharedState>,
    principal: Principal,
    SamplesQuery { after }: SamplesQuery,
) -> Result<Json<PipelineHistoryBody>, Problem> {
    principal.require_operator()?;
    Ok(Json(PipelineHistoryBody::of(state.history.as_ref().map(|history| history.samples(after)))))
}

impl PipelineHistoryBody {
    /// `None` if the service keeps no history.
    pub(crate) fn of(samples: Option<Vec<PipelineSample>>) -> Self {
        let kept = samples.is_some();
        let samples = samples.unwrap_or_default().iter().map(PipelineSampleBody::of).collect();
        Self { kept, interval_seconds: SAMPLE_INTERVAL.as_secs(), samples }
    }
}

impl PipelineSampleBody {
    fn of(sample: &PipelineSample) -> Self {
        let seconds = |duration: Duration| rounded(duration.as_secs_f64());
        let (publish, record) = (sample.publish, sample.record);
        Self {
            at: sample.at,
            accepted_per_second: sample.rates.map(|rates| rounded(rates.accepted)),
            recorded_per_second: sample.rates.map(|rates| rounded(rates.recorded)),
            rejected_per_second: sample.rates.map(|rates| rounded(rates.rejected)),
            publish_p50_seconds: publish.map(|found| seconds(found.p50)),
            publish_p99_seconds: publish.map(|found| seconds(found.p99)),
            record_p50_seconds: record.map(|found| seconds(found.p50)),
            record_p99_seconds: record.map(|found| seconds(found.p99)),
            queue_depth: sample.queue_depth,
            queue_oldest_seconds: sample.queue_oldest.map(seconds),
            dead_letters: sample.dead_letters,
            disk_free_bytes: sample.disk_free,
            backup_lag_seconds: sample.backup_lag.map(seconds),
            webhook_lag_seconds: sample.webhook_lag.map(seconds),
        }
    }
}

/// The number with six decimals, so that a sample is short.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
