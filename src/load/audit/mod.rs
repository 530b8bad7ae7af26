//! The audit after the load: checks every accepted event and returns findings for the report.
//!
//! [`evidence`] reads an order's receipts, its log and its projection. [`order`] compares this evidence with the accepted events;
//! [`projection`] checks the order as a whole, and [`expiry`] its deadline. [`ledger`] compares the service's ledger with the
//! outcomes.

mod evidence;
mod expiry;
mod ledger;
mod logged_event;
mod order;
mod projection;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;
use serde::Serialize;
use tokio::task::JoinSet;

use super::LoadRun;
use super::counts::CallCounts;
use super::findings::{AuditFindings, FindingKind};
use super::known_orders::KnownOrder;
use super::pipeline::{self, ServiceLedger, ServicePipeline};
use super::progress::ProgressDisplay;
use evidence::{EvidenceReader, OrderEvidence};

/// How many orders are audited at the same time.
const MAX_PARALLEL: usize = 64;
/// The pause between two reads of the service's pipeline.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of the accepted events have each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct OutcomeCounts {
    pub(super) orders: u64,
    /// The number of accepted events. Retries do not count.
    pub(super) accepted: u64,
    pub(super) recorded: u64,
    pub(super) rejected: u64,
    pub(super) parked: u64,
    /// Events without an outcome or without a receipt.
    pub(super) lost: u64,
    /// Cancellations of orders that were unpaid at their deadline. The service itself proposed them, so they are not
    /// part of `accepted`.
    pub(super) expired: u64,
    /// Orders with a deadline during the run. The service may propose to cancel each of them.
    pub(super) with_deadline: u64,
    /// Orders for which at least one request got no answer.
    pub(super) uncertain_orders: u64,
}

impl OutcomeCounts {
    fn merge(&mut self, other: &Self) {
        self.orders += other.orders;
        self.accepted += other.accepted;
        self.recorded += other.recorded;
        self.rejected += other.rejected;
        self.parked += other.parked;
        self.lost += other.lost;
        self.expired += other.expired;
        self.with_deadline += other.with_deadline;
        self.uncertain_orders += other.uncertain_orders;
    }

    fn with_outcome(&self) -> u64 {
        self.recorded + self.rejected + self.parked
    }
}

/// The result of the audit.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AuditResult {
    pub(super) clean: bool,
    #[serde(rename = "tally")]
    pub(super) outcomes: OutcomeCounts,
    /// The service's ledger before and after the run, if the service has one.
    pub(super) ledger: Option<LedgerChange>,
    pub(super) findings: AuditFindings,
    /// The number of seconds after the load until the pipeline was empty, if the service has a ledger.
    pub(super) drained_after: Option<f64>,
    /// How many seconds the audit took.
    pub(super) seconds: f64,
    /// The calls that the audit made.
    pub(super) calls: CallCounts,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LedgerChange {
    pub(super) before: ServiceLedger,
    pub(super) after: ServiceLedger,
}

/// The results of one of the audit's tasks.
#[derive(Debug, Default)]
struct PartialAudit {
    outcomes: OutcomeCounts,
    findings: AuditFindings,
    calls: CallCounts,
}

/// Waits until every accepted event has an outcome, and audits all orders.
pub(super) async fn audit(
    run: &Arc<LoadRun>,
    before: Option<&ServicePipeline>,
) -> anyhow::Result<AuditResult> {
    let start = Instant::now();
    run.last_outcome.mark();
    let drained = match before {
        // If other clients use the service, its pipeline may never be empty. So the audit does not wait for an empty
        // pipeline, and waits for each receipt instead.
        Some(_) if !run.args.shared => drain(run).await,
        _ => None,
    };
    let drained_after =
        drained.as_ref().filter(|now| now.ledger.in_flight == 0).map(|_| start.elapsed().as_secs_f64());

    if let Some(webhooks) = &run.webhooks {
        webhooks.begin_to_wait();
    }
    let orders = Arc::new(std::mem::take(&mut *run.orders()).into_orders());
    let mut result = audit_orders(run, &orders).await?;
    result.findings.merge(std::mem::take(&mut *run.findings()));
    if let Some(webhooks) = &run.webhooks {
        result.findings.merge(webhooks.findings());
    }
    let outcomes = result.outcomes;
    if outcomes.orders == 0 && run.measure().calls == CallCounts::default() {
        result.findings.add(FindingKind::NothingAudited, "the load was too short or the rate too low");
    }
    if outcomes.accepted != outcomes.with_outcome() {
        let OutcomeCounts { accepted, recorded, rejected, parked, .. } = outcomes;
        let example =
            format!("{accepted} accepted, but {recorded} recorded + {rejected} rejected + {parked} parked");
        result.findings.add(FindingKind::NotConserved, example);
    }
    let ledger = match before {
        Some(before) => settled_ledger(run, before, &outcomes, &mut result.findings).await,
        None => None,
    };
    Ok(AuditResult {
        clean: result.findings.is_clean(),
        outcomes,
        ledger,
        findings: result.findings,
        drained_after,
        seconds: start.elapsed().as_secs_f64(),
        calls: result.calls,
    })
}

