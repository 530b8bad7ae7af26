//! Reads path, query, headers and body of a request, and collects all their validation errors. Handlers use the
//! extractors of this module. `orders` and `operator` define their bodies with [`FromJson`] and [`members!`](members).

mod body;
mod budget;
mod conditional;
pub(crate) mod cursor;
mod json;
mod params;
mod prefer;
mod queries;
mod validation;

pub(crate) use self::body::{
    BodyField, FromJson, JsonMembers, MemberName, MemberResult, MemberSlot, Parsed, check_length, checked,
    invalid, members, read_elements, read_members, read_object,
};
pub use self::budget::BodyBudget;
pub(crate) use self::conditional::{IfMatch, IfNoneMatch, etag};
pub(crate) use self::json::JsonBody;
pub(crate) use self::params::{DeadLetterPath, EventPath, OrderPath};
pub(crate) use self::prefer::Prefer;
pub(crate) use self::queries::{
    DeadLettersQuery, HistoryQuery, OrderQuery, OrdersQuery, ReadyFor, ReadyQuery, ReceiptQuery,
};
pub(crate) use self::validation::{
    BodyErrors, IS_REQUIRED, MAX_LISTED_ERRORS, ValidationCode, ValidationError, at_member,
};
