//! `orders load`: puts a running service under load, waits until every event has an outcome, and audits the service.
//!
//! 1. [`options`] parses the flags. [`client`] sends requests to the [`target`].
//! 2. Whenever a request is due in [`arrivals`], a [`worker`] sends one of the [`mix`], with a body from [`requests`],
//!    and adds accepted events to [`known_orders`]. [`lives`] defines which [`steps`] an order goes through, and [`sent`]
//!    folds their events. [`measure`] and [`counts`] keep the figures, [`samples`] follows
//!    some events until they are recorded, [`pipeline`] reads the service's ledger, and [`progress`] shows these figures.
//! 3. [`audit`] checks every accepted event, and returns its [`findings`]. With `--webhooks`, it also checks what arrived at
//!    the receiver of [`webhooks`].
//! 4. [`cost`] estimates the price on AWS, and [`report`] prints everything: in the terminal, as JSON, as a web page.

mod arrivals;
mod audit;
mod client;
mod cost;
mod counts;
mod findings;
mod known_orders;
mod latency_text;
mod lives;
mod measure;
mod mix;
mod options;
mod pipeline;
mod progress;
mod receipt;
mod report;
mod requests;
mod samples;
mod sent;
mod steps;
mod target;
mod webhooks;
mod worker;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use arrivals::{ArrivalQueue, ArrivalSchedule};
use client::LoadClient;
use findings::AuditFindings;
use known_orders::KnownOrders;
use measure::Measurements;
pub(crate) use options::LoadArgs;
use options::LoopMode;
use pipeline::ServicePipeline;
use report::LoadReport;
use requests::{Creation, RequestBodies};
use samples::OutcomeSamples;
use target::LoadTarget;
use webhooks::WebhookRun;
use worker::LoadWorker;

/// How often the run reads the service's pipeline.
const PIPELINE_EVERY: Duration = Duration::from_secs(1);

/// The shared state of a run.
#[derive(Debug)]
struct LoadRun {
    args: LoadArgs,
    target: Arc<LoadTarget>,
    start: Instant,
    arrivals: ArrivalQueue,
    requests: RequestBodies,
    /// The number of the next write.
    next_number: AtomicU32,
    orders: Mutex<KnownOrders>,
    measure: Mutex<Measurements>,
    findings: Mutex<AuditFindings>,
    samples: OutcomeSamples,
    last_outcome: LastOutcome,
    /// The subscription of this run, if it checks webhooks.
    webhooks: Option<Arc<WebhookRun>>,
}

/// The latest time at which the run saw that an event reached its outcome.
#[derive(Debug)]
struct LastOutcome {
    start: Instant,
    /// The time of the latest outcome, in milliseconds since `start`.
    last: AtomicU64,
}

impl LastOutcome {
    fn mark(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Whether the latest outcome is older than `patience`.
    fn is_older_than(&self, patience: Duration) -> bool {
        self.start.elapsed() > Duration::from_millis(self.last.load(Ordering::Relaxed)) + patience
    }
}

impl LoadRun {
    fn new(args: &LoadArgs, target: Arc<LoadTarget>, webhooks: Option<Arc<WebhookRun>>) -> Self {
        let start = Instant::now();
        Self {
            start,
            target,
            arrivals: ArrivalQueue::new(args.loop_mode(), start + args.warm_up + args.duration),
            requests: RequestBodies::new(uuid::Uuid::now_v7(), args.customers, args.lives, infra::now()),
            next_number: AtomicU32::new(0),
            orders: Mutex::default(),
            measure: Mutex::new(Measurements::new(start, args.warm_up, args.duration)),
            findings: Mutex::default(),
            samples: OutcomeSamples::new(args.samples),
            last_outcome: LastOutcome { start, last: AtomicU64::new(0) },
            args: args.clone(),
            webhooks,
        }
    }

    fn client(&self) -> LoadClient {
        LoadClient::new(self.target.clone(), self.args.timeout)
    }

    /// Whether no event has reached an outcome for longer than the patience for outcomes.
    fn is_stuck(&self) -> bool {
        self.last_outcome.is_older_than(self.args.outcome_patience())
    }

    /// Whether every request has failed for so long that the run considers the service dead.
    fn is_dead(&self) -> bool {
        self.target.outage.has_lasted(self.args.patience())
    }

    /// Numbers the next write of the run, which creates an order.
    fn next_creation(&self) -> Creation {
        let second = u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX);
        Creation { number: self.next_number(), second }
    }

    fn next_number(&self) -> u32 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    // A poisoned lock is harmless: the panic that poisoned it ends the run.

