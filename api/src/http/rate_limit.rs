//! The rate limit of `/v1`, which `lib.rs` adds to its routes. It limits the number of requests per second for each
//! client, and allows bursts.
//!
//! A client is identified by its authenticated subject. A client without a subject is identified by the network that it
//! connects from. Every answer contains the number of requests that are left (draft-ietf-httpapi-ratelimit-headers-10).

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
use crate::http::network::client_network;
use crate::problem::Problem;

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The shortest time between two evictions, in seconds. An eviction removes the clients whose bucket is full.
const MIN_EVICTION_INTERVAL: u64 = 10;

const VISIBLE: &str = "names and numbers are visible ASCII";

/// How many requests a client may make. The text form is `100` or `100/200`: requests per second, and burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The sustained number of requests per second.
    pub per_second: NonZeroU32,
    /// The burst: how many requests a client may make at the same time after a pause.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// How long an empty bucket takes to become full again, in seconds.
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
            format!("{text:?} must be requests per second, such as 100, or requests per second and a burst, such as 100/200")
        })
    }
}

/// Adds the rate limit to `routes`. Authentication must run before the rate limit, because the limit depends on the
/// principal. So the authentication layer must be added later.
pub(crate) fn rate_limited<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    limit: Option<RateLimit>,
) -> Router<S> {
    let Some(limit) = limit else { return routes };
    let limiter = Arc::new(RequestLimiter::new(limit));
    routes.route_layer(middleware::from_fn(move |request: Request, next: Next| {
        let limiter = Arc::clone(&limiter);
        async move { limiter.limited(request, next).await }
    }))
}

/// A client that has its own bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum LimitedClient {
    /// The subject of the token.
    Subject(String),
    /// The client's network, as [`client_network`] returns it.
    Network(IpAddr),
    /// All requests without a subject and without a known address. They share one bucket.
    Unknown,
}

impl LimitedClient {
    fn of(extensions: &Extensions) -> Self {
        let principal = extensions.get().map(|principal: &Principal| principal.subject.as_str());
        match (principal, extensions.get()) {
            (Some(subject), _) if !subject.is_empty() => Self::Subject(subject.to_owned()),
            (_, Some(ConnectInfo(peer))) => Self::Network(client_network(peer)),
            _ => Self::Unknown,
        }
    }
}

/// The clock that tokio's timers use. Tests can pause it.
#[derive(Debug, Clone)]
pub(crate) struct TimerClock(pub(crate) Instant);

impl Clock for TimerClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The value of the `Retry-After` header for a pause of `wait`: whole seconds, at least 1.
pub(crate) fn retry_after_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// When to evict clients whose bucket is full. A full bucket carries no information, so an eviction changes nothing.
/// Memory then holds only clients that made a request within the last window, or within the last 10 seconds if the
/// window is shorter.
#[derive(Debug)]
pub(crate) struct EvictionSchedule {
    interval: u64,
    /// The time of the next eviction, in seconds of the clock.
    next: AtomicU64,
}

impl EvictionSchedule {
    pub(crate) fn for_window(window: u64) -> Self {
        Self { interval: window.max(MIN_EVICTION_INTERVAL), next: AtomicU64::new(MIN_EVICTION_INTERVAL) }
    }

    /// Whether an eviction is due. If several callers ask at the same time, only one gets `true`.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let (now, next) = (now.as_secs(), self.next.load(Relaxed));
        now >= next && self.next.compare_exchange(next, now + self.interval, Relaxed, Relaxed).is_ok()
    }
}

type ClientCounts =
    RateLimiter<LimitedClient, HashMapStateStore<LimitedClient>, TimerClock, StateInformationMiddleware>;

struct RequestLimiter {
    limit: RateLimit,
    policy: HeaderValue,
    clock: TimerClock,
    counts: ClientCounts,
    housekeeping: EvictionSchedule,
}

impl RequestLimiter {
    fn new(limit: RateLimit) -> Self {
        let clock = TimerClock(Instant::now());
        let policy = format!("\"default\";q={};w={}", limit.burst, limit.window());
        Self {
            limit,
            policy: HeaderValue::try_from(policy).expect(VISIBLE),
            counts: RateLimiter::hashmap_with_clock(limit.quota(), clock.clone()).with_middleware(),
            clock,
            housekeeping: EvictionSchedule::for_window(limit.window()),
        }
    }

    async fn limited(&self, request: Request, next: Next) -> Response {
        self.evict_full_buckets();
        let (mut response, left) = match self.counts.check_key(&LimitedClient::of(request.extensions())) {
            Ok(state) => (next.run(request).await, state.remaining_burst_capacity()),
            Err(not_until) => {
                let seconds = retry_after_seconds(not_until.wait_time_from(self.clock.now()));
                (Problem::too_many_requests(seconds).into_response(), 0)
            }
        };
        self.add_headers(response.headers_mut(), left);
        response
    }

    /// Adds headers to the answer: the policy, how many requests are left, and the seconds until the bucket is full
    /// again.
    fn add_headers(&self, headers: &mut HeaderMap, left: u32) {
        let RateLimit { per_second, burst } = self.limit;
        let seconds = burst.get().saturating_sub(left).div_ceil(per_second.get());
        let state = format!("\"default\";r={left};t={seconds}");
        headers.insert(RATE_LIMIT, HeaderValue::try_from(state).expect(VISIBLE));
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
    }

    fn evict_full_buckets(&self) {
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
    async fn clients_with_a_full_bucket_are_evicted() {
        let limiter = RequestLimiter::new("1/2".parse().unwrap());
        for name in 0..1000 {
            assert!(limiter.counts.check_key(&LimitedClient::Subject(format!("{name}"))).is_ok());
        }
        limiter.evict_full_buckets();
        assert_eq!(limiter.counts.len(), 1000);
        tokio::time::advance(Duration::from_secs(MIN_EVICTION_INTERVAL)).await;
        limiter.evict_full_buckets();
        assert_eq!(limiter.counts.len(), 0);
    }
}
