//! When a failed delivery is tried again. The worker asks the schedule after each failure.

use std::time::Duration;

/// The delays between attempts, as Standard Webhooks suggests
/// ([Deliverability and reliability](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability)).
/// The last attempt is made after about 76 hours.
const DELAYS_SECONDS: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

/// Each delay is extended by a random part of up to this fraction, so that deliveries that failed together are tried
/// again at different times.
const JITTER: f64 = 0.2;

/// The delays between the attempts of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Vec<Duration>);

impl Default for Schedule {
    fn default() -> Self {
        Self(DELAYS_SECONDS.map(Duration::from_secs).to_vec())
    }
}

impl Schedule {
    /// A schedule with the given delays. The number of attempts is one more than the number of delays.
    pub fn new(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self(delays.into_iter().collect())
    }

    /// The delay after `failures` failures, or `None` if no attempt follows. `random` is from 0 to 1.
    pub fn delay(&self, failures: u32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
        let delay = self.0.get(failures.saturating_sub(1) as usize)?.mul_f64(1.0 + JITTER * random);
        Some(delay.max(retry_after.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_ten_times_within_four_days() {
        let schedule = Schedule::default();
        let delays: Vec<_> = (1..).map_while(|failures| schedule.delay(failures, None, 0.0)).collect();
        assert_eq!(delays.len(), 9);
        assert_eq!(delays[0], Duration::from_secs(5));
        assert!(delays.is_sorted());
        let hours = |random| {
            (1..10).filter_map(|n| schedule.delay(n, None, random)).sum::<Duration>().as_secs() / 3600
        };
        assert_eq!((hours(0.0), hours(1.0)), (75, 90));
    }

    #[test]
    fn a_retry_after_makes_the_delay_longer_but_never_shorter() {
        let schedule = Schedule::default();
        let asked = |seconds| schedule.delay(2, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(1), Some(Duration::from_secs(300)));
        assert_eq!(asked(900), Some(Duration::from_secs(900)));
        // An answer with `Retry-After` does not add attempts.
        assert_eq!(schedule.delay(10, Some(Duration::from_secs(1)), 0.0), None);
    }
}
