//! The bodies of `POST /v1/orders/batch`: the orders to create, and the result of each. `batch` reads and writes them.

use std::ops::ControlFlow;

use domain::event::Created;
use serde::Serialize;
use serde::de::{MapAccess, SeqAccess};
use utoipa::ToSchema;
use validator::Validate;

use crate::input::{BodyField, FromJson, Parsed, check_length, members, read_elements, read_object};
use crate::orders::body::CreateOrder;
use crate::orders::responses::ReceiptBody;
use crate::problem::ProblemBody;

/// The maximum number of orders in a batch.
const MAX_ORDERS: usize = 100;
/// The largest body, in bytes: 100 orders of 40 KiB each.
pub(super) const MAX_BODY: usize = 4 << 20;
/// The maximum number of errors that are listed for all orders together. Each invalid order lists at least one error,
/// even beyond this limit.
const MAX_ERRORS: usize = 1000;

/// A batch of orders to create.
#[derive(Debug, Default, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateOrders {
    /// The orders, each as in `POST /v1/orders`.
    #[validate(required)]
    #[schema(value_type = Vec<CreateOrder>, min_items = 1, max_items = 100)]
    orders: BodyField<BatchOrders>,
}

members!(CreateOrders { "orders" => orders });

/// The orders of a batch, each valid or with its errors.
#[derive(Debug)]
pub(crate) struct BatchOrders(pub(super) Vec<Parsed<Created>>);

impl<'de> FromJson<'de> for BatchOrders {
    const EXPECTED: &'static str = "an array";

    fn from_array<A: SeqAccess<'de>>(array: A) -> Result<Parsed<Self>, A::Error> {
        let (mut orders, mut left) = (Vec::new(), MAX_ERRORS);
        let count = read_elements(array, MAX_ORDERS, |_, mut order: Parsed<Created>| {
            if let Err(errors) = &mut order {
                errors.cut(&mut left);
            }
            orders.push(order);
            ControlFlow::Continue(())
        })?;
        Ok(check_length(count, 1..=MAX_ORDERS, "orders").map(|()| Self(orders)))
    }
}

/// The body of the request.
#[derive(Debug)]
pub(crate) struct BatchRequestBody(pub(super) BatchOrders);

impl<'de> FromJson<'de> for BatchRequestBody {
    const EXPECTED: &'static str = "an object";

    fn from_object<A: MapAccess<'de>>(members: A) -> Result<Parsed<Self>, A::Error> {
        read_object(members, |batch: CreateOrders| batch.orders.into_valid().map(Self))
    }
}

/// The results, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchBody<'a> {
    pub(super) items: Vec<BatchItemBody<'a>>,
}

/// The result of one order: a receipt or a problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemBody)]
pub(crate) struct BatchItemBody<'a> {
    /// The status that `POST /v1/orders` would return for this order: 202, or the status of the problem.
    #[schema(minimum = 200, maximum = 599)]
    pub(super) status: u16,
    /// The receipt, if the order was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) receipt: Option<ReceiptBody<'a>>,
    /// Whether the order was accepted before, under the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(super) replayed: bool,
    /// The problem, if the order was not accepted or the outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) problem: Option<ProblemBody<'a>>,
}
