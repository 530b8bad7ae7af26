//! Exponential backoff. Every retry loop of the consumer and the adapters uses this module.

use std::time::Duration;

/// Returns `base` · 2^(attempt - 1), but at most `cap`. The first attempt has the number 1.
pub fn exponential(attempt: u32, base: Duration, cap: Duration) -> Duration {
    base.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(cap)
}

/// Returns a random duration between zero and [`exponential`], so that callers that failed together retry at different times
/// ([Exponential backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)).
pub fn full_jitter(attempt: u32, base: Duration, cap: Duration) -> Duration {
    exponential(attempt, base, cap).mul_f64(fastrand::f64())
}
