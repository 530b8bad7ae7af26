//! The descriptions of the API: OpenAPI and AsyncAPI, their pages, and the schemas and samples that both use. `lib.rs`
//! serves the descriptions. The body types in other modules refer to the schemas.

mod asyncapi;
mod docs;
mod event_schemas;
mod fields;
pub(crate) mod html;
pub(crate) mod openapi;
pub(crate) mod operator_schemas;
mod proposed_event;
mod reference;
mod samples;
pub(crate) mod schemas;
mod webhook_events;
pub(crate) mod webhook_schemas;

pub use self::asyncapi::asyncapi;
pub(crate) use self::docs::routes;
pub(crate) use self::openapi::OrderOrReceipt;
pub(crate) use self::proposed_event::ProposedEvent;
