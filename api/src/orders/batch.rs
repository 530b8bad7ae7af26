//! `POST /v1/orders/batch`: many orders in one request, published at one go. Each stands alone: one that has faults does
//! not keep the others from being accepted.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::event::Created;
use domain::{Envelope, Receipt};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::{MapAccess, SeqAccess};
use tokio::time::timeout_at;
use utoipa::ToSchema;
use validator::Validate;

use crate::http::{correlation, metering, Attempt, InDoubt};
use crate::input::{checked_length, elements, members, object, Content, Field, JsonBody, Read};
use crate::orders::accept::{creation, envelope, is_repetition, receipt, was_repeated};
use crate::orders::caller::Caller;
use crate::orders::dto::CreateOrder;
use crate::orders::idempotency::{IdempotencyKey, Identity, Place};
use crate::orders::responses::ReceiptBody;
use crate::ports::{PublishError, Published};
use crate::problem::{Kind, Problem, ProblemBody, REPLAYED};
use crate::state::{AppState, Shared};

/// The most orders of a request.
const MAX_ORDERS: usize = 100;
/// The largest body, in bytes: 100 orders of 40 KiB each.
const MAX_BODY: usize = 4 << 20;
/// The most errors that are listed of all orders, but for one of each.
const MAX_ERRORS: usize = 1000;

/// Orders to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateOrders {
    /// The orders, each as `POST /v1/orders` takes it.
    #[validate(required)]
    #[schema(value_type = Vec<CreateOrder>, min_items = 1, max_items = 100)]
    orders: Field<Orders>,
}

members!(CreateOrders { "orders" => orders });

/// The orders of a batch, each with what is wrong with it.
#[derive(Debug)]
pub(crate) struct Orders(Vec<Read<Created>>);

impl<'de> Content<'de> for Orders {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Read<Self>, A::Error> {
        let (mut orders, mut left) = (Vec::new(), MAX_ERRORS);
        let count = elements(array, MAX_ORDERS, |_, mut order: Read<Created>| {
            if let Err(errors) = &mut order {
                errors.cut(&mut left);
            }
            orders.push(order);
            ControlFlow::Continue(())
        })?;
        Ok(checked_length(count, 1..=MAX_ORDERS, "orders").map(|()| Self(orders)))
    }
}

/// The body, which holds them.
#[derive(Debug)]
pub(crate) struct Batch(Orders);

impl<'de> Content<'de> for Batch {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Read<Self>, A::Error> {
        object(members, |batch: CreateOrders| batch.orders.into_valid().map(Self))
    }
}

/// What became of each order, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchBody<'a> {
    items: Vec<ItemBody<'a>>,
}

/// What became of one order: its receipt, or the problem with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemBody<'a> {
    /// The status that `POST /v1/orders` would have answered: 202, or that of the problem.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// The receipt, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receipt: Option<ReceiptBody<'a>>,
    /// Whether it was accepted before, under the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    replayed: bool,
    /// What is wrong with it, if it was not accepted or that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemBody<'a>>,
}

/// An order on its way.
enum Item {
    /// To be published; this is its receipt.
    New(Receipt),
    Done(Done),
}

/// What became of an order.
enum Done {
    Accepted { receipt: Receipt, replayed: bool },
    Refused(Problem),
}

