//! Reading what a request says: its path, query, headers and body, and what is wrong with them.

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
    Content, Field, Members, Name, Place, Read, Taken, checked, checked_length, elements, fault, members,
    members_of, object,
};
pub use self::budget::BodyBudget;
pub(crate) use self::conditional::{IfMatch, IfNoneMatch, etag};
pub(crate) use self::json::JsonBody;
pub(crate) use self::params::{EventPath, LetterPath, OrderPath};
pub(crate) use self::prefer::Prefer;
pub(crate) use self::queries::{
    HistoryQuery, LettersQuery, OrderQuery, OrdersQuery, ReadyFor, ReadyQuery, ReceiptQuery,
};
pub(crate) use self::validation::{Errors, Fault, FaultCode, IS_REQUIRED, MAX_FAULTS, at_member};
