//! Joins conditional writes of concurrent callers into one call. [`append`](super::append) writes through this module.
//!
//! In a Lambda function, a call takes far more CPU time than the preparation of its content, and the groups of a batch
//! reach the same step at the same time. So each write yields to the runtime once. All pending writes are then sent as
//! PartiQL statements of one `BatchExecuteStatement`. The statements are independent of each other, each has its own
//! condition, and each costs as much as a single write. A statement that fails is repeated as a single write. The error
//! of that write shows the cause.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementError, BatchStatementErrorCodeEnum, BatchStatementRequest,
};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::sdk::explain;

use super::Table;
use super::items::Attributes;

/// The maximum number of writes in one call that DynamoDB allows.
const MAX_BATCH: usize = 25;

/// The writes of all callers that wait for the next call to DynamoDB.
#[derive(Debug, Default)]
pub(super) struct WriteBatcher(Mutex<Vec<PendingWrite>>);

#[derive(Debug)]
struct PendingWrite {
    statement: BatchStatementRequest,
    /// The channel for the result: whether the write was made, or the error of the whole call.
    made: oneshot::Sender<Result<bool, String>>,
}

impl WriteBatcher {
    fn push(&self, write: PendingWrite) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(write);
    }

    fn take(&self) -> Vec<PendingWrite> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.len().min(MAX_BATCH);
        all.drain(..count).collect()
    }
}

impl Table {
    /// Makes a write in one call together with the pending writes of other callers.
    ///
    /// Returns `false` if the write was not made: its condition did not hold, it was throttled, or no other write was
    /// pending. The caller then makes the write itself.
    pub(super) async fn write_batched(&self, statement: BatchStatementRequest) -> anyhow::Result<bool> {
        let (made, mut answer) = oneshot::channel();
        self.write_batcher.push(PendingWrite { statement, made });
        yield_now().await;
        // The first caller sends all pending writes. If that caller is dropped before DynamoDB answers, the other callers
        // receive no result, and each makes its write separately.
        loop {
            let batch = self.write_batcher.take();
            if batch.is_empty() {
                break;
            }
            self.send_pending_writes(batch).await;
            if let Ok(made) = answer.try_recv() {
                return made.map_err(anyhow::Error::msg);
            }
        }
        answer.await.unwrap_or(Ok(false)).map_err(anyhow::Error::msg)
    }

    async fn send_pending_writes(&self, batch: Vec<PendingWrite>) {
        let (statements, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|write| (write.statement, write.made)).unzip();
        let made = match statements.len() {
            1 => Ok(vec![false]),
            _ => Box::pin(self.execute(statements)).await,
        };
        for (place, caller) in callers.into_iter().enumerate() {
            let made = match &made {
                Ok(made) => Ok(made.get(place).copied().unwrap_or(false)),
                Err(error) => Err(format!("{error:#}")),
            };
            // The caller may have been dropped at its deadline.
            let _ = caller.send(made);
        }
    }

    /// Returns for each statement whether its write was made. If DynamoDB refuses the whole call, returns an empty
    /// list, because no write was made. A missing answer is an error.
    async fn execute(&self, statements: Vec<BatchStatementRequest>) -> anyhow::Result<Vec<bool>> {
        let call = self.client.batch_execute_statement().set_statements(Some(statements));
        match call.send().await {
            Ok(answer) => Ok(answer.responses().iter().map(|response| is_made(response.error())).collect()),
            Err(error) if error.as_service_error().is_some() => {
                tracing::warn!(
                    "DynamoDB refused a batch of writes; each write is repeated alone: {:#}",
                    explain(error)
                );
                Ok(Vec::new())
            }
            Err(error) => Err(explain(error)).context("writing to the table"),
        }
    }
}

/// Whether the write of a statement was made. Logs the error of a failed statement, except for a failed condition,
/// which is expected.
fn is_made(error: Option<&BatchStatementError>) -> bool {
    use BatchStatementErrorCodeEnum::{ConditionalCheckFailed, DuplicateItem};
    if let Some(error) = error
        && !matches!(error.code(), Some(ConditionalCheckFailed | DuplicateItem))
    {
        let (code, message) = (error.code().map_or("", |code| code.as_str()), error.message());
        tracing::warn!(code, message, "cannot write an item in a batch; the write is repeated alone");
    }
    error.is_none()
}

/// A statement that puts an item unless its key exists.
pub(super) fn insert(table: &str, item: Attributes) -> anyhow::Result<BatchStatementRequest> {
    let mut text = format!("INSERT INTO \"{table}\" VALUE {{");
    for (place, (name, _)) in item.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        text.extend([comma, "'", name, "':?"]);
    }
    text.push('}');
    statement(text, item.into_iter().map(|(_, value)| value).collect())
}

/// A PartiQL statement with the values of its placeholders.
pub(super) fn statement(text: String, values: Vec<AttributeValue>) -> anyhow::Result<BatchStatementRequest> {
    let statement = BatchStatementRequest::builder().statement(text).set_parameters(Some(values)).build();
    statement.map_err(|error| anyhow!("{error}"))
}