/// Waits until the service's ledger counts no events in flight. Gives up when there is no progress.
async fn drain(run: &LoadRun) -> Option<ServicePipeline> {
    let (client, mut latest) = (run.client(), None::<ServicePipeline>);
    let progress = ProgressDisplay::of_unknown_length("waiting for the pipeline to drain");
    while !run.is_stuck() && !run.is_dead() {
        if let Ok(Some(now)) = pipeline::read(&client, &run.args.url).await {
            if latest.as_ref().is_none_or(|before| before.ledger.in_flight != now.ledger.in_flight) {
                run.last_outcome.mark();
            }
            progress.update(format!("{} events in flight", now.ledger.in_flight));
            let is_drained = now.ledger.in_flight == 0;
            latest = Some(now);
            if is_drained {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    latest
}

/// Audits all orders, several at the same time.
async fn audit_orders(run: &Arc<LoadRun>, orders: &Arc<Vec<KnownOrder>>) -> anyhow::Result<PartialAudit> {
    let next = Arc::new(AtomicUsize::new(0));
    let progress = Arc::new(ProgressDisplay::of_orders("auditing", orders.len()));
    let mut tasks = JoinSet::new();
    for number in 0..MAX_PARALLEL.min(orders.len()) {
        let (run, orders, next, progress) = (run.clone(), orders.clone(), next.clone(), progress.clone());
        tasks.spawn(async move {
            let mut reader = EvidenceReader::new(&run, Rng::with_seed(number as u64));
            let mut part = PartialAudit::default();
            while let Some(known) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                let evidence = reader.read(known).await;
                check_webhooks(&run, known, &evidence, &mut part.findings).await;
                let (requests, unordered) = (&run.requests, run.args.unordered);
                order::audit(requests, unordered, known, evidence, &mut part.outcomes, &mut part.findings);
                progress.step();
            }
            part.calls = reader.calls();
            part
        });
    }
    let mut all = PartialAudit::default();
    while let Some(part) = tasks.join_next().await {
        let part = part.context("a task of the audit failed")?;
        all.outcomes.merge(&part.outcomes);
        all.findings.merge(part.findings);
        all.calls.add(&part.calls);
    }
    Ok(all)
}

/// Waits until the events of the order have arrived at the run's webhook receiver, and compares them with the log.
async fn check_webhooks(
    run: &LoadRun,
    known: &KnownOrder,
    evidence: &OrderEvidence,
    findings: &mut AuditFindings,
) {
    let (Some(webhooks), Ok(log)) = (&run.webhooks, &evidence.log) else { return };
    let log: Vec<_> = log.iter().map(|entry| entry.event.envelope.event_id).collect();
    webhooks.wait_for(&known.id, log.len(), run.args.outcome_patience()).await;
    webhooks.compare(&known.id, &log, findings);
}

/// Reads the service's ledger until it agrees with the outcomes, or makes no progress. Differences become findings.
async fn settled_ledger(
    run: &LoadRun,
    before: &ServicePipeline,
    outcomes: &OutcomeCounts,
    findings: &mut AuditFindings,
) -> Option<LedgerChange> {
    let client = run.client();
    run.last_outcome.mark();
    let (before, shared) = (before.ledger, run.args.shared);
    loop {
        let after = pipeline::read(&client, &run.args.url).await.ok().flatten().map(|now| now.ledger);
        let differences = match &after {
            Some(after) => ledger::differences(&before, after, outcomes, shared),
            None => vec!["the service no longer returns its ledger".to_owned()],
        };
        if differences.is_empty() || run.is_stuck() || run.is_dead() {
            differences
                .into_iter()
                .for_each(|difference| findings.add(FindingKind::LedgerDiffers, difference));
            return after.map(|after| LedgerChange { before, after });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
