//! The consumer of tests that handle messages themselves.

use std::sync::Arc;

use consumer::Consumer;
use consumer::ports::{DeadLetters, OrderLog};

use super::events::eur;

/// A consumer over these ports. It never parks a message for its receives, and has no ledger of its own.
pub fn consumer_of(log: Arc<dyn OrderLog>, dead_letters: Arc<dyn DeadLetters>) -> Consumer {
    Consumer {
        log,
        dead_letters,
        clock: infra::now,
        default_currency: eur(),
        max_receives: None,
        ledger: None,
    }
}
