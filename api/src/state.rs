//! The state that every handler gets. The commands that run an API build it, and so do the tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use domain::Timestamp;
use uuid::Uuid;

use crate::auth::Auth;
use crate::http::{CorsOrigins, Hosts, RateLimit};
use crate::input::BodyBudget;
use crate::operations::Operations;
use crate::ports::{EventPublisher, Health, OrderReader};

/// The state as handlers get it. Each request clones it several times. Each member has its own reference count, because
/// the threads would contend for a single count.
pub(crate) type SharedState = Arc<AppState>;

/// The ports, the clock, the source of ids and the options of the API.
#[derive(Clone)]
pub struct AppState {
    /// Publishes accepted events.
    pub publisher: Arc<dyn EventPublisher>,
    /// Reads orders.
    pub reader: Arc<dyn OrderReader>,
    /// Checks whether the service is ready.
    pub health: Arc<dyn Health>,
    /// The dead letters and counters for operators. If this is `None`, the operator endpoints answer 404.
    pub operations: Option<Operations>,
    /// How requests are authenticated.
    pub auth: Auth,
    /// Whether requests that publish events must have an idempotency key.
    pub require_idempotency_key: bool,
    /// Returns the current time.
    pub clock: fn() -> Timestamp,
    /// Returns a new id for an order, an event or a request.
    pub new_id: fn() -> Uuid,
    /// The keys of orders' metadata by which orders can be found. The store must have an index of each.
    pub searchable_metadata: Arc<BTreeSet<String>>,
    /// How many requests under `/v1` a client may make. `None`: any number.
    pub rate_limit: Option<RateLimit>,
    /// The memory and threads that all request bodies share.
    pub body_budget: BodyBudget,
    /// The host names that requests may use.
    pub hosts: Hosts,
    /// Which pages of other origins may call the API from a browser. `None` allows no pages.
    pub cors_origins: Option<CorsOrigins>,
}

impl AppState {
    /// A state with the system's clock, UUIDv7 ids and the default options. Requests are not authenticated.
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
            searchable_metadata: Arc::default(),
            rate_limit,
            body_budget: BodyBudget::default(),
            hosts: Hosts::Any,
            cors_origins,
        }
    }
}
