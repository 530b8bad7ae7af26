//! Stops sending to a receiver that always fails. The worker asks the circuit before each attempt.
//!
//! After many failures without a success in between, the circuit is open: only single attempts are made, with growing
//! pauses, until an attempt succeeds. While the circuit is open, no events are read ahead, so only a few orders are
//! held.

use std::time::Duration;

use domain::Timestamp;

use crate::backoff::exponential;

/// After this many failures without a success, only single attempts are made.
pub const MAX_FAILURES: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The failures of a receiver since its last success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circuit {
    failures: u32,
    /// When the next single attempt may be made. `None` if the circuit is closed.
    probe_at: Option<Timestamp>,
}

/// Which attempts the circuit permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Any attempt.
    Any,
    /// A single attempt that tests the receiver. No other attempt may be in flight.
    Probe,
    /// No attempt may be made before the given time.
    WaitUntil(Timestamp),
}

impl Circuit {
    /// Which attempts are permitted at the time `now`.
    pub fn permit(&self, now: Timestamp) -> Permit {
        match self.probe_at {
            None => Permit::Any,
            Some(at) if at <= now => Permit::Probe,
            Some(at) => Permit::WaitUntil(at),
        }
    }

    /// Whether the circuit is open, so that only single attempts are made.
    pub fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }

    /// When the next single attempt may be made. `None` if the circuit is closed.
    pub fn probe_at(&self) -> Option<Timestamp> {
        self.probe_at
    }

    /// Records a success, which closes the circuit, so that every attempt is permitted again.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Records the failure of an attempt that began at `began`. An attempt that was in flight when the
    /// circuit opened does not lengthen the pause, because its failure is no news.
    pub fn failed(&mut self, began: Timestamp, now: Timestamp) {
        if self.probe_at.is_some_and(|at| began < at) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MAX_FAILURES {
            let pause = exponential(self.failures - MAX_FAILURES + 1, FIRST_PAUSE, MAX_PAUSE);
            self.probe_at = Some(later(now, pause));
        }
    }
}

/// The time that is `by` later than `at`.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    // Timestamps end with the year 9999. If the sum is later, `at` is returned unchanged.
    Timestamp::from_micros(at.micros().saturating_add(micros)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000).unwrap()
    }

    #[test]
    fn single_attempts_follow_many_failures_with_pauses_up_to_a_minute() {
        let mut circuit = Circuit::default();
        for _ in 1..MAX_FAILURES {
            circuit.failed(at(0), at(0));
            assert_eq!(circuit.permit(at(0)), Permit::Any);
        }
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            circuit.failed(at(now), at(now));
            let Permit::WaitUntil(until) = circuit.permit(at(now)) else { panic!("{circuit:?}") };
            pauses.push(until.micros() / 1_000_000 - now);
            assert_eq!(circuit.permit(until), Permit::Probe);
            now = until.micros() / 1_000_000;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_success_closes_the_circuit_and_resets_the_count() {
        let mut circuit = Circuit::default();
        (0..MAX_FAILURES).for_each(|_| circuit.failed(at(0), at(0)));
        assert!(circuit.is_open());
        circuit.succeeded();
        circuit.failed(at(1), at(1));
        assert_eq!(circuit.permit(at(1)), Permit::Any);
    }

    #[test]
    fn attempts_that_were_in_flight_when_the_circuit_opened_do_not_lengthen_the_pause() {
        let mut circuit = Circuit::default();
        (0..MAX_FAILURES + 30).for_each(|_| circuit.failed(at(0), at(0)));
        assert_eq!(circuit.probe_at(), Some(at(1)));
        circuit.failed(at(0), at(15));
        assert_eq!(
            circuit.permit(at(15)),
            Permit::Probe,
            "it began before the circuit opened, and timed out"
        );
        circuit.failed(at(15), at(15));
        assert_eq!(circuit.probe_at(), Some(at(17)));
    }
}
