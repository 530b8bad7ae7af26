//! Receives events from the queue, decides about them, and records and projects them. `infra` implements the [`ports`],
//! and the commands run the consumer.
//!
//! Follow one event through a batch:
//!
//! 1. [`poll`] receives a batch of messages, or `lambda` gets one from an event source mapping. Both call a
//!    [`BatchHandler`].
//! 2. [`decide`] makes the decision about one event, which is a [`Plan`]. Its functions are pure.
//! 3. `plan` plans an ordering group of messages, in order, before anything is written. Its functions are pure, too.
//! 4. [`execute`] does the I/O. It groups the messages, loads their orders, has each group planned, and appends in one
//!    call for the whole batch.
//! 5. `settle` stores rejections, parks messages, and gives each message its [`Disposition`]. `ledger` counts the
//!    messages.
//!
//! [`inline`] also calls `decide`, for an event that is being accepted. This requires a queue that shares its commits
//! with the log.
//!
//! [`dead_letters`] handles the dead-letter queue: it archives dead letters and raises an [`alert`].
//!
//! [`import`] plans the import of events that another store has recorded.
//!
//! [`relay`] reads recorded events from the change stream, appends them to the feed, and sends them on to [`webhooks`]
//! and to outputs.
//!
//! [`rounds`] sends the items of a group in order to a service that may accept a part of a batch.
//!
//! [`table_entry`] is the form of a log entry in a table, which the adapter of the table and the relay share.
//!
//! [`webhooks`] posts recorded events to the receivers of webhook subscriptions.
//!
//! The caller that received the messages acknowledges or retries them. The [`Consumer`] itself only parks messages.
//!
//! The terms are defined in `docs/glossary.md`.

pub mod alert;
pub mod backoff;
pub mod dead_letters;
pub mod decide;
mod disposition;
pub mod execute;
mod group;
mod handler;
pub mod import;
pub mod inline;
#[cfg(feature = "lambda")]
pub mod lambda;
mod ledger;
mod metering;
mod plan;
pub mod poll;
pub mod ports;
pub mod printable;
pub mod relay;
pub mod rounds;
mod settle;
mod spans;
pub mod table_entry;
pub mod webhooks;

pub use dead_letters::DeadLetterRole;
pub use decide::Plan;
pub use disposition::Disposition;
pub use execute::Consumer;
pub use handler::{BatchHandler, HandledMessage};

/// The target of the log lines about events that need nobody's attention: recorded ones and duplicates.
pub const ROUTINE_LOG_TARGET: &str = settle::ROUTINE_LOG_TARGET;
