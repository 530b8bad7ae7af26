//! Conditional writes of several callers in one call.
//!
//! A call costs a function far more CPU than what it carries, and the groups of a batch come to the same step at the
//! same moment. So each write waits for a turn of the runtime, and those that met go out as PartiQL statements of one
//! `BatchExecuteStatement`: independent of each other, each with its own condition, at the price of single writes. A
//! statement only does what is plain; whatever else there is to say, a single write finds out.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementError, BatchStatementErrorCodeEnum, BatchStatementRequest,
};
use consumer::ports::Counts;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::aws::explain;

use super::Table;
use super::items::Attributes;

/// The most writes of a call. One statement less than it may have, for the ledger's.
const MAX_BATCH: usize = 24;

/// Writes that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Together(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    statement: BatchStatementRequest,
    /// What may be counted if it is made.
    counts: Counts,
    /// Whether it was made, or why none of its call could be.
    told: oneshot::Sender<Result<bool, String>>,
}

impl Together {
    fn push(&self, waiting: Waiting) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    }

    fn take(&self) -> Vec<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.len().min(MAX_BATCH);
        all.drain(..count).collect()
    }
}

impl Table {
    /// Makes a write in one call with those that others want to make now. `false` says that it was not made, be it by
    /// its condition, for throttling, or because it was alone: then the caller makes it by itself.
    ///
    /// The counts may go into the ledger with it, where that is done ([`ahead`](super::ahead)).
    pub(super) async fn write_together(
        &self,
        statement: BatchStatementRequest,
        counts: Counts,
    ) -> anyhow::Result<bool> {
        let (told, mut answer) = oneshot::channel();
        self.together.push(Waiting { statement, counts, told });
        yield_now().await;
        // Whoever comes first sends for all. If it is dropped on the way, those that waited for it are told nothing.
        loop {
            let batch = self.together.take();
            if batch.is_empty() {
                break;
            }
            self.send_together(batch).await;
            if let Ok(made) = answer.try_recv() {
                return made.map_err(anyhow::Error::msg);
            }
        }
        answer.await.unwrap_or(Ok(false)).map_err(anyhow::Error::msg)
    }

    async fn send_together(&self, batch: Vec<Waiting>) {
        let counts = batch.iter().map(|waiting| waiting.counts).sum();
        let (statements, told): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.statement, waiting.told)).unzip();
        let made = match self.account(counts) {
            Some(account) => self.execute_counting(statements, counts, account).await,
            None if statements.len() == 1 => Ok(vec![false]),
            None => Box::pin(self.execute(statements)).await,
        };
        for (place, told) in told.into_iter().enumerate() {
            let made = match &made {
                Ok(made) => Ok(made.get(place).copied().unwrap_or(false)),
                Err(error) => Err(format!("{error:#}")),
            };
            // Its caller may have run out of time.
            let _ = told.send(made);
        }
    }

    /// Which of the statements were made: none if the call is refused. An error if there is no answer.
    pub(super) async fn execute(&self, statements: Vec<BatchStatementRequest>) -> anyhow::Result<Vec<bool>> {
        let call = self.client.batch_execute_statement().set_statements(Some(statements));
        match call.send().await {
            Ok(answer) => Ok(answer.responses().iter().map(|response| is_made(response.error())).collect()),
            Err(error) if error.as_service_error().is_some() => {
                tracing::warn!("cannot write several items in one call: {:#}", explain(error));
                Ok(Vec::new())
            }
            Err(error) => Err(explain(error)).context("writing to the table"),
        }
    }
}

/// Whether a statement with this error was made. That its condition does not hold is nothing to tell.
fn is_made(error: Option<&BatchStatementError>) -> bool {
    use BatchStatementErrorCodeEnum::{ConditionalCheckFailed, DuplicateItem};
    if let Some(error) = error
        && !matches!(error.code(), Some(ConditionalCheckFailed | DuplicateItem))
    {
        let (code, message) = (error.code().map_or("", |code| code.as_str()), error.message());
        tracing::warn!(code, message, "cannot write an item in one call with others");
    }
    error.is_none()
}

/// Puts an item, unless there is one with its key.
pub(super) fn insert(table: &str, item: Attributes) -> anyhow::Result<BatchStatementRequest> {
    let mut text = format!("INSERT INTO \"{table}\" VALUE {{");
    for (place, (name, _)) in item.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        text.extend([comma, "'", name, "':?"]);
    }
    text.push('}');
    statement(text, item.into_iter().map(|(_, value)| value).collect())
}

/// A statement with the values of its question marks.
pub(super) fn statement(text: String, values: Vec<AttributeValue>) -> anyhow::Result<BatchStatementRequest> {
    let statement = BatchStatementRequest::builder().statement(text).set_parameters(Some(values)).build();
    statement.map_err(|error| anyhow!("{error}"))
}
