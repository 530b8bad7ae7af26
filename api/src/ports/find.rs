//! Which orders to find: a filter, a sort order that follows from the filter, and pages. `orders` builds a filter from
//! a query, and [`OrderReader::find_orders`](super::OrderReader::find_orders) returns the orders that pass it.

use std::collections::BTreeMap;

use domain::{CustomerId, FulfilmentStatus, Order, OrderId, OrderStatus, PaymentStatus, Timestamp};

use super::OrderSnapshot;

/// Selects orders. Every condition that is present must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Only orders of this customer.
    pub customer_id: Option<CustomerId>,
    /// Only orders with this status.
    pub status: Option<OrderStatus>,
    /// Only orders with this payment status.
    pub payment_status: Option<PaymentStatus>,
    /// Only orders with this fulfilment status.
    pub fulfilment_status: Option<FulfilmentStatus>,
    /// Only orders created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Only orders created before this time.
    pub created_before: Option<Timestamp>,
    /// Only orders whose latest event is from this time or later.
    pub updated_from: Option<Timestamp>,
    /// Only orders whose latest event is from before this time.
    pub updated_before: Option<Timestamp>,
    /// Only orders whose metadata has these values at these keys.
    pub metadata: BTreeMap<String, String>,
}

/// How a list is sorted. Orders with the same time are sorted by their ids, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderSort {
    /// By creation time, newest first. The position of an order in the list never changes.
    NewestFirst,
    /// By update time, oldest first. If an order is updated while a client reads the list, the order moves towards the
    /// end of the list. So the client may get the order twice but never misses it.
    LeastRecentlyUpdatedFirst,
}

impl OrderFilter {
    /// Selects all orders of a customer.
    pub fn of_customer(customer_id: CustomerId) -> Self {
        Self { customer_id: Some(customer_id), ..Self::default() }
    }

    /// How the list of the selected orders is sorted: by update time if the filter has a condition on the update time,
    /// otherwise by creation time.
    pub fn sort(&self) -> OrderSort {
        if self.updated_from.is_some() || self.updated_before.is_some() {
            OrderSort::LeastRecentlyUpdatedFirst
        } else {
            OrderSort::NewestFirst
        }
    }

    /// The allowed range of the time by which the list is sorted. The start is inclusive, and the end is exclusive.
    pub fn sorted_times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        match self.sort() {
            OrderSort::NewestFirst => (self.created_from, self.created_before),
            OrderSort::LeastRecentlyUpdatedFirst => (self.updated_from, self.updated_before),
        }
    }

    /// Whether the order passes every condition of the filter.
    pub fn passes(&self, order: &Order) -> bool {
        let within = |at: Timestamp, from: Option<Timestamp>, before: Option<Timestamp>| {
            from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before)
        };
        let has_entry = |(key, value): (&String, &String)| order.metadata.entries().get(key) == Some(value);
        self.customer_id.as_ref().is_none_or(|customer_id| *customer_id == order.customer_id)
            && self.status.is_none_or(|status| status == order.status)
            && self.payment_status.is_none_or(|status| status == order.payment_status())
            && self.fulfilment_status.is_none_or(|status| status == order.fulfilment_status())
            && within(order.created_at, self.created_from, self.created_before)
            && within(order.updated_at, self.updated_from, self.updated_before)
            && self.metadata.iter().all(has_entry)
    }
}

/// The maximum number of orders that are read for one page, whether they pass the filter or not.
pub const MAX_ORDERS_SCANNED: usize = 1000;

/// A page of a list of orders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderList {
    /// The orders. There may be fewer than the limit, or none, because at most [`MAX_ORDERS_SCANNED`] orders are read.
    pub orders: Vec<OrderSnapshot>,
    /// Where the next page begins. `None` on the last page.
    pub next: Option<OrderPosition>,
}

/// A position in a list of orders, directly after one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPosition {
    /// The time by which the list is sorted, in microseconds since 1970 UTC.
    pub at_micros: i64,
    /// The id of the order.
    pub order_id: OrderId,
}

/// Why orders could not be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The store has no index for this query. The reason is a sentence for clients.
    #[error("{0}")]
    NotConfigured(&'static str),
    /// The store failed.
    #[error("the store failed")]
    Failed(#[from] anyhow::Error),
}
