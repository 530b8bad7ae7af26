//! Proposes to cancel orders that are unpaid at their deadline. `orders serve` runs this module in the process of the
//! API. On AWS, this module is a separate role. `infra` implements the index of due orders.
//!
//! A pass reads the [`DueOrders`] page by page. For each order on a page, the pass reads the current order and proposes
//! `order_cancelled` with the version that it read, as any client could. If a payment is recorded before the proposal,
//! the rules reject the proposal. An order that is still unpaid at its new version stays in the index, and the next
//! pass proposes again. Nothing is kept in memory. The ids of proposals are derived from the order, so a restarted pass
//! publishes the same ids.

pub mod gated;
#[cfg(feature = "lambda")]
pub mod lambda;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use domain::expiry::never_expires;
use domain::{Expiry, OrderId, Timestamp, expiry};
use futures_util::{StreamExt, stream};
use metrics::{counter, gauge, histogram};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::orders::publish_events;
use crate::ports::{EventPublisher, OrderReader};

/// The maximum number of orders on a page. On the embedded engine, the proposals for one page are one commit.
const ORDERS_PER_PAGE: usize = 100;
/// How many orders of a page are read at the same time.
const CONCURRENT_READS: usize = 16;
/// The pause after a page, as a multiple of the time that the page took. The pause leaves most of the machine to
/// requests.
const PAGE_PAUSE_FACTOR: u32 = 3;
/// The pause after a pass, as a multiple of the time that the pass spent on pages without a proposal.
const IDLE_PAUSE_FACTOR: u32 = 10;
/// The maximum pause after a pass.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a pass that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// The index of orders that may be due.
#[async_trait]
pub trait DueOrders: Send + Sync {
    /// Returns a page of up to `limit` orders that may be past their deadline. The page starts after the position
    /// `after`. Together, the pages contain every order that was due before the first page was read. They may also
    /// contain orders that are not due.
    async fn due(
        &self,
        query: &DueQuery,
        after: Option<&DuePosition>,
        limit: usize,
    ) -> anyhow::Result<DuePage>;

    /// Reports what a pass found about the orders of a page at the time `now`, so that the index can skip orders that
    /// need no proposal soon. An index that is always up to date ignores the report.
    async fn report(&self, _found: &[(OrderId, DueState)], _now: Timestamp) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The time and the age by which the index decides which orders are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueQuery {
    /// The current time.
    pub now: Timestamp,
    /// The configured age at which unpaid orders are due, in microseconds.
    pub unpaid_age_micros: Option<i64>,
}

/// A position in the list of due orders. The bytes have a meaning only for the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePosition(pub Vec<u8>);

/// A page of due orders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuePage {
    /// The orders.
    pub orders: Vec<OrderId>,
    /// The position where the next page begins. `None` on the last page.
    pub next: Option<DuePosition>,
}

/// What a pass found about an order on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueState {
    /// The pass has just proposed to cancel the order.
    Proposed,
    /// An earlier pass proposed to cancel the order at its current version. That proposal is queued, parked or
    /// rejected.
    Waiting,
    /// The order is not due before this time.
    Later(Timestamp),
    /// The order has no deadline now, but may get one.
    Suspended,
    /// The order has no deadline and cannot get one.
    Ended,
}

/// Proposes to cancel orders that are due.
#[derive(Clone)]
pub struct ExpiryRole {
    /// Lists the orders that may be due.
    pub due: Arc<dyn DueOrders>,
    /// Reads orders and receipts.
    pub reader: Arc<dyn OrderReader>,
    /// Publishes the proposals.
    pub publisher: Arc<dyn EventPublisher>,
    /// Returns the current time. Every page reads the clock again, so that a change of the system's clock takes effect
    /// immediately.
    pub clock: fn() -> Timestamp,
    /// The age at which unpaid orders are due. If `None`, orders are due only at their own `expires_at`.
    pub unpaid_age: Option<Duration>,
    /// The minimum pause between two passes.
    pub tick: Duration,
}

/// The result of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// The number of proposals that were accepted.
    pub proposed: u64,
    /// The number of orders for which no proposal was published.
    pub passed_over: u64,
    /// Whether the pass reached its time limit before it had read all pages.
    pub is_cut_short: bool,
    /// The time spent on pages without a proposal.
    idle: Duration,
}

