//! The state that all handlers of the API share. The commands that serve the API build it, and so do the tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use domain::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::auth::Auth;
use crate::export::Exports;
use crate::http::{CorsOrigins, EventStreams, Hosts, RateLimit};
use crate::input::BodyBudget;
use crate::operations::Operations;
use crate::pipeline_history::PipelineHistory;
use crate::ports::backup::BackupStreams;
use crate::ports::feed::EventFeed;
use crate::ports::webhooks::WebhookStore;
use crate::ports::{EventPublisher, Health, OrderReader};
use crate::write_gate::WriteGate;

/// The state in the form that handlers get. Each request clones it several times. A clone changes a single reference count,
/// because one `Arc` holds all members. With a count for each member, the threads would contend for many counts.
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
    /// The last hour of the pipeline. If this is `None`, its endpoint answers that no history is kept.
    pub history: Option<Arc<PipelineHistory>>,
    /// The feed of recorded events. If this is `None`, its endpoint answers 404.
    pub feed: Option<Arc<dyn EventFeed>>,
    /// The streams of backups. If this is `None`, their endpoint answers 404.
    pub backups: Option<Arc<dyn BackupStreams>>,
    /// The slots for streams of events. If this is `None`, the deployment cannot send streams, and answers requests for
    /// a stream with 406.
    pub event_streams: Option<EventStreams>,
    /// Becomes true, or loses its sender, when the service stops. Streams and waiting requests end at that time. If
    /// this is `None`, the service never ends them.
    pub stopping: Option<watch::Receiver<bool>>,
    /// The export of recorded events. If this is `None`, its endpoint answers 404.
    pub exports: Option<Exports>,
    /// Refuses writes while the service is moved. If this is `None`, the endpoints of the fence answer 404.
    pub write_gate: Option<Arc<WriteGate>>,
    /// The webhook subscriptions. If this is `None`, their endpoints answer 404.
    pub webhooks: Option<Arc<dyn WebhookStore>>,
    /// How requests are authenticated.
    pub auth: Auth,
    /// Whether requests that publish events must have an idempotency key.
    pub require_idempotency_key: bool,
    /// Returns the current time.
    pub clock: fn() -> Timestamp,
    /// Returns a new id for an order, an event or a request.
    pub new_id: fn() -> Uuid,
    /// The keys of the metadata by which orders can be found. The store must have an index for each of these keys.
    pub searchable_metadata: Arc<BTreeSet<String>>,
    /// How many requests under `/v1` a client may make. `None` means that requests are not limited.
    pub rate_limit: Option<RateLimit>,
    /// Limits the memory and the threads that all request bodies use together.
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
            history: None,
            feed: None,
            backups: None,
            event_streams: None,
            stopping: None,
            exports: None,
            write_gate: None,
            webhooks: None,
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

    /// Whether the service is stopping. A dropped sender means that the service is stopping, as in
    /// [`AppState::stopped`]. If the two functions disagreed, a stream would loop without waiting.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| *stopping.borrow() || stopping.has_changed().is_err())
    }

    /// Completes when the service stops.
    pub(crate) async fn stopped(&self) {
        match self.stopping.clone() {
            // An error means that the sender was dropped, which also means that the service is stopping.
            Some(mut stopping) => drop(stopping.wait_for(|is_stopping| *is_stopping).await),
            None => std::future::pending().await,
        }
    }
}
