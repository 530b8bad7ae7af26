//! The endpoints of orders: they accept events, and show orders, their history and receipts.

mod accept;
mod answer;
mod batch;
mod caller;
mod dto;
mod event_dto;
mod history;
mod idempotency;
mod read;
mod responses;
mod visible;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::dto::{CreateOrder, Line};
pub(crate) use self::event_dto::{
    AmendedData, NoData, PaidData, ReasonData, RefundedData, ShippedData, proposable,
};
pub(crate) use self::responses::{EventPage, HealthBody, OrderBody, OrderPage, ReadyBody, ReceiptBody};
pub use self::visible::created_for;
use crate::state::Shared;

/// The endpoints, with their description.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(accept::create_order, read::list_orders))
        .routes(routes!(batch::create_orders))
        .routes(routes!(read::get_order))
        .routes(routes!(accept::propose_event, history::list_events))
        .routes(routes!(history::get_receipt))
}
