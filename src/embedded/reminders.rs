//! Reminds operators of what was reported and is still unresolved: dead letters, and webhook subscriptions that the service
//! has stopped. `serve` runs it.
//!
//! A reminder is due at each multiple of the interval after the latest dead letter was parked, or the latest subscription
//! was stopped. So there is at most one reminder of each kind in an interval, and a restart neither repeats one nor
//! delays the next.

use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterFilter, DeadLetterStore, Pipeline};
use api::ports::webhooks::WebhookStore;
use consumer::alert::{Alert, Reminder, StoppedSubscription};
use consumer::ports::Alerts;
use consumer::webhooks::stopped_by_the_service;
use domain::{Subscription, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;

/// The longest pause between two looks at what is unresolved. A reminder is late by at most this time.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How many pages of dead letters are read to find one that is not discarded.
const MAX_PAGES: usize = 10;
const PAGE: usize = 100;

pub(super) struct Reminders {
    pub(super) letters: Arc<dyn DeadLetterStore>,
    pub(super) pipeline: Arc<dyn Pipeline>,
    pub(super) webhooks: Arc<dyn WebhookStore>,
    pub(super) alerts: Arc<dyn Alerts>,
    /// The time between two reminders.
    pub(super) every: Duration,
}

/// The schedule of one kind of reminder.
#[derive(Debug, Default)]
struct Schedule(Option<Given>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given {
    /// What the reminders count from.
    since: Timestamp,
    /// The latest reminder, or the one that was due when `since` was first seen.
    number: u64,
}

impl Schedule {
    /// The number of the reminder that is due, if one is. Call [`Schedule::given`] once it is given.
    fn due(&mut self, since: Option<Timestamp>, now: Timestamp, every: Duration) -> Option<Given> {
        let Some(since) = since else {
            self.0 = None;
            return None;
        };
        let age = u128::try_from(now.micros() - since.micros()).unwrap_or(0);
        let number = u64::try_from(age / every.as_micros().max(1)).unwrap_or(u64::MAX);
        match self.0.filter(|given| given.since == since) {
            Some(given) if number > given.number => Some(Given { since, number }),
            Some(_) => None,
            None => {
                self.0 = Some(Given { since, number });
                None
            }
        }
    }

    fn given(&mut self, reminder: Given) {
        self.0 = Some(reminder);
    }
}

impl Reminders {
    /// Reminds until `stop` becomes true.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let pause = (self.every / 10).min(MAX_PAUSE);
        let work = async {
            let (mut letters, mut subscriptions) = (Schedule::default(), Schedule::default());
            loop {
                sleep(pause).await;
                for result in [
                    self.remind_of_letters(&mut letters).await,
                    self.remind_of_subscriptions(&mut subscriptions).await,
                ] {
                    if let Err(error) = result {
                        tracing::error!("cannot remind of what is unresolved, trying again: {error:#}");
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn remind_of_letters(&self, schedule: &mut Schedule) -> anyhow::Result<()> {
        let count = self.pipeline.counters().await?.dead_letters;
        let latest = if count == 0 { None } else { self.latest_letter().await? };
        let Some((due, latest)) = schedule.due(latest, infra::now(), self.every).zip(latest) else {
            return Ok(());
        };
        self.alerts.raise(&Alert::Reminder(Reminder::of_dead_letters(due.number, count, latest))).await?;
        schedule.given(due);
        Ok(())
    }

    /// When the latest dead letter was parked that is not discarded.
    async fn latest_letter(&self) -> anyhow::Result<Option<Timestamp>> {
        let (filter, mut after) = (DeadLetterFilter::default(), None);
        for _ in 0..MAX_PAGES {
            let page = self.letters.letters(&filter, after.as_ref(), PAGE).await?;
            if let Some(letter) = page.letters.first() {
                return Ok(Some(letter.parked_at));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(None)
    }

    async fn remind_of_subscriptions(&self, schedule: &mut Schedule) -> anyhow::Result<()> {
        let all = self.webhooks.subscriptions().await?;
        let stopped: Vec<_> = all.iter().filter_map(|status| of_stopped(&status.subscription)).collect();
        let latest = stopped.iter().map(|stopped| stopped.stopped_at).max();
        let Some(due) = schedule.due(latest, infra::now(), self.every) else { return Ok(()) };
        self.alerts.raise(&Alert::Reminder(Reminder::of_subscriptions(due.number, stopped))).await?;
        schedule.given(due);
        Ok(())
    }
}

fn of_stopped(subscription: &Subscription) -> Option<StoppedSubscription> {
    let stopped = stopped_by_the_service(subscription)?.clone();
    Some(StoppedSubscription {
        subscription_id: subscription.id,
        state: subscription.state,
        reason: stopped.reason,
        stopped_at: stopped.at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000).unwrap()
    }

    #[test]
    fn a_reminder_is_due_at_each_interval_after_the_latest_cause() {
        let mut schedule = Schedule::default();
        let due =
            |schedule: &mut Schedule, since: i64, now: i64| schedule.due(Some(at(since)), at(now), HOUR);
        assert_eq!(due(&mut schedule, 0, 1), None);
        assert_eq!(due(&mut schedule, 0, 59), None);
        let first = due(&mut schedule, 0, 60).unwrap();
        assert_eq!(first.number, 1);
        // It could not be given, and is still due.
        assert_eq!(due(&mut schedule, 0, 61), Some(first));
        schedule.given(first);
        assert_eq!(due(&mut schedule, 0, 119), None);
        assert_eq!(due(&mut schedule, 0, 121).map(|due| due.number), Some(2));
        // A new cause was reported by its own alert, and begins the interval again.
        assert_eq!(due(&mut schedule, 110, 121), None);
        assert_eq!(due(&mut schedule, 110, 169), None);
        assert_eq!(due(&mut schedule, 110, 170).map(|due| due.number), Some(1));
    }

    #[test]
    fn a_restart_neither_repeats_a_reminder_nor_delays_the_next() {
        let mut restarted = Schedule::default();
        assert_eq!(restarted.due(Some(at(0)), at(61), HOUR), None);
        assert_eq!(restarted.due(Some(at(0)), at(119), HOUR), None);
        assert_eq!(restarted.due(Some(at(0)), at(120), HOUR).map(|due| due.number), Some(2));
    }

    #[test]
    fn what_is_resolved_needs_no_reminder() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(Some(at(0)), at(1), HOUR), None);
        assert_eq!(schedule.due(None, at(61), HOUR), None);
        assert_eq!(schedule.0, None);
    }
}
