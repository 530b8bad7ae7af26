//! Behind an SQS event source mapping, as a Lambda function: an invocation brings one batch.
//!
//! The mapping owns the messages: it deletes those that the answer does not name. So the answer names exactly the
//! messages that have to be received again, and not the parked ones, which are in the dead letters. That holds only
//! while the mapping has `ReportBatchItemFailures` on; without it, it ignores the answer and deletes them all.
//!
//! The mapping deletes after the answer, and never reports whether it did. So a function counts a batch before it can know:
//! if the mapping then fails to delete a message, its outcome counts again with the next delivery.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::SqsBatchResponse;
use futures_util::future::BoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::execute::{self, Handled, Outcome};
use crate::metering;
use crate::poll::retries;
use crate::ports::Inbox;

mod event;

pub use event::Batch;

/// The most that is kept of an invocation's time to change visibility timeouts and to answer.
const MARGIN: Duration = Duration::from_secs(1);

/// Whether an event, which is no batch, only keeps the environment warm.
pub type IsPing = fn(&str) -> bool;

/// What is to be done after each invocation, before it is answered: then the environment may be frozen.
pub type AfterEach = fn() -> BoxFuture<'static, ()>;

/// Serves invocations, one at a time, for as long as the environment lives.
pub async fn run(
    work: Arc<dyn execute::Handler>,
    inbox: Arc<dyn Inbox>,
    is_ping: IsPing,
    after_each: AfterEach,
) -> anyhow::Result<()> {
    let handler = &Handler::new(work, inbox);
    let serve = |event: LambdaEvent<Box<RawValue>>| async move {
        let answer = handler.answer(event, is_ping).await;
        after_each().await;
        answer.map_err(|error| diagnostic(&error))
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(anyhow::Error::from_boxed)
}

fn diagnostic(error: &anyhow::Error) -> Diagnostic {
    Diagnostic { error_type: "orders::consumer".to_owned(), error_message: format!("{error:#}") }
}

/// Handles invocations. Built once for an environment, so that connections outlive invocations.
#[derive(Clone)]
pub struct Handler {
    work: Arc<dyn execute::Handler>,
    /// Only to set when a message comes back; the event source mapping receives and deletes.
    inbox: Arc<dyn Inbox>,
}

impl Handler {
    /// A handler of batches of the queue behind `inbox`.
    pub fn new(work: Arc<dyn execute::Handler>, inbox: Arc<dyn Inbox>) -> Self {
        Self { work, inbox }
    }

    /// Handles the batch that the event is. A ping is answered like a batch without messages; every other event is an
    /// error.
    pub async fn answer(
        &self,
        event: LambdaEvent<Box<RawValue>>,
        is_ping: IsPing,
    ) -> anyhow::Result<SqsBatchResponse> {
        match Batch::read(event.payload.get()) {
            Ok(batch) => self.handle(LambdaEvent::new(batch, event.context)).await,
            Err(_) if is_ping(event.payload.get()) => Ok(SqsBatchResponse::default()),
            Err(error) => Err(error),
        }
    }

    /// Handles the batch, in the time that its context leaves, and answers with the messages to be received again.
    ///
    /// An error says that they are all to be received again, for one of those that have to be cannot be named.
    pub async fn handle(&self, event: LambdaEvent<Batch>) -> anyhow::Result<SqsBatchResponse> {
        let limits = Limits::of(event.context.deadline());
        let messages = event.payload.into_messages();
        let batch = metering::Batch::received(&messages);
        let mut handled = self.work.handle_until(messages, limits.work).await;
        self.put_off(&handled, limits.answer).await;
        let answer = answer(&handled);
        if let Err(error) = &answer {
            // They all come back, so none of them counts yet.
            handled.iter_mut().for_each(|handled| handled.outcome = Outcome::Retry(format!("{error:#}")));
        }
        batch.handled(&handled);
        if timeout_at(limits.answer, self.work.count(&handled)).await.is_err() {
            tracing::warn!("no time left to count a batch");
        }
        answer
    }

    /// Sets when the messages to be retried come back. Where that fails, or takes too long, they come back at the
    /// queue's visibility timeout.
    async fn put_off(&self, handled: &[Handled], until: Instant) {
        let again = retries(handled);
        if again.is_empty() {
            return;
        }
        match timeout_at(until, self.inbox.retry(&again)).await {
            Ok(results) => {
                for error in results.into_iter().filter_map(Result::err) {
                    tracing::warn!("cannot set when a message comes back: {error:#}");
                }
            }
            Err(_) => tracing::warn!("no time left to set when {} messages come back", again.len()),
        }
    }
}

/// By when an invocation has to be done with what.
struct Limits {
    /// With the messages.
    work: Instant,
    /// With everything but the answer.
    answer: Instant,
}

impl Limits {
    /// Keeps up to [`MARGIN`] of the time until `deadline`, at which Lambda kills the environment and the whole batch
    /// comes back; but no more than a fifth of it, so that a short timeout is still spent on the messages.
    fn of(deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let margin = MARGIN.min(left / 5);
        let now = Instant::now();
        Self { work: now + (left - margin), answer: now + (left - margin / 2) }
    }
}

/// Names the messages to be retried. An answer that named one by an empty id would fail the whole batch as well, but
/// without a word in the logs; so it is an error.
fn answer(handled: &[Handled]) -> anyhow::Result<SqsBatchResponse> {
    let mut answer = SqsBatchResponse::default();
    for Handled { message, outcome } in handled {
        if let Outcome::Retry(why) = outcome {
            anyhow::ensure!(
                !message.id.is_empty(),
                "the whole batch has to be retried, because a message without an id has to be: {why}"
            );
            answer.add_failure(message.id.as_str());
        }
    }
    Ok(answer)
}
