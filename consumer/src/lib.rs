//! Receives events from the queue, decides on them, records and projects them. `infra` implements the [`ports`], and
//! the commands run the consumer.
//!
//! Follow one event through a batch:
//!
//! 1. [`poll`] receives a batch of messages, or `lambda` gets one from an event source mapping. Both call a [`BatchHandler`].
//! 2. [`decide`] decides on one event: a [`Plan`]. A plain function.
//! 3. `plan` plans an ordering group of messages, in order, before anything is written. A plain function as well.
//! 4. [`execute`] does the I/O: it groups the messages, loads their orders, has each group planned, and appends, in one call
//!    for the whole batch.
//! 5. `settle` stores rejections, parks, and gives each message its [`Disposition`]; `ledger` counts it.
//!
//! [`inline`] also calls `decide`: it decides on an event while it is being accepted, for a queue that shares its
//! commits with the log.
//!
//! [`dead_letters`] handles the dead-letter queue: it archives dead letters and raises an [`alert`].
//!
//! The caller that received the messages acknowledges or retries them. The [`Consumer`] itself only parks messages.
//!
//! The words are those of `docs/glossary.md`.

pub mod alert;
pub mod backoff;
pub mod dead_letters;
pub mod decide;
mod disposition;
pub mod execute;
mod group;
mod handler;
pub mod inline;
#[cfg(feature = "lambda")]
pub mod lambda;
mod ledger;
mod metering;
mod plan;
pub mod poll;
pub mod ports;
mod settle;
mod spans;

pub use dead_letters::DeadLetterRole;
pub use decide::Plan;
pub use disposition::Disposition;
pub use execute::Consumer;
pub use handler::{BatchHandler, HandledMessage};
