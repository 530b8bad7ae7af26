//! Everything about HTTP that is the same for every request: the server, the middleware, limits, traces and links.

mod attempt;
pub(crate) mod correlation;
mod cors;
mod headers;
mod hosts;
mod limit;
mod links;
pub(crate) mod metering;
mod network;
mod request_tag;
mod serve;
mod spans;
pub mod trace;

pub(crate) use self::attempt::{Attempt, InDoubt};
pub use self::correlation::{Deadline, with_correlation_id};
pub use self::cors::CorsOrigins;
pub use self::hosts::{AllowedHosts, Hosts};
pub use self::limit::RateLimit;
pub(crate) use self::limit::{Housekeeping, Monotonic, rate_limited, seconds};
pub use self::links::BasePath;
pub(crate) use self::links::Links;
pub(crate) use self::network::network;
pub(crate) use self::request_tag::RequestTag;
pub(crate) use self::serve::BodyTimeout;
pub use self::serve::{ServeOptions, serve};
