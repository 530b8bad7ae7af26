//! Delivers recorded events to webhook subscriptions: at least once, and the events of an order in order. `orders serve` runs the
//! [`Dispatcher`]. The adapters implement the [`ports`].
//!
//! A subscription has a cursor in the feed. Every event up to the cursor is delivered, skipped, not selected by the
//! subscription, or belongs to a held order. The cursor is stored at most once a second, so a successful delivery needs
//! no write of its own.
//!
//! A failed delivery holds its order: a [`HeldOrder`] is stored, and the cursor then passes the later events of the
//! order. Once the delivery succeeds, the later events are delivered from the log of the order, up to its end. After
//! that, new events of the order are delivered from the feed again.
//!
//! After a crash, everything after the stored cursor is delivered again. The events of an order are still delivered in
//! order: an event is delivered for the first time only after the delivery of the previous event has succeeded.
//!
//! - Pure: [`schedule`] decides when a failed delivery is tried again, and [`attempt`] what an answer means.
//!   [`circuit`] stops sending to a receiver that always fails. [`deliveries`] chooses the next event, and [`payload`]
//!   encodes it.
//! - On AWS, the deliveries come from a FIFO queue: [`queued`] has a state of its own and uses the pure parts.
//! - I/O: the [`Dispatcher`] runs a `worker` for each subscription. Operators reach the worker through [`Workers`].

pub mod attempt;
pub mod circuit;
mod commands;
pub mod deliveries;
mod dispatcher;
mod held;
mod metering;
pub mod monitor;
pub mod options;
pub mod payload;
pub mod ports;
pub mod queued;
mod reader;
pub mod schedule;
mod stopping;
mod window;

pub use attempt::{Answer, Attempt, PostError};
pub use commands::{CommandError, Workers};
pub use dispatcher::Dispatcher;
pub use held::{
    HeadEvent, HeldOrder, HeldState, PendingAlert, Place, Progress, SkipRequest, SkippedDelivery,
};
pub use options::DeliveryOptions;
pub use payload::EventPayload;
pub use schedule::Schedule;
pub use stopping::stopped_by_the_service;
