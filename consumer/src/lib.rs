//! Takes events off the queue, decides on them, records and projects them. `infra` implements the [`ports`], and the commands
//! run it.
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
//! [`inline`] is the other entrance to the same `decide`: it decides on an event while it is being accepted, for a queue that
//! shares its commits with the log.
//!
//! [`dead_letters`] handles the dead-letter queue: it archives, and raises an [`alert`].
//!
//! Acknowledging and retrying is up to the part that received the messages. The [`Consumer`] touches the queue only to park.
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
