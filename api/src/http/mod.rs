//! The parts that all HTTP requests share: the server, the outermost middleware, limits, traces and links. `lib.rs`
//! builds the router with this module. Handlers use [`LinkBuilder`], [`page_response`] and [`begin_change`].

mod attempt;
mod correlation;
mod cors;
mod event_streams;
mod fair_share;
mod headers;
mod hosts;
mod links;
mod network;
mod paging;
mod rate_limit;
mod request_tag;
mod request_timer;
mod serve;
mod spans;
pub mod trace;

pub(crate) use self::attempt::{ChangeAttempt, UncertainEvent};
pub use self::correlation::{Deadline, with_correlation_id, with_trace_id};
pub(crate) use self::correlation::{begin_change, correlate};
pub use self::cors::CorsOrigins;
pub use self::event_streams::EventStreams;
pub(crate) use self::event_streams::StreamSlot;
pub use self::hosts::{AllowedHosts, Hosts};
pub use self::links::BasePath;
pub(crate) use self::links::LinkBuilder;
pub(crate) use self::network::client_network;
pub(crate) use self::paging::{page_response, with_next_link};
pub use self::rate_limit::RateLimit;
pub(crate) use self::rate_limit::{EvictionSchedule, TimerClock, rate_limited, retry_after_seconds};
pub(crate) use self::request_tag::{RequestTag, hash_text};
pub(crate) use self::serve::BodyTimeout;
pub use self::serve::{ServeOptions, serve};
pub(crate) use self::spans::publish_span;
