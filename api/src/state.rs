//! What every handler is given.

use std::sync::Arc;
use std::time::SystemTime;

use domain::Timestamp;
use uuid::Uuid;

use crate::auth::Auth;
use crate::ports::{EventPublisher, Health, OrderReader};

/// What the handlers need: the ports, a clock and a source of ids.
#[derive(Clone)]
pub struct AppState {
    /// Where accepted events go.
    pub publisher: Arc<dyn EventPublisher>,
    /// Where orders are read.
    pub reader: Arc<dyn OrderReader>,
    /// Whether the service can do its work.
    pub health: Arc<dyn Health>,
    /// How requests are authenticated.
    pub auth: Auth,
    /// The time; the system's unless a test says otherwise.
    pub clock: fn() -> Timestamp,
    /// A new id for an order, an event or a request; UUIDv7 unless a test says otherwise.
    pub new_id: fn() -> Uuid,
}

impl AppState {
    /// The state, with the system's clock and UUIDv7 ids. Requests are not authenticated.
    pub fn new(
        publisher: Arc<dyn EventPublisher>,
        reader: Arc<dyn OrderReader>,
        health: Arc<dyn Health>,
    ) -> Self {
        let clock = || Timestamp::new(SystemTime::now().into());
        Self { publisher, reader, health, auth: Auth::None, clock, new_id: Uuid::now_v7 }
    }
}
