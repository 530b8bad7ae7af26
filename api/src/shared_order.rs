//! An order that several answers share, and its JSON. Readers that keep orders in memory return the same [`SharedOrder`]
//! again, so that it is encoded only once. Lists show it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use domain::Order;
use serde_json::value::{RawValue, to_raw_value};

use crate::http::LinkBuilder;
use crate::orders::OrderBody;

/// An order, and its JSON once an answer has shown it. Cheap to clone.
#[derive(Clone)]
pub struct SharedOrder(Arc<EncodedOrder>);

struct EncodedOrder {
    order: Order,
    /// The order as an answer shows it most often: nothing of it is parked, and the API is at the root.
    usual_body: OnceLock<Box<RawValue>>,
}

impl SharedOrder {
    pub(crate) fn usual_body(&self) -> &RawValue {
        self.0.usual_body.get_or_init(|| {
            let body = OrderBody::of(self, 0, &LinkBuilder::at_root());
            to_raw_value(&body).expect("the body is plain JSON")
        })
    }

    /// About how many bytes of memory the order and its JSON take.
    pub fn approximate_bytes(&self) -> usize {
        // The texts of the order are about as long as its JSON.
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
