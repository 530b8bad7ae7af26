//! The order model. Everything here is a plain function of its arguments: no I/O, no async, no clock, no randomness, which
//! `clippy.toml` beside this crate enforces. So every rule can be tested as given / when / then.
//!
//! Read the modules in this order:
//!
//! 1. [`event_kinds`]: the table of the kinds of event, each with its guards; [`event`] contains their data.
//! 2. [`order`]: the order that readers see: lines with counters ([`order_line`]), [`payments`], [`parcels`] and the words
//!    derived from them ([`status`]).
//! 3. [`guard`]: the conditions for an event; [`mod@judge`] checks them: legal, early or never.
//! 4. [`fold`]: folds an order from its events; [`past`] folds it as it was.
//! 5. [`envelope`]: an event with its metadata, as it travels; [`recorded`] is an entry of the log, [`decode`] describes why a
//!    message cannot be read, and `upcast_v0` and `upcast_v1` read older schema versions.
//!    [`mod@expiry`] is the event that the service itself proposes.
//! 6. [`outcome`]: what happened to an event, which its receipt shows; [`reasons`] contains the codes.
//! 7. [`dead_letter`]: a message that could not be processed; [`mod@identify`] finds its ids, [`repair`] keeps its repairs, and
//!    [`mod@predict`] predicts a redrive.
//! 8. [`ledger`]: the counts that show that nothing was lost.
//!
//! [`value`], [`money`], [`lines`], [`adjustments`], [`contact`], [`metadata`] and [`ids`] are value types: parsed once, and always
//! valid afterwards. [`derived_ids`] derives the ids that retries share. [`wording`] describes what is wrong with JSON, and
//! [`mod@diagram`] what documents show.
//!
//! The words are those of `docs/glossary.md`.

pub mod adjustments;
pub mod body;
pub mod contact;
pub mod dead_letter;
pub mod decode;
pub mod derived_ids;
pub mod diagram;
pub mod envelope;
pub mod event;
pub mod event_kinds;
pub mod expiry;
pub mod fold;
mod fold_money;
mod fold_returns;
pub mod guard;
pub mod identify;
pub mod ids;
mod json;
pub mod judge;
pub mod ledger;
pub mod lines;
pub mod metadata;
pub mod money;
pub mod order;
mod order_json;
pub mod order_line;
pub mod outcome;
pub mod parcels;
pub mod past;
pub mod payments;
pub mod predict;
pub mod reasons;
pub mod recorded;
pub mod repair;
pub mod status;
mod upcast_v0;
mod upcast_v1;
pub mod value;
pub mod wording;

pub use body::MessageBody;
pub use dead_letter::{DeadLetter, DeadLetterState};
pub use decode::{DecodeError, SCHEMA_VERSION};
pub use envelope::Envelope;
pub use event_kinds::{Event, EventType};
pub use expiry::{Expiry, expiry};
pub use fold::FoldError;
pub use guard::{Guard, Violation};
pub use identify::{MessageIdentity, identify};
pub use ids::{CorrelationId, CustomerId, EventId, OrderId, Reference};
pub use judge::{Verdict, allowed_events, judge};
pub use ledger::Ledger;
pub use lines::{LineId, LineItem, LineItems, LineQuantities, LineQuantity, Sku};
pub use metadata::{Metadata, MetadataPatch};
pub use money::{Amount, Currency, Quantity, SignedAmount};
pub use order::Order;
pub use order_line::OrderLine;
pub use outcome::{Outcome, Receipt, ReceiptState};
pub use past::{AsOf, Past};
pub use predict::{Prediction, predict};
pub use reasons::{ParkReason, RejectReason};
pub use recorded::RecordedEvent;
pub use repair::{Repair, Repaired};
pub use status::{FulfilmentStatus, OrderStatus, PaymentStatus};
pub use value::{InvalidValue, Text, Timestamp};
