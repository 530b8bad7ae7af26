//! The order model. Everything here is a plain function of its arguments: no I/O, no async, no clock, no randomness, which
//! `clippy.toml` beside this crate enforces. So every rule can be tested as given / when / then.
//!
//! Read the modules in this order:
//!
//! 1. [`event_kinds`]: the table of the nine kinds of event; [`event`] contains their data.
//! 2. [`lifecycle`]: the state machine, as one table.
//! 3. [`mod@judge`]: judges an event against its order: legal, early or never.
//! 4. [`order`]: the order that readers see, folded from its events; [`past`] folds it as it was.
//! 5. [`envelope`]: an event with its metadata, as it travels; [`recorded`] is an entry of the log, [`decode`] describes why a
//!    message cannot be read, and `upcast_v0` reads messages in schema version 0.
//! 6. [`outcome`]: what happened to an event, which its receipt shows; [`reasons`] contains the codes.
//! 7. [`dead_letter`]: a message that could not be processed; [`mod@identify`] finds its ids, [`repair`] keeps its repairs, and
//!    [`mod@predict`] predicts a redrive.
//! 8. [`ledger`]: the counts that show that nothing was lost.
//!
//! [`value`], [`money`] and [`ids`] are value types: parsed once, and always valid afterwards. [`derived_ids`] derives
//! the ids that retries share. [`wording`] describes what is wrong with JSON.
//!
//! The words are those of `docs/glossary.md`.

pub mod body;
pub mod dead_letter;
pub mod decode;
pub mod derived_ids;
pub mod envelope;
pub mod event;
pub mod event_kinds;
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
pub mod reasons;
pub mod recorded;
pub mod repair;
mod upcast_v0;
pub mod value;
pub mod wording;

pub use body::MessageBody;
pub use dead_letter::{DeadLetter, DeadLetterState};
pub use decode::{DecodeError, SCHEMA_VERSION};
pub use envelope::Envelope;
pub use event_kinds::{Event, EventType};
pub use identify::{MessageIdentity, identify};
pub use ids::{CorrelationId, CustomerId, EventId, OrderId};
pub use judge::{Verdict, judge};
pub use ledger::Ledger;
pub use lifecycle::{OrderState, OrderStatus};
pub use money::{Amount, Currency, LineItem, LineItems, Quantity, Sku};
pub use order::Order;
pub use outcome::{Outcome, Receipt, ReceiptState};
pub use past::{AsOf, Past};
pub use predict::{Prediction, predict};
pub use reasons::{ParkReason, RejectReason};
pub use recorded::RecordedEvent;
pub use repair::{Repair, Repaired};
pub use value::{InvalidValue, Metadata, Text, Timestamp};
