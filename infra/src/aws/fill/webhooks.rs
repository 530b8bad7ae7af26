//! Writes webhook subscriptions, and their outstanding deliveries. The parent module calls these functions.
//!
//! On AWS, a subscription has no cursor: it gets the events that are recorded after it was created. So the fill creates
//! each subscription again, with its id and its secrets, at the end of the source's events. An order with events that
//! the source had not delivered becomes a held order, whose events are delivered from the order's log.

use std::collections::{BTreeMap, HashMap, HashSet};

use consumer::relay::CustomerLookup;
use consumer::webhooks::queued::{DeliveryQueue, HeldRow, Job, held_from};
use consumer::webhooks::{HeldOrder, HeldState};
use domain::{CustomerId, EventType, OrderId, Subscription, SubscriptionId, SubscriptionState, Timestamp};

use crate::backup::record::{EventRecord, LogRecord};
use crate::backup::row::StateRow;
use crate::embedded::backup::decode::{self, WebhookRow};
use crate::now;

use super::{FillReport, FillTarget};

/// The webhooks of the source, and the subscriptions and rows that were written for them.
#[derive(Default)]
pub(super) struct WebhookFill {
    /// The subscriptions as they are stored in the target.
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// The position up to which each subscription's events are delivered, except events of held orders.
    cursors: HashMap<SubscriptionId, u64>,
    held: Vec<(SubscriptionId, HeldOrder)>,
    skipped: u64,
    /// The orders of each subscription that have a row.
    rows: HashSet<(SubscriptionId, OrderId)>,
}

impl WebhookFill {
    pub(super) fn add(&mut self, row: &StateRow) -> anyhow::Result<()> {
        match decode::webhook(row)? {
            WebhookRow::Subscription(subscription) => {
                self.subscriptions.insert(subscription.id, *subscription);
            }
            WebhookRow::Progress(id, progress) => {
                self.cursors.insert(id, progress.cursor);
            }
            // The row of an order that has caught up is not needed: every event of the order before the cursor is
            // delivered.
            WebhookRow::Held(_, order) if matches!(order.state, HeldState::CaughtUp { .. }) => {}
            WebhookRow::Held(id, order) => self.held.push((id, *order)),
            WebhookRow::Skipped => self.skipped += 1,
        }
        Ok(())
    }

    /// Writes the subscriptions, with `at` as the time of their creation, and the rows of held orders.
    pub(super) async fn write_subscriptions(
        &mut self,
        target: &FillTarget,
        at: Timestamp,
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        let count = self.subscriptions.len();
        let Some(outbound) = &target.outbound else {
            if count > 0 {
                report.left_out.push(format!("{count} webhook subscriptions: no --outbound-table was given"));
            }
            self.subscriptions.clear();
            return Ok(());
        };
        for subscription in self.subscriptions.values_mut() {
            let new = Subscription { created_at: at, ..subscription.clone() };
            // An earlier attempt may have stored the subscription with an earlier time, which stays.
            *subscription = outbound.restore_subscription(new).await?;
            report.subscriptions += 1;
        }
        if self.skipped > 0 {
            report.left_out.push(format!("the list of {} skipped deliveries", self.skipped));
        }
        for (id, mut order) in std::mem::take(&mut self.held) {
            // Positions of the source have no meaning on AWS.
            order.first.position = 0;
            self.put_row(target, id, order, report).await?;
        }
        Ok(())
    }

    /// Writes rows for the orders of those events that a subscription selects, but that were not delivered.
    pub(super) async fn outstanding(
        &mut self,
        target: &FillTarget,
        records: &[LogRecord],
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        let cursor = |id: &SubscriptionId| self.cursors.get(id).copied().unwrap_or(0);
        let Some(first) = self.subscriptions.keys().map(cursor).min() else { return Ok(()) };
        let events: Vec<&EventRecord> = records
            .iter()
            .filter_map(|record| match record {
                LogRecord::Event(event) if event.position > first => Some(event),
                _ => None,
            })
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        let orders: HashSet<_> = events.iter().map(|event| event.order_id.clone()).collect();
        let orders: Vec<_> = orders.into_iter().collect();
        let customers: HashMap<_, _> = target.table.customers(&orders).await?.into_iter().collect();
        let mut due = Vec::new();
        for event in events {
            let (decoded, _) = decode::event(event, target.default_currency)?;
            let kind = decoded.envelope.event.event_type();
            for (id, subscription) in &self.subscriptions {
                let customer = customers.get(&event.order_id);
                if event.position > cursor(id) && selects(subscription, kind, customer) {
                    due.push((*id, held_from(&event.order_id, event.version, now())));
                }
            }
        }
        for (id, order) in due {
            self.put_row(target, id, order, report).await?;
        }
        Ok(())
    }

    async fn put_row(
        &mut self,
        target: &FillTarget,
        id: SubscriptionId,
        order: HeldOrder,
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        let (Some(subscription), Some(outbound)) = (self.subscriptions.get(&id), &target.outbound) else {
            return Ok(());
        };
        if self.rows.insert((id, order.order_id.clone())) {
            // A row that exists already was written by an earlier attempt.
            outbound.put_held(subscription, &HeldRow { order, revision: 0 }).await?;
            report.held_orders += 1;
        }
        Ok(())
    }

    /// Sends the jobs that let the held orders catch up, once a webhook sender runs.
    pub(super) async fn finish(&self, target: &FillTarget, report: &mut FillReport) -> anyhow::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let Some(queue) = &target.webhook_queue else {
            report.left_out.push(format!(
                "the deliveries of {} held orders do not begin by themselves: no --webhook-queue-url was given, so pause \
                 and resume their subscriptions",
                self.rows.len()
            ));
            return Ok(());
        };
        let is_active = |subscription: &&Subscription| subscription.state == SubscriptionState::Active;
        let active = self.subscriptions.values().filter(is_active);
        let jobs: Vec<_> = active.map(|subscription| Job::sweep_now(subscription.id)).collect();
        queue.send(&jobs).await.into_iter().collect()
    }
}

fn selects(subscription: &Subscription, kind: EventType, customer: Option<&CustomerId>) -> bool {
    // If the customer is unknown, the webhook sender decides whether the subscription selects the event.
    customer.is_none_or(|customer| subscription.selects(Some(kind), customer))
}
