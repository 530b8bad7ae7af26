//! The order model. Everything here is a plain function of its arguments: no I/O, no async, no clock, no
//! randomness (`clippy.toml` beside this crate enforces it), so every rule can be tested as given / when / then.
//!
//! Read it in this order:
//!
//! 1. [`event`]: the nine things that can happen to an order.
//! 2. [`lifecycle`]: the one table that says when each may happen, and what *early* and *never* mean.
//! 3. [`mod@judge`]: an event, judged against the order it is about.
//! 4. [`order`]: the order that readers see, folded from its events; [`past`] folds it as it was.
//! 5. [`envelope`]: an event as it travels and as it is logged, with [`upcast_v0`] producers' messages upcast.
//! 6. [`outcome`]: what became of an event, which is what a receipt tells.
//! 7. [`dead_letter`]: a message that could not be processed, as it is kept; [`mod@identify`] finds out whose it is, and
//!    [`mod@predict`] says what would become of it if it were replayed.
//! 8. [`ledger`]: the numbers that show that nothing was lost.
//!
//! [`value`], [`money`] and [`ids`] are value types: parsed once, valid ever after. [`wording`] says what is wrong with JSON.

pub mod upcast_v0;
pub mod dead_letter;
pub mod envelope;
pub mod event;
pub mod identify;
pub mod ids;
mod json;
pub mod judge;
pub mod ledger;
pub mod lifecycle;
pub mod money;
pub mod order;
pub mod outcome;
pub mod past;
pub mod predict;
pub mod repair;
pub mod value;
pub mod wording;

pub use dead_letter::{Body, DeadLetter, LetterState};
pub use envelope::{DecodeError, Envelope, RecordedEvent};
pub use event::{Event, EventType};
pub use identify::{Identity, identify};
pub use ids::{CorrelationId, CustomerId, EventId, OrderId};
pub use judge::{Verdict, judge};
pub use ledger::Ledger;
pub use lifecycle::{State, Status};
pub use money::{Amount, Currency, LineItem, LineItems, Quantity, Sku};
pub use order::Order;
pub use outcome::{Outcome, ParkReason, Receipt, ReceiptState, RejectReason};
pub use past::{AsOf, Past};
pub use predict::{Prediction, predict};
pub use repair::{Repair, Repaired};
pub use value::{InvalidValue, Metadata, Text, Timestamp};
