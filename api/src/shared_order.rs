//! Shares an order and its JSON between answers. A reader that keeps orders in memory returns the same [`SharedOrder`] each time,
//! so each order is encoded only once. Lists of orders contain this JSON.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use domain::Order;
use serde_json::value::{RawValue, to_raw_value};

use crate::http::LinkBuilder;
use crate::orders::OrderBody;

/// An order with its JSON. The JSON is encoded when it is first needed. Cloning is cheap.
#[derive(Clone)]
pub struct SharedOrder(Arc<EncodedOrder>);

struct EncodedOrder {
    order: Order,
    /// The JSON of the order for the most frequent case: no event of the order is parked, and the API has no base path.
    usual_body: OnceLock<Box<RawValue>>,
}

impl SharedOrder {
    pub(crate) fn usual_body(&self) -> &RawValue {
        self.0.usual_body.get_or_init(|| {
            let body = OrderBody::of(self, 0, &LinkBuilder::at_root());
            to_raw_value(&body).expect("the body always serializes")
        })
    }

    /// The approximate memory of the order and its JSON, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        // The length of the JSON counts twice: once for the JSON, and once for the strings in the order, which are about as long.
        size_of::<EncodedOrder>() + 2 * self.usual_body().get().len()
    }
}

impl From<Order> for SharedOrder {
    fn from(order: Order) -> Self {
        Self(Arc::new(EncodedOrder { order, usual_body: OnceLock::new() }))
    }
}

impl Deref for SharedOrder {
    type Target = Order;

    fn deref(&self) -> &Order {
        &self.0.order
    }
}

impl fmt::Debug for SharedOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.order.fmt(f)
    }
}

impl PartialEq for SharedOrder {
    fn eq(&self, other: &Self) -> bool {
        self.0.order == other.0.order
    }
}

impl Eq for SharedOrder {}
