//! `POST /v1/orders/batch`: creates many orders with one request and one call of the publisher. Each order is accepted
//! or refused independently of the others.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::event::Created;
use domain::{Envelope, Receipt};
use futures_util::future::join_all;
use tokio::time::timeout_at;

use crate::http::{ChangeAttempt, UncertainEvent, begin_change};
use crate::input::{IdempotencyKey, JsonBody, Parsed};
use crate::orders::accept::{creation, envelope, is_concurrent_replay, is_replay, receipt};
use crate::orders::batch_body::{
    BatchBody, BatchItemBody, BatchOrders, BatchRequestBody, CreateOrders, MAX_BODY,
};
use crate::orders::idempotency::{CreationPlace, EventIdentity};
use crate::orders::publish::publish_events;
use crate::orders::responses::ReceiptBody;
use crate::orders::write_context::WriteContext;
use crate::ports::{Acceptance, PublishError};
use crate::problem::{Problem, ProblemKind, REPLAYED};
use crate::state::{AppState, SharedState};

/// An order of the batch before publishing.
enum BatchItem {
    /// The order will be published. The receipt is the one that the client gets if the order is accepted.
    New(Receipt),
    Done(BatchItemResult),
}

/// The result of one order.
enum BatchItemResult {
    Accepted { receipt: Receipt, replayed: bool },
    Refused(Problem),
}

