//! How many requests a client may make: so many a second, with bursts.
//!
//! A client is whoever authenticated, or else the network that it connects from. What is left is told in every answer,
//! as in draft-ietf-httpapi-ratelimit-headers-10.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::auth::Principal;
use crate::http::network::network;
use crate::problem::Problem;

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How often clients are forgotten that have their whole burst again, in seconds, at most.
const FORGET_EVERY: u64 = 10;

const VISIBLE: &str = "names and numbers are visible ASCII";

/// How many requests a client may make. Written `100` or `100/200`: requests per second, and burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once, after a rest.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// The seconds in which nothing becomes a whole burst.
    pub(crate) fn window(self) -> u64 {
        self.burst.get().div_ceil(self.per_second.get()).into()
    }

    pub(crate) fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rate, burst) = text.split_once('/').unwrap_or((text, text));
        let number = |text: &str| text.parse::<NonZeroU32>().ok();
        let limit = number(rate).zip(number(burst));
        limit.map(|(per_second, burst)| Self { per_second, burst }).ok_or_else(|| {
            format!("{text:?} is not requests per second, such as 100, or with a burst, such as 100/200")
        })
    }
}

/// Limits these routes. What authenticates must be added after, so that it runs before: it tells who asks.
pub(crate) fn layer<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    limit: Option<RateLimit>,
) -> Router<S> {
    let Some(limit) = limit else { return routes };
    let limiter = Arc::new(Limiter::new(limit));
    routes.route_layer(middleware::from_fn(move |request: Request, next: Next| {
        let limiter = Arc::clone(&limiter);
        async move { limiter.limited(request, next).await }
    }))
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Client {
    /// Who authenticated.
    Subject(String),
    /// An IPv4 address, or the 64 bits of an IPv6 address that a network is given: one client has all of it.
    Network(IpAddr),
    /// Nobody knows.
    Unknown,
}

impl Client {
    fn of(extensions: &Extensions) -> Self {
        let principal = extensions.get().map(|principal: &Principal| principal.subject.as_str());
        match (principal, extensions.get()) {
            (Some(subject), _) if !subject.is_empty() => Self::Subject(subject.to_owned()),
            (_, Some(ConnectInfo(peer))) => Self::Network(network(peer)),
            _ => Self::Unknown,
        }
    }
}

/// Counts by the clock that timers go by, which tests can stop.
#[derive(Debug, Clone)]
pub(crate) struct Monotonic(pub(crate) Instant);

impl Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A wait in whole seconds, for `Retry-After`.
pub(crate) fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// When to drop what is kept of clients who have their whole burst again: nothing depends on it any more. So what is kept
/// is bounded by the clients of the last window, or of 10 seconds.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    every: u64,
    /// The next time, in seconds of the clock.
    at: AtomicU64,
}

impl Housekeeping {
    pub(crate) fn every(window: u64) -> Self {
        Self { every: window.max(FORGET_EVERY), at: AtomicU64::new(FORGET_EVERY) }
    }

    /// Whether it is time; for one of those who ask.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let (now, at) = (now.as_secs(), self.at.load(Relaxed));
        now >= at && self.at.compare_exchange(at, now + self.every, Relaxed, Relaxed).is_ok()
    }
}

type Counts = RateLimiter<Client, HashMapStateStore<Client>, Monotonic, StateInformationMiddleware>;

struct Limiter {
    limit: RateLimit,
    policy: HeaderValue,
    clock: Monotonic,
    counts: Counts,
    housekeeping: Housekeeping,
}

impl Limiter {
    fn new(limit: RateLimit) -> Self {
        let clock = Monotonic(Instant::now());
        let policy = format!("\"default\";q={};w={}", limit.burst, limit.window());
        Self {
            limit,
            policy: HeaderValue::try_from(policy).expect(VISIBLE),
            counts: RateLimiter::hashmap_with_clock(limit.quota(), clock.clone()).with_middleware(),
            clock,
            housekeeping: Housekeeping::every(limit.window()),
        }
    }

    async fn limited(&self, request: Request, next: Next) -> Response {
        self.forget();
        let (mut response, left) = match self.counts.check_key(&Client::of(request.extensions())) {
            Ok(state) => (next.run(request).await, state.remaining_burst_capacity()),
            Err(not_until) => {
                let seconds = seconds(not_until.wait_time_from(self.clock.now()));
                (Problem::too_many_requests(seconds).into_response(), 0)
            }
        };
        self.tell(response.headers_mut(), left);
        response
    }

    /// Tells the policy, how many requests are left, and the seconds until there is a whole burst again.
    fn tell(&self, headers: &mut HeaderMap, left: u32) {
        let RateLimit { per_second, burst } = self.limit;
        let seconds = burst.get().saturating_sub(left).div_ceil(per_second.get());
        let state = format!("\"default\";r={left};t={seconds}");
        headers.insert(RATE_LIMIT, HeaderValue::try_from(state).expect(VISIBLE));
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
    }

    fn forget(&self) {
        if self.housekeeping.is_due(self.clock.now()) {
            self.counts.retain_recent();
            self.counts.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_text() {
        for (text, expected) in [("100", Some((100, 100))), ("5/20", Some((5, 20))), ("20/5", Some((20, 5)))]
        {
            let limit = text.parse::<RateLimit>().ok();
            assert_eq!(limit.map(|limit| (limit.per_second.get(), limit.burst.get())), expected, "{text}");
        }
        for text in ["", "0", "1/0", "0/1", "-1", "1/2/3", "1.5", "1/", "many"] {
            assert!(text.parse::<RateLimit>().unwrap_err().contains(text), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_who_rested_are_forgotten() {
        let limiter = Limiter::new("1/2".parse().unwrap());
        for name in 0..1000 {
            assert!(limiter.counts.check_key(&Client::Subject(format!("{name}"))).is_ok());
        }
        limiter.forget();
        assert_eq!(limiter.counts.len(), 1000);
        tokio::time::advance(Duration::from_secs(FORGET_EVERY)).await;
        limiter.forget();
        assert_eq!(limiter.counts.len(), 0);
    }
}
