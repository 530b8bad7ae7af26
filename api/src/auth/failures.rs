//! Failed authentication, limited by the address that it comes from: what it costs to refuse forged tokens is bounded.
//!
//! Each token that is refused takes from its address's allowance. Once that is used up, tokens from there are answered
//! with `429` unread, but for those that were verified recently: clients that share an address with the one that fails
//! (behind a proxy, or a NAT) go on with the tokens they have. New tokens from there have to wait for the allowance to
//! come back.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use tokio::time::Instant;

use crate::auth::refusal::Refusal;
use crate::http::{seconds, Housekeeping, Monotonic, RateLimit};

/// How many tokens are remembered as verified; each new one may take the place of another.
const REMEMBERED: usize = 4096;

type Counts = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Monotonic, NoOpMiddleware<Duration>>;

/// The failures of each address.
#[derive(Debug)]
pub(super) struct Failures {
    clock: Monotonic,
    counts: Counts,
    housekeeping: Housekeeping,
    /// Addresses whose allowance is used up, and until when.
    blocked: Mutex<HashMap<IpAddr, Duration>>,
    /// How many those are, without the lock.
    blocked_count: AtomicUsize,
    verified: Verified,
}

impl Failures {
    pub(super) fn new(limit: RateLimit) -> Self {
        let clock = Monotonic(Instant::now());
        Self {
            counts: RateLimiter::hashmap_with_clock(limit.quota(), clock.clone()),
            clock,
            housekeeping: Housekeeping::every(limit.window()),
            blocked: Mutex::default(),
            blocked_count: AtomicUsize::new(0),
            verified: Verified::default(),
        }
    }

    fn blocked(&self) -> MutexGuard<'_, HashMap<IpAddr, Duration>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if the address has used up its allowance, and the token was not verified recently.
    pub(super) fn admit(&self, address: IpAddr, token: &str) -> Result<(), Refusal> {
        if self.blocked_count.load(Relaxed) == 0 {
            return Ok(());
        }
        let now = self.clock.now();
        let mut blocked = self.blocked();
        match blocked.get(&address) {
            Some(until) if *until > now && !self.verified.has(token) => Err(too_many(*until - now)),
            Some(until) if *until <= now => {
                blocked.remove(&address);
                self.blocked_count.store(blocked.len(), Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn succeeded(&self, token: &str) {
        self.verified.add(token);
    }

    /// Counts the failure: what it is answered with.
    pub(super) fn failed(&self, address: IpAddr, token: &str, refusal: Refusal) -> Refusal {
        self.verified.remove(token);
        let now = self.clock.now();
        let Err(not_until) = self.counts.check_key(&address) else {
            if self.housekeeping.is_due(now) {
                self.counts.retain_recent();
                self.counts.shrink_to_fit();
            }
            return refusal;
        };
        let wait = not_until.wait_time_from(now);
        let mut blocked = self.blocked();
        if blocked.len() >= REMEMBERED {
            blocked.retain(|_, until| *until > now);
        }
        if blocked.insert(address, now + wait).is_none() {
            tracing::debug!(%address, "too many tokens that are not valid");
        }
        self.blocked_count.store(blocked.len(), Relaxed);
        too_many(wait)
    }
}

fn too_many(wait: Duration) -> Refusal {
    Refusal::TooManyFailures(seconds(wait))
}

/// Tokens that were verified, by their hashes. One that is taken for another is verified all the same, so it does not
/// matter that a place has room for one only.
#[derive(Debug)]
struct Verified {
    hasher: RandomState,
    places: Box<[AtomicU64]>,
}

impl Default for Verified {
    fn default() -> Self {
        let places = std::iter::repeat_with(AtomicU64::default).take(REMEMBERED).collect();
        Self { hasher: RandomState::new(), places }
    }
}

impl Verified {
    fn place(&self, token: &str) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(token);
        (&self.places[(hash >> 32) as usize % REMEMBERED], hash)
    }

    fn has(&self, token: &str) -> bool {
        let (place, hash) = self.place(token);
        place.load(Relaxed) == hash
    }

    fn add(&self, token: &str) {
        let (place, hash) = self.place(token);
        if place.load(Relaxed) != hash {
            place.store(hash, Relaxed);
        }
    }

    fn remove(&self, token: &str) {
        let (place, hash) = self.place(token);
        // A place that has another one by now keeps it.
        let _ = place.compare_exchange(hash, 0, Relaxed, Relaxed);
    }
}
