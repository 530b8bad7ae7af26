//! The consumer as a Lambda function behind an SQS event source mapping: each invocation delivers one batch. The Lambda
//! command runs it.
//!
//! The mapping deletes all messages that the answer does not list, so the answer lists exactly the messages that must
//! be received again. Parked messages are not listed, because they are dead letters. The mapping must have the
//! setting `ReportBatchItemFailures`. Without this setting, the mapping ignores the answer and deletes all messages.
//!
//! The mapping deletes messages after the answer, and does not report whether the deletion succeeded. If the
//! mapping fails to delete a message, the metrics count that message again with its next delivery. The ledger
//! does not count it again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::SqsBatchResponse;
use futures_util::future::BoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::disposition::Disposition;
use crate::handler::{BatchHandler, HandledMessage};
use crate::metering;
use crate::poll::retries;
use crate::ports::Inbox;

mod event;

pub use event::SqsBatch;

/// The maximum time at the end of an invocation that is reserved for changing visibility timeouts and for the answer.
const MARGIN: Duration = Duration::from_secs(1);

/// Recognizes pings among the events that are not batches. A ping only keeps the environment warm.
pub type IsPing = fn(&str) -> bool;

/// A function that runs at the end of each invocation, before the answer. After the answer, Lambda may freeze the
/// environment.
pub type AfterEach = fn() -> BoxFuture<'static, ()>;

/// Serves invocations, one at a time, until the environment ends.
pub async fn run(
    work: Arc<dyn BatchHandler>,
    inbox: Arc<dyn Inbox>,
    is_ping: IsPing,
    after_each: AfterEach,
) -> anyhow::Result<()> {
    let handler = &InvocationHandler::new(work, inbox);
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

/// Handles invocations. Each environment creates one handler, so that its connections are reused across invocations.
#[derive(Clone)]
pub struct InvocationHandler {
    work: Arc<dyn BatchHandler>,
    /// The queue, which is used only to delay retries. The event source mapping receives and deletes the messages.
    inbox: Arc<dyn Inbox>,
}

impl InvocationHandler {
    /// A handler for batches of the queue behind `inbox`.
    pub fn new(work: Arc<dyn BatchHandler>, inbox: Arc<dyn Inbox>) -> Self {
        Self { work, inbox }
    }

    /// Handles an event that is a batch. A ping is answered like an empty batch. Any other event is an error.
    pub async fn answer(
        &self,
        event: LambdaEvent<Box<RawValue>>,
        is_ping: IsPing,
    ) -> anyhow::Result<SqsBatchResponse> {
        match SqsBatch::read(event.payload.get()) {
            Ok(batch) => self.handle(LambdaEvent::new(batch, event.context)).await,
            Err(_) if is_ping(event.payload.get()) => Ok(SqsBatchResponse::default()),
            Err(error) => Err(error),
        }
    }

    /// Handles the batch before the deadline of its invocation. Returns the messages to be received again.
    ///
    /// An error means that all messages of the batch must be received again, because one of the messages to retry has
    /// no id.
    pub async fn handle(&self, event: LambdaEvent<SqsBatch>) -> anyhow::Result<SqsBatchResponse> {
        let limits = Limits::of(event.context.deadline());
        let messages = event.payload.into_messages();
        let batch = metering::BatchMetrics::received(&messages);
        let mut handled = self.work.handle_until(messages, limits.work).await;
        if timeout_at(limits.answer, self.work.count(&mut handled)).await.is_err() {
            retry_uncounted(&mut handled);
        }
        self.delay_retries(&handled, limits.answer).await;
        let answer = answer(&handled);
        if let Err(error) = &answer {
            // All messages are delivered again, so the metrics do not count them now.
            handled
                .iter_mut()
                .for_each(|handled| handled.disposition = Disposition::Retry(format!("{error:#}")));
        }
        batch.handled(&handled);
        answer
    }

    /// Sets the delay of the messages to be retried. A message whose delay cannot be set in time becomes visible at the
    /// queue's visibility timeout.
    async fn delay_retries(&self, handled: &[HandledMessage], until: Instant) {
        let again = retries(handled);
        if again.is_empty() {
            return;
        }
        match timeout_at(until, self.inbox.retry(&again)).await {
            Ok(results) => {
                for error in results.into_iter().filter_map(Result::err) {
                    tracing::warn!("cannot set the delay of a retry: {error:#}");
                }
            }
            Err(_) => tracing::warn!("there is no time left to set the delay of {} retries", again.len()),
        }
    }
}

/// Retries the messages that would be acknowledged, because it is not known whether they are counted.
fn retry_uncounted(handled: &mut [HandledMessage]) {
    tracing::warn!("there is no time left to count a batch in the ledger; its messages are retried");
    for handled in handled.iter_mut().filter(|handled| handled.disposition.is_acknowledged()) {
        handled.disposition = Disposition::Retry("out of time: the message is not counted".to_owned());
    }
}

/// The deadlines within an invocation.
struct Limits {
    /// When the handling of the messages must end.
    work: Instant,
    /// When everything except the answer must be finished.
    answer: Instant,
}

impl Limits {
    /// The deadlines of an invocation that ends at `deadline`. They reserve at most [`MARGIN`], and at most a fifth
    /// of the time left, so that most of a short timeout is spent on the messages. At `deadline`, Lambda kills the
    /// environment and delivers the whole batch again.
    fn of(deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let margin = MARGIN.min(left / 5);
        let now = Instant::now();
        Self { work: now + (left - margin), answer: now + (left - margin / 2) }
    }
}

/// Lists the messages to retry. A message without an id is an error. An empty id in the answer would also make the
/// whole batch fail, but no log line would give the reason.
fn answer(handled: &[HandledMessage]) -> anyhow::Result<SqsBatchResponse> {
    let mut answer = SqsBatchResponse::default();
    for HandledMessage { message, disposition, .. } in handled {
        if let Disposition::Retry(why) = disposition {
            anyhow::ensure!(
                !message.id.is_empty(),
                "the whole batch must be retried, because a message without an id must be retried: {why}"
            );
            answer.add_failure(message.id.as_str());
        }
    }
    Ok(answer)
}
