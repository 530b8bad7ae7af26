//! A consumer for tests that handle messages themselves.

use std::sync::Arc;

use consumer::Consumer;
use consumer::ports::{DeadLetters, OrderLog};

use super::events::eur;

/// A consumer over the given ports. It never parks a message because of its receive count, and has no ledger.
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
