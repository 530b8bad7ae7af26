//! What every handler is given.

use std::sync::Arc;
use std::time::SystemTime;

use domain::Timestamp;
use uuid::Uuid;

use crate::auth::Auth;
use crate::http::{CorsOrigins, Hosts, RateLimit};
use crate::input::BodyBudget;
use crate::operations::Operations;
use crate::ports::{EventPublisher, Health, OrderReader};

/// The state as handlers get it: every request takes it several times, and both cores would fight over the counts of
/// everything in it.
pub(crate) type Shared = Arc<AppState>;

/// What the handlers need: the ports, a clock and a source of ids.
#[derive(Clone)]
pub struct AppState {
    /// Where accepted events go.
    pub publisher: Arc<dyn EventPublisher>,
    /// Where orders are read.
    pub reader: Arc<dyn OrderReader>,
    /// Whether the service can do its work.
    pub health: Arc<dyn Health>,
    /// What operators look after; without it, there are no addresses for them.
    pub operations: Option<Operations>,
    /// How requests are authenticated.
    pub auth: Auth,
    /// Whether requests that change something must have an idempotency key.
    pub require_idempotency_key: bool,
    /// The time; the system's unless a test says otherwise.
    pub clock: fn() -> Timestamp,
    /// A new id for an order, an event or a request; UUIDv7 unless a test says otherwise.
    pub new_id: fn() -> Uuid,
    /// How many requests under `/v1` a client may make; any number, unless it says so.
    pub rate_limit: Option<RateLimit>,
    /// What the bodies of all requests may take together.
    pub body_budget: BodyBudget,
    /// By which names requests may call the service; any, unless it says so.
    pub hosts: Hosts,
    /// Which pages of other origins may use the API from a browser; none, unless it says so.
    pub cors_origins: Option<CorsOrigins>,
}

impl AppState {
    /// The state, with the system's clock and UUIDv7 ids. Requests are not authenticated.
    pub fn new(
        publisher: Arc<dyn EventPublisher>,
        reader: Arc<dyn OrderReader>,
        health: Arc<dyn Health>,
    ) -> Self {
        let clock = || Timestamp::new(SystemTime::now().into());
        let (rate_limit, cors_origins) = (None, None);
        let (auth, require_idempotency_key) = (Auth::None, false);
        let new_id = Uuid::now_v7;
        Self {
            publisher,
            reader,
            health,
            operations: None,
            auth,
            require_idempotency_key,
            clock,
            new_id,
            rate_limit,
            body_budget: BodyBudget::default(),
            hosts: Hosts::Any,
            cors_origins,
        }
    }
}
