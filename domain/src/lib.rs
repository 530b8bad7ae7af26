//! The order model. Everything here is a plain function of its arguments: no I/O, no async, no clock, no
//! randomness (`clippy.toml` beside this crate enforces it), so every rule can be tested as given / when / then.
//!
//! Read it in this order:
//!
//! 1. [`event`]: the nine things that can happen to an order.
//! 2. [`lifecycle`]: the one table that says when each may happen, and what *early* and *never* mean.
//! 3. [`mod@judge`]: an event, judged against the order it is about.
//! 4. [`order`]: the order that readers see, folded from its events.
//! 5. [`envelope`]: an event as it travels and as it is logged, with [`article`] producers' messages upcast.
//! 6. [`outcome`]: what became of an event, which is what a receipt tells.
//!
//! [`value`], [`money`] and [`ids`] are value types: parsed once, valid ever after.

pub mod article;
pub mod envelope;
pub mod event;
pub mod ids;
pub mod judge;
pub mod lifecycle;
pub mod money;
pub mod order;
pub mod outcome;
pub mod value;

pub use envelope::{DecodeError, Envelope, RecordedEvent};
pub use event::{Event, EventType};
pub use ids::{CorrelationId, CustomerId, EventId, OrderId};
pub use judge::{Verdict, judge};
pub use lifecycle::{State, Status};
pub use money::{Amount, Currency, LineItem, LineItems, Quantity, Sku};
pub use order::Order;
pub use outcome::{Outcome, ParkReason, Receipt, ReceiptState, RejectReason};
pub use value::{InvalidValue, Metadata, Text, Timestamp};