impl ExpiryRole {
    /// Runs passes until `stop` becomes true. If a pass fails, the next pass starts from the beginning.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let passes = async {
            loop {
                let pause = match self.pass(None).await {
                    Ok(pass) => self.tick.max(pass.idle * IDLE_PAUSE_FACTOR).min(MAX_PAUSE),
                    Err(error) => {
                        tracing::error!(
                            "cannot propose to cancel unpaid orders; the next pass tries again: {error:#}"
                        );
                        FAILURE_PAUSE
                    }
                };
                sleep(pause).await;
            }
        };
        tokio::select! {
            () = passes => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Makes one pass over the due orders. Begins no further page after the time `until`.
    pub async fn pass(&self, until: Option<Instant>) -> anyhow::Result<Pass> {
        let mut pass = Pass::default();
        let mut after = None;
        loop {
            let started = Instant::now();
            let query = DueQuery { now: (self.clock)(), unpaid_age_micros: self.unpaid_age_micros() };
            let page = self.due.due(&query, after.as_ref(), ORDERS_PER_PAGE).await;
            let page = page.context("cannot read the index of due orders")?;
            let proposed = self.propose(&page.orders, query, &mut pass).await?;
            let took = started.elapsed();
            if proposed == 0 {
                pass.idle += took;
            }
            let Some(next) = page.next else { break };
            if until.is_some_and(|until| Instant::now() >= until) {
                pass.is_cut_short = true;
                break;
            }
            after = Some(next);
            sleep(took * PAGE_PAUSE_FACTOR).await;
        }
        if !pass.is_cut_short {
            gauge!("orders_due_lag_seconds").set(0.0);
        }
        if pass.proposed > 0 {
            tracing::info!(proposed = pass.proposed, "proposed to cancel unpaid orders");
        }
        Ok(pass)
    }

    /// Proposes to cancel each of `orders` that is due. Returns how many proposals were accepted.
    async fn propose(&self, orders: &[OrderId], query: DueQuery, pass: &mut Pass) -> anyhow::Result<u64> {
        let looks = stream::iter(orders.to_vec()).map(|order_id| self.look_at_one(order_id, query));
        let found: Vec<_> = looks.buffered(CONCURRENT_READS).collect().await;
        let (mut due, mut states) = (Vec::new(), Vec::new());
        for (order_id, found) in orders.iter().zip(found) {
            match found {
                Some(Ok(expiry)) => due.push(expiry),
                Some(Err(state)) => states.push((order_id.clone(), state)),
                None => {}
            }
        }
        pass.passed_over += states.len() as u64;
        let published = self.publish(&due, query.now, &mut states).await;
        // The states are reported even if some proposals were refused, because the index must know which proposals were
        // accepted.
        if !states.is_empty() {
            self.due.report(&states, query.now).await.context("cannot update the index of due orders")?;
        }
        let accepted = published?;
        pass.proposed += accepted;
        Ok(accepted)
    }

    /// Publishes the proposals. Adds the orders whose proposals were accepted to `states`, and returns the number of
    /// these orders. Fails if a proposal was not accepted.
    async fn publish(
        &self,
        due: &[Expiry],
        now: Timestamp,
        states: &mut Vec<(OrderId, DueState)>,
    ) -> anyhow::Result<u64> {
        if due.is_empty() {
            return Ok(0);
        }
        let proposals: Vec<_> = due.iter().map(|expiry| expiry.proposal.clone()).collect();
        let results = publish_events(self.publisher.as_ref(), &proposals).await;
        let (mut accepted, mut failure) = (0, None);
        for (expiry, result) in due.iter().zip(results) {
            match result {
                Ok(_) => {
                    accepted += 1;
                    report_lateness(expiry, now);
                    states.push((expiry.proposal.order_id.clone(), DueState::Proposed));
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        counter!("orders_due_proposed_total").increment(accepted);
        match failure {
            Some(error) => Err(anyhow::Error::new(error).context("a proposal was not accepted")),
            None => Ok(accepted),
        }
    }

    /// Returns the proposal for an order or, if the order needs none, the reason. If the order cannot be read, logs the
    /// error and returns `None`, so that the pass continues with the other orders.
    async fn look_at_one(&self, order_id: OrderId, query: DueQuery) -> Option<Result<Expiry, DueState>> {
        let unreadable = |error: &anyhow::Error| {
            let order_id = order_id.as_str();
            tracing::error!(order_id, "cannot read an order that may be due: {error:#}");
        };
        self.look_at(&order_id, query).await.inspect_err(unreadable).ok()
    }

    async fn look_at(&self, order_id: &OrderId, query: DueQuery) -> anyhow::Result<Result<Expiry, DueState>> {
        let age = query.unpaid_age_micros;
        let order = self.reader.order(order_id).await?.map(|snapshot| snapshot.order);
        let Some(order) = order else { return Ok(Err(DueState::Ended)) };
        let Some(expiry) = expiry(&order, age, query.now) else {
            let later = order.deadline(age).map(DueState::Later);
            let without = if never_expires(&order) { DueState::Ended } else { DueState::Suspended };
            return Ok(Err(later.unwrap_or(without)));
        };
        let receipt = self.reader.receipt(order_id, expiry.proposal.event_id).await?;
        Ok(if receipt.is_some() { Err(DueState::Waiting) } else { Ok(expiry) })
    }

    fn unpaid_age_micros(&self) -> Option<i64> {
        self.unpaid_age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Records the time from the order's deadline until the proposal was accepted. While many orders are due, this gauge
/// shows how late the proposals are.
fn report_lateness(expiry: &Expiry, now: Timestamp) {
    let micros = now.micros().saturating_sub(expiry.deadline.micros());
    let late = Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64();
    histogram!("orders_due_late_seconds").record(late);
    gauge!("orders_due_lag_seconds").set(late);
}