/// Creates orders
///
/// Publishes an `order_created` for each order without fault, in one call. The answer has the result of each. Under an
/// idempotency key the whole batch can be sent again: what was accepted is not accepted twice. Each place of the batch is a
/// request of its own under the key: an order that differs from the one accepted at its place is refused, and the others are
/// not. If no order of the request is new, the answer has `Idempotent-Replayed: true`.
#[utoipa::path(
    post,
    path = "/v1/orders/batch",
    operation_id = "createOrders",
    tag = "orders",
    params(IdempotencyKey),
    request_body(content = CreateOrders, description = "The orders, up to 100; at most 4 MiB"),
    responses(
        (status = 200, description = "What became of each order; that of the accepted ones is durable",
            body = BatchBody<'static>),
        (status = 400, description = "The body is not valid JSON, or a header has a fault"),
        (status = 403, description = "The token does not allow it"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not JSON by its content type, or has a content coding"),
        (status = 422, description = "The body is no list of 1–100 orders; or the key was used for another batch, and no \
            order is the one that was accepted at its place"),
        (status = 503, description = "No order was accepted: the queue is full or cannot be reached, or the request took \
            too long. If the type is `outcome-unknown`, some may have been"),
    )
)]
pub(crate) async fn create_orders(
    State(state): State<Shared>,
    caller: Caller,
    JsonBody(Batch(Orders(orders)), grant): JsonBody<Batch, MAX_BODY>,
) -> Result<Response, Problem> {
    let caller = Arc::new(caller);
    let creations = creations(Arc::clone(&state), Arc::clone(&caller), orders);
    let creations = state.body_budget.work(&grant, creations).await;
    let known = join_all(creations.into_iter().map(|creation| known(&state, creation))).await;
    let (mut items, mut new) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
    for (item, envelope) in known {
        items.push(item);
        new.extend(envelope);
    }
    let done = publish(&state, &caller, items, &new).await;
    if let Some(problem) = of_all(&done) {
        return Err(problem);
    }
    let replays: Vec<bool> = done.iter().filter_map(Done::replayed).collect();
    let items = done.iter().map(|done| item_body(&caller, done)).collect();
    let mut response = Json(BatchBody { items }).into_response();
    if !replays.is_empty() && replays.iter().all(|replayed| *replayed) {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl Done {
    /// Of an accepted order: whether it was accepted before.
    fn replayed(&self) -> Option<bool> {
        match self {
            Self::Accepted { replayed, .. } => Some(*replayed),
            Self::Refused(_) => None,
        }
    }
}

/// The problem that is the answer to the whole request: nothing was accepted for now, or every order is another one than its
/// place has.
fn of_all(done: &[Done]) -> Option<Problem> {
    let mut problems = Vec::with_capacity(done.len());
    for done in done {
        match done {
            Done::Refused(problem) if problem.kind() != Kind::OutcomeUnknown => problems.push(problem),
            _ => return None,
        }
    }
    let all_reused = problems.iter().all(|problem| problem.kind() == Kind::IdempotencyKeyReused);
    let unavailable = |problem: &&&Problem| problem.status() == StatusCode::SERVICE_UNAVAILABLE;
    let problem = if all_reused { problems.last() } else { problems.iter().rfind(unavailable) };
    problem.map(|problem| Problem::clone(problem))
}

/// What an order without error is to become.
type Creation = Result<(Identity, Receipt, Envelope), Problem>;

/// The work that makes what is to be published of the orders.
fn creations(
    state: Shared,
    caller: Arc<Caller>,
    orders: Vec<Read<Created>>,
) -> impl FnOnce() -> Vec<Creation> + Send + 'static {
    move || {
        let create = |(place, order): (usize, Read<Created>)| {
            let created = order.map_err(|errors| Problem::of_body(*errors))?;
            let event = creation(&caller.principal, created)?;
            let place = Place::InBatch(place);
            let identity = caller.key.of_creation(&state, &caller.principal, &event, place);
            let receipt = receipt(&identity, &event);
            let envelope = envelope(&state, &caller, identity.clone(), event, None);
            Ok((identity, receipt, envelope))
        };
        orders.into_iter().enumerate().map(create).collect()
    }
}

/// Finds out whether the order was accepted before; if not, the event is to be published.
async fn known(state: &AppState, creation: Creation) -> (Item, Option<Envelope>) {
    let refused = |problem| (Item::Done(Done::Refused(problem)), None);
    match creation {
        Ok((identity, receipt, envelope)) => match is_repetition(state, &identity).await {
            Ok(true) => (Item::Done(Done::Accepted { receipt, replayed: true }), None),
            Ok(false) => (Item::New(receipt), Some(envelope)),
            Err(problem) => refused(problem),
        },
        Err(problem) => refused(problem),
    }
}

/// Publishes what is new, in one call.
async fn publish(state: &AppState, caller: &Caller, items: Vec<Item>, new: &[Envelope]) -> Vec<Done> {
    let mut results = if new.is_empty() { None } else { in_time(state, caller, new).await };
    let mut done = Vec::with_capacity(items.len());
    for item in items {
        done.push(match item {
            Item::New(receipt) => {
                let result = results.as_mut().map(|results| results.next());
                published(state, caller, receipt, result).await
            }
            Item::Done(done) => done,
        });
    }
    done
}

type Results = std::vec::IntoIter<Result<Published, PublishError>>;

/// The results, unless the time is up before: then there is still time to answer for each order.
async fn in_time(state: &AppState, caller: &Caller, new: &[Envelope]) -> Option<Results> {
    correlation::begin(Attempt::Batch);
    let publishing = metering::publish(state.publisher.as_ref(), new);
    let results = match caller.deadline {
        Some(deadline) => timeout_at(deadline.to_answer(), publishing).await.ok(),
        None => Some(publishing.await),
    };
    results.map(Vec::into_iter)
}

/// What became of an order that was handed to the publisher. `result` is `None` if the time was up first.
async fn published(
    state: &AppState,
    caller: &Caller,
    receipt: Receipt,
    result: Option<Option<Result<Published, PublishError>>>,
) -> Done {
    let in_doubt = |cause| InDoubt::of(&receipt).problem(&caller.links, cause);
    let problem = match result {
        Some(Some(Ok(Published::New))) => return Done::Accepted { receipt, replayed: false },
        Some(Some(Ok(Published::Repeated))) => match was_repeated(state, &receipt).await {
            Ok(true) => return Done::Accepted { receipt, replayed: true },
            Ok(false) => Problem::key_reused(),
            Err(error) => in_doubt(error),
        },
        Some(Some(Err(error))) => Problem::unpublished(error, in_doubt),
        Some(None) => in_doubt(anyhow::anyhow!("the publisher gave no result for an event")),
        None => in_doubt(anyhow::anyhow!("the deadline has passed")),
    };
    Done::Refused(problem)
}

fn item_body<'a>(caller: &'a Caller, done: &'a Done) -> ItemBody<'a> {
    match done {
        Done::Accepted { receipt, replayed } => ItemBody {
            status: StatusCode::ACCEPTED.as_u16(),
            receipt: Some(ReceiptBody::of(receipt, &caller.links)),
            replayed: *replayed,
            problem: None,
        },
        Done::Refused(problem) => {
            problem.log(caller.correlation_id.as_str(), PATH);
            let body = problem.body(caller.correlation_id.as_str(), PATH);
            ItemBody {
                status: problem.status().as_u16(),
                receipt: None,
                replayed: false,
                problem: Some(body),
            }
        }
    }
}

/// The address, as problems of items tell it.
const PATH: &str = "/v1/orders/batch";
