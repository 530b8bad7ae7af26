//! Limits failed authentication for each address, which bounds the cost of forged tokens. `token` calls this module
//! before and after it verifies a token.
//!
//! Each refused token reduces the allowance of the address that sent it. When the allowance is used up, further tokens
//! from that address are answered with `429` and not verified, until the allowance is refilled. Tokens that were
//! verified recently are still accepted, so that other clients behind the same proxy or NAT can continue.

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

use crate::auth::refusal::AuthRefusal;
use crate::http::{EvictionSchedule, RateLimit, TimerClock, retry_after_seconds};

/// The maximum number of verified tokens that the limiter remembers. When this many addresses are blocked, the limiter
/// begins to remove expired blocks.
const REMEMBERED: usize = 4096;

type FailureCounts = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, TimerClock, NoOpMiddleware<Duration>>;

/// Limits how often authentication may fail for each address.
#[derive(Debug)]
pub(super) struct FailureLimiter {
    clock: TimerClock,
    counts: FailureCounts,
    housekeeping: EvictionSchedule,
    /// The addresses whose allowance is used up, each with the time at which its block ends.
    blocked: Mutex<HashMap<IpAddr, Duration>>,
    /// The number of entries in `blocked`. Reading this number does not need the lock.
    blocked_count: AtomicUsize,
    verified: VerifiedTokens,
}

impl FailureLimiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let clock = TimerClock(Instant::now());
        Self {
            counts: RateLimiter::hashmap_with_clock(limit.quota(), clock.clone()),
            clock,
            housekeeping: EvictionSchedule::for_window(limit.window()),
            blocked: Mutex::default(),
            blocked_count: AtomicUsize::new(0),
            verified: VerifiedTokens::default(),
        }
    }

    fn blocked(&self) -> MutexGuard<'_, HashMap<IpAddr, Duration>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if the address has used up its allowance and the token was not verified recently.
    pub(super) fn admit(&self, address: IpAddr, token: &str) -> Result<(), AuthRefusal> {
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

    /// Counts a token that failed, for the address that sent it. Returns the refusal to answer with: `refusal`, or
    /// `TooManyFailures` if the address has used up its allowance.
    pub(super) fn failed(&self, address: IpAddr, token: &str, refusal: AuthRefusal) -> AuthRefusal {
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
            tracing::debug!(%address, "too many invalid tokens");
        }
        self.blocked_count.store(blocked.len(), Relaxed);
        too_many(wait)
    }
}

fn too_many(wait: Duration) -> AuthRefusal {
    AuthRefusal::TooManyFailures(retry_after_seconds(wait))
}

/// The hashes of tokens that were verified recently, one hash in each slot. A hash collision gives an
/// attacker no access, because every token is still verified.
#[derive(Debug)]
struct VerifiedTokens {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(REMEMBERED).collect();
        Self { hasher: RandomState::new(), slots }
    }
}

impl VerifiedTokens {
    fn slot(&self, token: &str) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(token);
        (&self.slots[(hash >> 32) as usize % REMEMBERED], hash)
    }

    fn has(&self, token: &str) -> bool {
        let (slot, hash) = self.slot(token);
        slot.load(Relaxed) == hash
    }

    fn add(&self, token: &str) {
        let (slot, hash) = self.slot(token);
        if slot.load(Relaxed) != hash {
            slot.store(hash, Relaxed);
        }
    }

    fn remove(&self, token: &str) {
        let (slot, hash) = self.slot(token);
        // The slot is cleared only if it still contains the hash of this token. Another token may have taken the slot.
        let _ = slot.compare_exchange(hash, 0, Relaxed, Relaxed);
    }
}