/// Creates orders
///
/// Creates up to 100 orders in one request, and returns a result for each: a receipt or a problem. An order with errors
/// does not affect the other orders. The request does not wait for outcomes.
///
/// With an `Idempotency-Key`, the whole batch can be sent again, and no order is accepted twice. The key applies to
/// each position of the batch: if an order differs from the order that was accepted at the same position, it is
/// refused. If every order was accepted before, the answer has `Idempotent-Replayed: true`.
#[utoipa::path(
    post,
    path = "/v1/orders/batch",
    operation_id = "createOrders",
    tag = "orders",
    params(IdempotencyKey),
    request_body(content = CreateOrders, description = "Up to 100 orders; at most 4 MiB"),
    responses(
        (status = 200, description = "The result of each order; accepted orders are durable", body = BatchBody<'static>),
        (status = 400, description = "The body is not valid JSON, or a header is not valid"),
        (status = 403, description = "The token does not allow this request"),
        (status = 422, description = "The body is not a list of 1–100 orders; or the key was used for a different batch, and no \
            order equals the one accepted at its position"),
        (status = 503, description = "The queue is full or cannot be reached, or the request timed out. No order was \
            accepted, unless the type is `outcome-unknown`: then some orders may have been accepted"),
    )
)]
pub(crate) async fn create_orders(
    State(state): State<SharedState>,
    context: WriteContext,
    JsonBody(BatchRequestBody(BatchOrders(orders)), grant): JsonBody<BatchRequestBody, MAX_BODY>,
) -> Result<Response, Problem> {
    let context = Arc::new(context);
    let creations = prepare_creations(Arc::clone(&state), Arc::clone(&context), orders);
    let creations = state.body_budget.work(&grant, creations).await;
    let checked = join_all(creations.into_iter().map(|creation| check_replay(&state, creation))).await;
    let (mut items, mut new) = (Vec::with_capacity(checked.len()), Vec::with_capacity(checked.len()));
    for (item, envelope) in checked {
        items.push(item);
        new.extend(envelope);
    }
    let done = publish(&state, &context, items, &new).await;
    if let Some(problem) = problem_of_all(&done) {
        return Err(problem);
    }
    let replays: Vec<bool> = done.iter().filter_map(BatchItemResult::replayed).collect();
    let items = done.iter().map(|done| item_body(&context, done)).collect();
    let mut response = Json(BatchBody { items }).into_response();
    if !replays.is_empty() && replays.iter().all(|replayed| *replayed) {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl BatchItemResult {
    /// Whether this result repeats the result of an earlier request. `None` if the order was refused.
    fn replayed(&self) -> Option<bool> {
        match self {
            Self::Accepted { replayed, .. } => Some(*replayed),
            Self::Refused(_) => None,
        }
    }
}

/// The problem that answers the whole request, or `None` if the answer lists a result for each order. There is no such
/// problem if any order was accepted or has an unknown outcome. If all orders were refused because the key was used for
/// another batch, that refusal is the problem. Otherwise, a temporary failure of any order is the problem.
fn problem_of_all(done: &[BatchItemResult]) -> Option<Problem> {
    let mut problems = Vec::with_capacity(done.len());
    for done in done {
        match done {
            BatchItemResult::Refused(problem) if problem.kind() != ProblemKind::OutcomeUnknown => {
                problems.push(problem);
            }
            _ => return None,
        }
    }
    let all_reused = problems.iter().all(|problem| problem.kind() == ProblemKind::IdempotencyKeyReused);
    let unavailable = |problem: &&&Problem| problem.status() == StatusCode::SERVICE_UNAVAILABLE;
    let problem = if all_reused { problems.last() } else { problems.iter().rfind(unavailable) };
    problem.map(|problem| Problem::clone(problem))
}

/// An order that is ready to be published, or the problem with which it is refused.
type PreparedCreation = Result<(EventIdentity, Receipt, Envelope), Problem>;

/// Returns a closure that prepares the events of the orders. The closure runs on a worker thread if the body is large.
fn prepare_creations(
    state: SharedState,
    context: Arc<WriteContext>,
    orders: Vec<Parsed<Created>>,
) -> impl FnOnce() -> Vec<PreparedCreation> + Send + 'static {
    move || {
        let create = |(position, order): (usize, Parsed<Created>)| {
            let created = order.map_err(|errors| Problem::of_body(*errors))?;
            let event = creation(&context.principal, created)?;
            let place = CreationPlace::InBatch(position);
            let identity = context.key.of_creation(&state, &context.principal, &event, place);
            let receipt = receipt(&identity, &event);
            let envelope = envelope(&state, &context, identity.clone(), event, None);
            Ok((identity, receipt, envelope))
        };
        orders.into_iter().enumerate().map(create).collect()
    }
}

/// Checks whether the order was accepted before. If not, returns the event to publish.
async fn check_replay(state: &AppState, creation: PreparedCreation) -> (BatchItem, Option<Envelope>) {
    let refused = |problem| (BatchItem::Done(BatchItemResult::Refused(problem)), None);
    match creation {
        Ok((identity, receipt, envelope)) => match is_replay(state, &identity).await {
            Ok(true) => (BatchItem::Done(BatchItemResult::Accepted { receipt, replayed: true }), None),
            Ok(false) => (BatchItem::New(receipt), Some(envelope)),
            Err(problem) => refused(problem),
        },
        Err(problem) => refused(problem),
    }
}

/// Publishes the new events in one call.
async fn publish(
    state: &AppState,
    context: &WriteContext,
    items: Vec<BatchItem>,
    new: &[Envelope],
) -> Vec<BatchItemResult> {
    let mut results = if new.is_empty() { None } else { publish_in_time(state, context, new).await };
    let mut done = Vec::with_capacity(items.len());
    for item in items {
        done.push(match item {
            BatchItem::New(receipt) => {
                let result = results.as_mut().map(|results| results.next());
                item_result(state, context, receipt, result).await
            }
            BatchItem::Done(done) => done,
        });
    }
    done
}

type PublishResults = std::vec::IntoIter<Result<Acceptance, PublishError>>;

/// Publishes the events and returns the results. Returns `None` if publishing takes so long that the answer must be
/// written first.
async fn publish_in_time(
    state: &AppState,
    context: &WriteContext,
    new: &[Envelope],
) -> Option<PublishResults> {
    begin_change(ChangeAttempt::Batch);
    let publishing = publish_events(state.publisher.as_ref(), new);
    let results = match context.deadline {
        Some(deadline) => timeout_at(deadline.to_answer(), publishing).await.ok(),
        None => Some(publishing.await),
    };
    results.map(Vec::into_iter)
}

/// The result of an order that was passed to the publisher. `result` is `None` if publishing did not end in time.
async fn item_result(
    state: &AppState,
    context: &WriteContext,
    receipt: Receipt,
    result: Option<Option<Result<Acceptance, PublishError>>>,
) -> BatchItemResult {
    let uncertain = |cause| UncertainEvent::of(&receipt).problem(&context.links, cause);
    let problem = match result {
        Some(Some(Ok(Acceptance::New))) => return BatchItemResult::Accepted { receipt, replayed: false },
        Some(Some(Ok(Acceptance::Repeated))) => match is_concurrent_replay(state, &receipt).await {
            Ok(true) => return BatchItemResult::Accepted { receipt, replayed: true },
            Ok(false) => Problem::key_reused(),
            Err(error) => uncertain(error),
        },
        Some(Some(Err(error))) => Problem::unpublished(error, uncertain),
        Some(None) => uncertain(anyhow::anyhow!("the publisher returned no result for an event")),
        None => uncertain(anyhow::anyhow!("the deadline has passed")),
    };
    BatchItemResult::Refused(problem)
}

fn item_body<'a>(context: &'a WriteContext, done: &'a BatchItemResult) -> BatchItemBody<'a> {
    match done {
        BatchItemResult::Accepted { receipt, replayed } => BatchItemBody {
            status: StatusCode::ACCEPTED.as_u16(),
            receipt: Some(ReceiptBody::of(receipt, &context.links)),
            replayed: *replayed,
            problem: None,
        },
        BatchItemResult::Refused(problem) => {
            problem.log(context.correlation_id.as_str(), PATH);
            let body = problem.body(context.correlation_id.as_str(), PATH);
            BatchItemBody {
                status: problem.status().as_u16(),
                receipt: None,
                replayed: false,
                problem: Some(body),
            }
        }
    }
}

/// The path of the request, which is the `instance` of the problems in the results.
const PATH: &str = "/v1/orders/batch";