    fn orders(&self) -> MutexGuard<'_, KnownOrders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self) -> MutexGuard<'_, Measurements> {
        self.measure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn findings(&self) -> MutexGuard<'_, AuditFindings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the load and the audit. Fails if the audit has findings.
pub(crate) async fn run(args: &LoadArgs) -> anyhow::Result<()> {
    // A report file that cannot be written ends the run before the load, not after it.
    for file in [&args.json, &args.html].into_iter().flatten() {
        File::create(file).with_context(|| format!("cannot write the report to {}", file.display()))?;
    }
    let target = LoadTarget::new(&args.url, args.token()?.as_deref())?;
    let client = LoadClient::new(target.clone(), args.timeout);
    client.check_service().await?;
    let before = pipeline::read(&client, &args.url).await?;

    let webhooks = args.webhooks.subscribe(&client, &args.url).await?;
    let run = Arc::new(LoadRun::new(args, target, webhooks.clone()));
    tokio::spawn(stop_on_signal(run.clone()));
    let report = measured(&run, before.as_ref()).await;
    let unsubscribed = match &webhooks {
        Some(webhooks) => webhooks.unsubscribe(&client, &args.url).await,
        None => Ok(()),
    };
    let reported = report.and_then(|report| show(args, &report));
    if let (Err(_), Err(error)) = (&reported, &unsubscribed) {
        // The caller reports one error, and a failed audit is more important.
        tracing::error!("{error:#}");
    }
    reported.and(unsubscribed)
}

/// Prints the report, and writes its files. Fails if the audit has findings.
fn show(args: &LoadArgs, report: &LoadReport) -> anyhow::Result<()> {
    crate::print(&report.for_terminal())?;
    write(args.json.as_ref(), || report.as_json())?;
    write(args.html.as_ref(), || report.as_html())?;
    if !report.is_clean() {
        bail!("the audit is not clean: {} findings, see above", report.findings());
    }
    Ok(())
}

/// Runs the load and the audit.
async fn measured(run: &Arc<LoadRun>, before: Option<&ServicePipeline>) -> anyhow::Result<LoadReport> {
    let unsent = drive(run, before.is_some()).await?;
    let audit = audit::audit(run, before).await?;
    Ok(LoadReport::of(run, unsent, audit))
}

fn write(file: Option<&PathBuf>, content: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, content()?).with_context(|| format!("cannot write the report to {}", file.display()))
}

/// Runs the load to its end, and waits for all answers. Returns the number of requests of an open loop that were due
/// but not sent.
async fn drive(run: &Arc<LoadRun>, has_pipeline: bool) -> anyhow::Result<usize> {
    let workers = run.args.connections();
    let mut working = JoinSet::new();
    for number in 0..workers as u64 {
        working.spawn(LoadWorker::new(run.clone(), number).run());
    }
    let clock = match run.args.loop_mode() {
        LoopMode::Open { rate, arrivals } => {
            let (run, schedule) = (run.clone(), ArrivalSchedule::new(rate, arrivals, run.args.seed));
            Some(tokio::task::spawn_blocking(move || run.arrivals.run_clock(run.start, schedule, workers)))
        }
        LoopMode::Closed => None,
    };
    let mut watching = JoinSet::new();
    watching.spawn(watch_depth(run.clone(), has_pipeline));
    watching.spawn(progress::show(run.clone()));

    while let Some(ended) = working.join_next().await {
        ended.context("a worker failed")?;
    }
    let unsent = match clock {
        Some(clock) => clock.await?,
        None => 0,
    };
    {
        // A signal may have ended the load earlier than planned.
        let mut measure = run.measure();
        measure.ended = measure.ended.min(Instant::now());
    }
    run.last_outcome.mark();
    run.samples.finish().await;
    watching.shutdown().await;
    run.measure().advance(Instant::now());
    Ok(unsent)
}

/// Measures repeatedly how many events are in flight.
async fn watch_depth(run: Arc<LoadRun>, has_pipeline: bool) {
    let client = run.client();
    loop {
        let depth = match has_pipeline {
            true => pipeline::read(&client, &run.args.url).await.ok().flatten().map(|now| now.queue.depth()),
            false => {
                let accepted = run.orders().accepted_count();
                Some(run.samples.depth(accepted))
            }
        };
        let interval = {
            let mut measure = run.measure();
            measure.depth = depth;
            measure.advance(Instant::now());
            measure.interval
        };
        // Without a pipeline, the number of events in flight is estimated from samples. The estimate needs no request,
        // so it is made in every interval.
        tokio::time::sleep(if has_pipeline { PIPELINE_EVERY } else { interval }).await;
    }
}

/// Ends the load on the first Ctrl-C or SIGTERM. Ends the program on a signal after the end of the load.
async fn stop_on_signal(run: Arc<LoadRun>) {
    while crate::asked_to_stop().await.is_ok() {
        if run.arrivals.is_over() {
            std::process::exit(130);
        }
        run.arrivals.stop();
        tracing::warn!("ending the load early; the audit still checks every accepted event");
    }
}
