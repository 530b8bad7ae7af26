//! The steps of a running worker: starts attempts, notes their results, carries out operators' requests, and stores the progress.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::Subscription;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use tokio::time::Instant;

use super::{Ended, Running, TICK};
use crate::webhooks::commands::{Action, CommandError};
use crate::webhooks::deliveries::{Effects, Ticket};
use crate::webhooks::held::{HeadEvent, HeldState};
use crate::webhooks::monitor::RecentDelivery;
use crate::webhooks::payload::EventPayload;
use crate::webhooks::ports::Change;
use crate::webhooks::reader::{self, Found};
use crate::webhooks::{metering, stopping};

impl Running {
    /// Starts every attempt that may be made now, and reads events if more are needed. Ends early if `is_interrupted`.
    /// Returns whether the subscription still exists.
    pub(super) async fn start_attempts(&mut self, is_interrupted: impl Fn() -> bool) -> anyhow::Result<bool> {
        // If the subscription selects few events, this loop can read the whole feed.
        while self.is_active() && !is_interrupted() {
            if let Some(ticket) = self.deliveries.next(self.now()) {
                self.start_attempt(ticket).await?;
                continue;
            }
            let (source, page) = (Arc::clone(&self.dispatcher.source), self.dispatcher.options.page);
            let has_more = source.end() > self.deliveries.read_to();
            if !has_more || !self.deliveries.wants_events() {
                break;
            }
            if !reader::read_page(source.as_ref(), &self.subscription, &mut self.deliveries, page).await? {
                break;
            }
            if self.saved_at.elapsed() >= self.dispatcher.options.save_every && !self.save().await? {
                return Ok(false);
            }
            // All workers share one thread, so this worker lets the others run.
            tokio::task::yield_now().await;
        }
        self.start_report();
        Ok(true)
    }

    async fn start_attempt(&mut self, ticket: Ticket) -> anyhow::Result<()> {
        let found = reader::find(self.dispatcher.source.as_ref(), &self.subscription, &ticket).await?;
        match found {
            Found::Event(payload) => {
                let attempt = self.attempt(ticket, payload);
                self.attempts.push(attempt);
            }
            Found::NotSelected => self.deliveries.pass(&ticket, self.now()),
            Found::EndOfLog(end) => self.deliveries.caught_up(&ticket, end),
        }
        Ok(())
    }

