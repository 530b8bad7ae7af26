//! Reads path, query, headers and body of a request, and collects all their validation errors. Handlers use the
//! extractors of this module. `orders`, `operator` and `webhooks` define their bodies with [`FromJson`] and [`members!`](members).

mod accept;
mod body;
mod budget;
mod conditional;
pub(crate) mod cursor;
mod feed_start;
mod idempotency_key;
mod json;
mod params;
mod prefer;
mod queries;
mod revision;
mod validation;

pub(crate) use self::accept::Representation;
pub(crate) use self::body::{
    BodyField, FromJson, JsonMembers, MemberName, MemberResult, MemberSlot, Parsed, check_length, checked,
    invalid, members, read_elements, read_members, read_object,
};
pub use self::budget::BodyBudget;
pub(crate) use self::conditional::{IfMatch, IfNoneMatch, etag};
pub(crate) use self::feed_start::feed_start;
pub(crate) use self::idempotency_key::IdempotencyKey;
pub(crate) use self::json::JsonBody;
pub(crate) use self::params::{DeadLetterPath, DeliveryPath, EventPath, OrderPath, WebhookPath};
pub(crate) use self::prefer::Prefer;
pub(crate) use self::queries::{
    BackupQuery, DeadLettersQuery, DeliveriesQuery, ExportQuery, FeedPlace, FeedQuery, HistoryQuery, NoQuery,
    OrderQuery, OrdersQuery, ReadyFor, ReadyQuery, ReceiptQuery, RejectionsQuery, SamplesQuery,
};
pub(crate) use self::revision::{IfRevision, revision_etag};
pub(crate) use self::validation::{
    BodyErrors, IS_REQUIRED, MAX_LISTED_ERRORS, ValidationCode, ValidationError, at_member,
};
