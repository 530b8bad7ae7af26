//! The order model. Every function here depends only on its arguments: it uses no I/O, no async code, no clock and no
//! randomness. `clippy.toml` beside this crate enforces that. So every rule can be tested as given / when / then.
//!
//! Read the modules in this order:
//!
//! 1. [`event_kinds`] contains the table of event kinds with their guards. [`event`] contains the data of each kind.
//! 2. [`order`] defines the order that readers see: lines with counters ([`order_line`]), [`payments`], [`parcels`] and
//!    the statuses derived from the counters ([`status`]).
//! 3. [`guard`] defines the conditions for an event. [`mod@judge`] checks them, with the result legal, early or never.
//! 4. [`fold`] folds an order from its events. [`past`] folds an earlier state of an order.
//! 5. [`envelope`] defines an event with its metadata, and [`recorded`] an entry of the log. [`decode`] describes why a
//!    message cannot be read, and `upcast_v0` and `upcast_v1` read older schema versions. [`mod@expiry`] makes the
//!    event that the service itself proposes.
//! 6. [`outcome`] describes what happened to an event, which the receipt of the event shows. [`reasons`] contains the
//!    codes.
//! 7. [`dead_letter`] defines a message that could not be processed. [`mod@identify`] finds its ids, [`repair`] keeps
//!    its repairs, and [`mod@predict`] predicts a redrive.
//! 8. [`ledger`] contains the counts which show that no event was lost.
//! 9. [`subscription`] defines a webhook subscription, which recorded events are posted to.
//!
//! [`value`], [`money`], [`lines`], [`adjustments`], [`contact`], [`metadata`] and [`ids`] contain value types. A
//! value is parsed once, and is always valid afterwards. [`derived_ids`] derives the ids that are the same for all
//! retries. [`wording`] describes errors in JSON, and [`mod@diagram`] generates parts of the documents.
//!
//! The terms are defined in `docs/glossary.md`.

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
pub mod subscription;
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
pub use subscription::{Subscription, SubscriptionId, SubscriptionState};
pub use value::{InvalidValue, Text, Timestamp};