    fn attempt(&self, ticket: Ticket, payload: Arc<EventPayload>) -> BoxFuture<'static, Ended> {
        let (sender, clock) = (Arc::clone(&self.dispatcher.sender), self.dispatcher.clock);
        let subscription = Arc::clone(&self.subscription);
        async move {
            let finished = sender.attempt(&subscription, &payload, clock).await;
            Ended { ticket, payload, finished }
        }
        .boxed()
    }

    /// Applies the results of the given attempt and of all other attempts that have ended. The rows of all
    /// their orders are written together.
    pub(super) async fn end(&mut self, ended: Ended) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        let mut is_gone = self.note(ended, &mut changes)?;
        while let Some(Some(ended)) = self.attempts.next().now_or_never() {
            is_gone |= self.note(ended, &mut changes)?;
        }
        self.write(changes).await?;
        let store = self.dispatcher.store.as_ref();
        let reason = if !self.is_active() {
            None
        } else if is_gone {
            stopping::pause(store, &self.subscription, self.now()).await?
        } else if self.deliveries.is_dead(self.now()) {
            let after = self.dispatcher.options.disable_after;
            stopping::disable(store, &self.subscription, after, self.now()).await?
        } else {
            None
        };
        if let Some(reason) = reason {
            self.deliveries.report_stop(&reason);
        }
        Ok(())
    }

    fn note(&mut self, ended: Ended, changes: &mut Vec<Change>) -> anyhow::Result<bool> {
        let Ended { ticket, payload, finished } = ended;
        self.meter.count(&finished);
        let event_type = payload.event_type.context("a recorded event has no type")?;
        let (event_id, recorded_at) = (payload.event_id, payload.recorded_at);
        match &finished.attempt.error {
            None => self.monitor.add(RecentDelivery {
                number: 0,
                order_id: ticket.order_id.clone(),
                version: ticket.version,
                event_id,
                event_type,
                attempts: self.deliveries.attempts_before(&ticket) + 1,
                attempt: finished.attempt.clone(),
            }),
            Some(error) => {
                tracing::debug!(subscription = %self.id, order_id = %ticket.order_id, error, "a delivery failed");
            }
        }
        let head = HeadEvent { event_id, event_type, recorded_at };
        let was_open = self.deliveries.is_circuit_open();
        let now = self.now();
        let Effects { changes: rows, is_gone } =
            self.deliveries.finish(&ticket, head, &finished, now, fastrand::f64());
        if self.deliveries.is_circuit_open() && !was_open {
            let error = finished.attempt.error.as_deref();
            tracing::warn!(subscription = %self.id, error, "a receiver keeps failing: only single attempts are made");
        }
        let has_given_up = |change: &Change| matches!(change, Change::Hold(row) if row.order_id == ticket.order_id && row.state == HeldState::GaveUp);
        if rows.iter().any(has_given_up) {
            metering::count_given_up(self.id);
        }
        changes.extend(rows);
        Ok(is_gone)
    }

    /// Writes changes. Lets the cursor pass the events of held orders once their rows are durable.
    async fn write(&mut self, changes: Vec<Change>) -> anyhow::Result<bool> {
        if changes.is_empty() {
            return Ok(true);
        }
        let is_row = |change: &Change| match change {
            Change::Hold(row) => Some(row.order_id.clone()),
            _ => None,
        };
        let held: Vec<_> = changes.iter().filter_map(is_row).collect();
        let exists = self.dispatcher.store.write(&self.subscription, changes).await?;
        held.iter().for_each(|order_id| self.deliveries.confirm(order_id));
        Ok(exists)
    }

    /// Carries out a request of an operator. The inner result is the answer to the operator. The outer error ends the worker.
    pub(super) async fn carry_out(&mut self, action: Action) -> anyhow::Result<Result<(), CommandError>> {
        let now = self.now();
        let changes = match action {
            Action::Replay(position) => self.deliveries.replay(position, now),
            Action::ReplayOrder(order_id) => self.deliveries.replay_order(&order_id, now),
            Action::Skip(event_id, skip) => match self.deliveries.skip(event_id, skip) {
                Some(changes) => changes,
                None => return Ok(Err(CommandError::NoDelivery)),
            },
        };
        let exists = self.write(changes).await?;
        Ok(exists.then_some(()).ok_or(CommandError::Unavailable))
    }

    /// Applies a change of the subscription. Held deliveries are tried again immediately, because the change may have
    /// removed the cause of the failures.
    pub(super) fn change(&mut self, subscription: Arc<Subscription>) {
        if subscription.updated_at != self.subscription.updated_at {
            self.deliveries.renew(self.now());
        }
        self.subscription = subscription;
    }

    fn start_report(&mut self) {
        if self.report.is_none()
            && let Some(pending) = self.deliveries.begin_report()
        {
            let (alerts, subscription) =
                (Arc::clone(&self.dispatcher.alerts), Arc::clone(&self.subscription));
            self.report = Some(stopping::report(alerts, subscription, pending, self.report_failures).boxed());
        }
    }

    pub(super) fn reported(&mut self, has_succeeded: bool) {
        self.report_failures = if has_succeeded { 0 } else { self.report_failures + 1 };
        self.deliveries.reported(has_succeeded);
    }

    pub(super) async fn save_if_due(&mut self) -> anyhow::Result<()> {
        let is_due = self.saved_at.elapsed() >= self.dispatcher.options.save_every;
        if is_due && self.deliveries.is_unsaved() {
            self.save().await?;
        }
        Ok(())
    }

    /// Stores the progress. Returns whether the subscription still exists.
    pub(super) async fn save(&mut self) -> anyhow::Result<bool> {
        self.saved_at = Instant::now();
        let changes = self.deliveries.save();
        self.write(changes).await
    }

    /// Shows the current state to operators.
    pub(super) fn show(&mut self) {
        let progress = self.deliveries.progress();
        let cursor = progress.cursor;
        let held_orders = self.deliveries.held_orders();
        {
            let mut observed = self.monitor.observed();
            observed.held_orders = held_orders;
            observed.is_full = self.deliveries.is_full();
            observed.progress = Some(progress);
        }
        let source = &self.dispatcher.source;
        let lag = source.end().saturating_sub(cursor);
        if self.shown_at.elapsed() >= TICK.min(self.dispatcher.options.save_every) {
            self.shown_at = Instant::now();
            self.monitor.observed().oldest_held = self.deliveries.oldest_held();
            let next = (lag > 0).then(|| source.time_at(cursor + 1)).flatten();
            let micros = next.map_or(0, |at| self.now().micros() - at.micros());
            let age = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            metering::show_lag(self.id, lag, age, held_orders);
        }
    }
}
