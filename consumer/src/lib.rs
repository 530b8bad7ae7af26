//! Takes events off the queue, judges them, records and projects them.
//!
//! Follow one event: [`poll`] receives a batch of messages; [`execute`] does the I/O for it: loads the orders, appends,
//! settles and parks, each in one call for the whole batch; in between, [`plan`] plans what each message of an
//! ordering group comes to, and [`decide`] decides on one. The last two are plain functions.
//!
//! At the end, `settle` settles and parks what was not appended, and tells what became of each message; `ledger` adds it
//! to the ledger.
//!
//! [`inline`] judges an event where it is published, for a queue that has nothing waiting before it and shares its commits
//! with the log.
//!
//! [`dead_letters`] is the role behind the queue of dead letters: it archives, and raises an [`alert`].
//!
//! Who owns what: `execute` never touches the queue but through the dead letters. Acking and retrying are the business
//! of whoever received the messages: the poll loop here, or the event source mapping of a Lambda function, which acts on
//! what `lambda` answers.

pub mod alert;
pub mod backoff;
pub mod inline;
pub mod execute;
mod ledger;
pub mod dead_letters;
pub mod decide;
mod settle;
pub mod plan;
#[cfg(feature = "lambda")]
pub mod lambda;
mod metering;
pub mod poll;
pub mod ports;
mod spans;

pub use execute::{Consumer, Handled, Handler, Outcome};
pub use dead_letters::DeadLetterRole;
