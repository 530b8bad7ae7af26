//! `POST /v1/orders/batch`: many orders in one request, published at one go. Each stands alone: one that has faults does
//! not keep the others from being accepted.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::event::Created;
use domain::{Envelope, Receipt};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::{MapAccess, SeqAccess};
use utoipa::ToSchema;
use validator::Validate;

use crate::accept::{Caller, creation, envelope, is_repetition, receipt};
use crate::body::{Content, Field, Read, checked_length, members, object};
use crate::dto::CreateOrder;
use crate::idempotency::IdempotencyKey;
use crate::json::JsonBody;
use crate::metering;
use crate::problem::{Problem, ProblemBody};
use crate::responses::ReceiptBody;
use crate::state::{AppState, Shared};

/// The most orders of a request.
const MAX_ORDERS: usize = 100;
/// The largest body, in bytes: 100 orders of 40 KiB each.
const MAX_BODY: usize = 4 << 20;

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

    fn from_array<A: SeqAccess<'de>>(mut array: A) -> Result<Read<Self>, A::Error> {
        let mut orders = Vec::new();
        while let Some(order) = array.next_element::<Field<Created>>()? {
            orders.push(order.required());
        }
        Ok(checked_length(orders.len(), 1..=MAX_ORDERS, "orders").map(|()| Self(orders)))
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
    /// What is wrong with it, if it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemBody<'a>>,
}

/// An item on its way: accepted before, to be published, or refused.
enum Item {
    Known(Receipt),
    New(Receipt, Box<Envelope>),
    Refused(Problem),
}

/// Creates orders
///
/// Publishes an `order_created` for each order without fault, all at one go. The answer tells what became of each. Under
/// an idempotency key the whole batch can be sent again: what was accepted is not accepted twice.
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
        (status = 415, description = "The body is not JSON by its content type"),
        (status = 422, description = "The body is no list of 1–100 orders"),
        (status = 503, description = "No order was accepted: the queue is full or cannot be reached, or the request took \
            too long"),
    )
)]
pub(crate) async fn create_orders(
    State(state): State<Shared>,
    caller: Caller,
    JsonBody(Batch(Orders(orders))): JsonBody<Batch, MAX_BODY>,
) -> Result<Response, Problem> {
    let items =
        join_all(orders.into_iter().enumerate().map(|(i, order)| item(&state, &caller, i, order))).await;
    let (items, unavailable) = publish(&state, items).await;
    let accepted = items.iter().any(|item| !matches!(item, Item::Refused(_)));
    if let Some(problem) = unavailable.filter(|_| !accepted) {
        return Err(problem);
    }
    let items = items.iter().map(|item| item_body(&caller, item)).collect();
    Ok(Json(BatchBody { items }).into_response())
}

async fn item(state: &AppState, caller: &Caller, index: usize, order: Read<Created>) -> Item {
    let made = async {
        let created = order.map_err(|errors| Problem::of_body(&errors))?;
        let event = creation(&caller.principal, created)?;
        let identity = caller.key.of_item(index).of_creation(state, &caller.principal, &event);
        let receipt = receipt(&identity, &event);
        if is_repetition(state, &identity).await? {
            return Ok(Item::Known(receipt));
        }
        let envelope = envelope(state, caller, identity, event, None);
        Ok::<_, Problem>(Item::New(receipt, Box::new(envelope)))
    };
    made.await.unwrap_or_else(Item::Refused)
}

/// Publishes what is new, in one call. Gives a problem besides if the queue took less than all.
async fn publish(state: &AppState, items: Vec<Item>) -> (Vec<Item>, Option<Problem>) {
    let new = items.iter().filter_map(|item| match item {
        Item::New(_, envelope) => Some(Envelope::clone(envelope)),
        _ => None,
    });
    let new: Vec<_> = new.collect();
    let mut results = metering::publish(state.publisher.as_ref(), &new).await.into_iter();
    let mut unavailable = None;
    let settle = |item| match item {
        Item::New(receipt, envelope) => match results.next() {
            Some(Ok(())) => Item::New(receipt, envelope),
            Some(Err(error)) => {
                let problem = Problem::from(error);
                if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
                    unavailable = Some(problem.clone());
                }
                Item::Refused(problem)
            }
            None => Item::Refused(anyhow::anyhow!("the publisher gave no result for an event").into()),
        },
        other => other,
    };
    let items = items.into_iter().map(settle).collect();
    (items, unavailable)
}

fn item_body<'a>(caller: &'a Caller, item: &'a Item) -> ItemBody<'a> {
    let accepted = |receipt, replayed| ItemBody {
        status: StatusCode::ACCEPTED.as_u16(),
        receipt: Some(ReceiptBody::of(receipt, &caller.links)),
        replayed,
        problem: None,
    };
    match item {
        Item::Known(receipt) => accepted(receipt, true),
        Item::New(receipt, _) => accepted(receipt, false),
        Item::Refused(problem) => {
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
