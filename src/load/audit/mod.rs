//! The audit: looks at everything that was accepted, and tells what is not as it must be.
//!
//! [`evidence`] reads what the service has of an order: the receipt of each event, the log, the order itself. [`order`]
//! judges that, and [`ledger`] compares the service's own account with what this run did.

mod evidence;
mod ledger;
mod order;

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
use evidence::EvidenceReader;

/// Orders that are looked at, at the same time.
const AT_ONCE: usize = 64;
/// Between two looks at the service's account.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of the accepted events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct OutcomeCounts {
    pub(super) orders: u64,
    /// Each event once, however often it was sent.
    pub(super) accepted: u64,
    pub(super) recorded: u64,
    pub(super) rejected: u64,
    pub(super) parked: u64,
    /// Of which there is no outcome, or no receipt.
    pub(super) lost: u64,
    /// Of orders about which a request was never answered.
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
        self.uncertain_orders += other.uncertain_orders;
    }

    fn conserved(&self) -> u64 {
        self.recorded + self.rejected + self.parked
    }
}

/// The result of the audit.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AuditResult {
    pub(super) clean: bool,
    pub(super) tally: OutcomeCounts,
    /// The service's own account before and after the run, where it gives one.
    pub(super) ledger: Option<LedgerChange>,
    pub(super) findings: AuditFindings,
    /// How long it took from the end of the load until nothing waited any more, where the service tells.
    pub(super) drained_after: Option<f64>,
    /// How long the audit itself took, in seconds.
    pub(super) seconds: f64,
    /// What it asked for.
    pub(super) calls: CallCounts,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LedgerChange {
    pub(super) before: ServiceLedger,
    pub(super) after: ServiceLedger,
}

/// What an auditor has found so far.
#[derive(Debug, Default)]
struct PartialAudit {
    tally: OutcomeCounts,
    findings: AuditFindings,
    calls: CallCounts,
}

/// Waits until everything accepted is handled, and audits it.
pub(super) async fn audit(
    run: &Arc<LoadRun>,
    before: Option<&ServicePipeline>,
) -> anyhow::Result<AuditResult> {
    let start = Instant::now();
    run.progress.made();
    let drained = match before {
        // Where others go on, there is always something in flight; the receipts will tell.
        Some(_) if !run.args.shared => drain(run).await,
        _ => None,
    };
    let drained_after =
        drained.as_ref().filter(|now| now.ledger.in_flight == 0).map(|_| start.elapsed().as_secs_f64());

    let orders = Arc::new(std::mem::take(&mut *run.book()).into_orders());
    let mut notes = look_at(run, &orders).await?;
    notes.findings.merge(std::mem::take(&mut *run.findings()));
    let tally = notes.tally;
    if tally.orders == 0 && run.measure().calls == CallCounts::default() {
        notes.findings.add(FindingKind::NothingAudited, "the load was too short, or the rate too low");
    }
    if tally.accepted != tally.conserved() {
        let OutcomeCounts { accepted, recorded, rejected, parked, .. } = tally;
        let example =
            format!("{accepted} accepted, but {recorded} recorded + {rejected} rejected + {parked} parked");
        notes.findings.add(FindingKind::NotConserved, example);
    }
    let ledger = match before {
        Some(before) => settled_ledger(run, before, &tally, &mut notes.findings).await,
        None => None,
    };
    Ok(AuditResult {
        clean: notes.findings.is_clean(),
        tally,
        ledger,
        findings: notes.findings,
        drained_after,
        seconds: start.elapsed().as_secs_f64(),
        calls: notes.calls,
    })
}

/// Waits until the service says that nothing is in flight; gives up when there is no progress.
async fn drain(run: &LoadRun) -> Option<ServicePipeline> {
    let (client, mut latest) = (run.client(), None::<ServicePipeline>);
    let progress = ProgressDisplay::waiting("waiting for the pipeline to drain");
    while !run.is_stuck() && !run.is_dead() {
        if let Ok(Some(now)) = pipeline::ask(&client, &run.args.url).await {
            if latest.as_ref().is_none_or(|before| before.ledger.in_flight != now.ledger.in_flight) {
                run.progress.made();
            }
            progress.tell(format!("{} events in flight", now.ledger.in_flight));
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

/// Looks at every order, several at the same time.
async fn look_at(run: &Arc<LoadRun>, orders: &Arc<Vec<KnownOrder>>) -> anyhow::Result<PartialAudit> {
    let next = Arc::new(AtomicUsize::new(0));
    let progress = Arc::new(ProgressDisplay::of_orders("auditing", orders.len()));
    let mut auditors = JoinSet::new();
    for number in 0..AT_ONCE.min(orders.len()) {
        let (run, orders, next, progress) = (run.clone(), orders.clone(), next.clone(), progress.clone());
        auditors.spawn(async move {
            let mut reader = EvidenceReader::new(&run, Rng::with_seed(number as u64));
            let mut notes = PartialAudit::default();
            while let Some(known) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                let evidence = reader.read(known).await;
                let (requests, unordered) = (&run.requests, run.args.unordered);
                order::judge(requests, unordered, known, evidence, &mut notes.tally, &mut notes.findings);
                progress.step();
            }
            notes.calls = reader.calls();
            notes
        });
    }
    let mut all = PartialAudit::default();
    while let Some(notes) = auditors.join_next().await {
        let notes = notes.context("an auditor ended early")?;
        all.tally.merge(&notes.tally);
        all.findings.merge(notes.findings);
        all.calls.add(&notes.calls);
    }
    Ok(all)
}

/// The service's account, when it has come to rest; what is wrong with it are findings.
async fn settled_ledger(
    run: &LoadRun,
    before: &ServicePipeline,
    tally: &OutcomeCounts,
    findings: &mut AuditFindings,
) -> Option<LedgerChange> {
    let client = run.client();
    run.progress.made();
    let (before, shared) = (before.ledger, run.args.shared);
    loop {
        let after = pipeline::ask(&client, &run.args.url).await.ok().flatten().map(|now| now.ledger);
        let differences = match &after {
            Some(after) => ledger::differences(&before, after, tally, shared),
            None => vec!["the service no longer tells its ledger".to_owned()],
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
