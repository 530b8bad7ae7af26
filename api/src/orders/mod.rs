//! The endpoints under `/v1/orders`: they accept events, and show orders, their history and receipts. `lib.rs` adds the
//! [`routes`]; `describe` uses the bodies.

mod accept;
mod answer;
mod batch;
mod batch_body;
mod body;
mod contact;
mod history;
mod idempotency;
mod order_parts;
mod order_response;
mod publish;
mod read;
mod rejections;
mod responses;
mod visibility;
mod write_context;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::body::{
    AddressBody, AdjustmentBody, ContactBody, CreateOrder, DataBody, LineQuantityBody, OrderLineBody,
    proposable,
};
pub(crate) use self::contact::ContactOfOrder;
pub(crate) use self::order_response::OrderBody;
pub(crate) use self::publish::publish_events;
pub(crate) use self::rejections::ReceiptPage;
pub(crate) use self::responses::{EventPage, OrderPage, ReceiptBody};
pub use self::visibility::created_for;
use crate::state::SharedState;

/// The endpoints and their descriptions.
pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(accept::create_order, read::list_orders))
        .routes(routes!(batch::create_orders))
        .routes(routes!(read::get_order))
        .routes(routes!(accept::propose_event, history::list_events))
        .routes(routes!(history::get_receipt))
        .routes(routes!(rejections::list_rejections))
        .routes(routes!(contact::get_contact))
}
