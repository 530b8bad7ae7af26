//! `orders load`: puts a running service under load, waits until all of it is handled, and audits the outcome.
//!
//! 1. [`options`] says what to do; [`target`] is where, and [`client`] a connection to it.
//! 2. [`arrivals`] hands out turns; at each a [`worker`] makes a request of the [`mix`] ([`requests`] has their bodies),
//!    and notes in the [`book`] what was accepted. [`measure`] keeps the figures and [`counts`] the counts, [`samples`] follows some events until
//!    they are recorded, [`progress`] shows how it goes, and [`pipeline`] asks the service for its own account.
//! 3. [`audit`] looks at everything that was accepted and tells its [`findings`].
//! 4. [`cost`] estimates what AWS would ask for it, and [`report`] tells it all: in the terminal, as JSON, as a page.

mod arrivals;
mod audit;
mod client;
mod cost;
mod counts;
mod findings;
mod known_orders;
mod measure;
mod mix;
mod options;
mod pipeline;
mod progress;
mod receipt;
mod report;
mod requests;
mod samples;
mod target;
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
use report::LoadReport;
use requests::RequestBodies;
use samples::OutcomeSamples;
use target::LoadTarget;
use worker::LoadWorker;

/// How often the service is asked for its own account.
const LOOK: Duration = Duration::from_secs(1);

/// A run, as everybody who works on it sees it.
#[derive(Debug)]
struct LoadRun {
    args: LoadArgs,
    target: Arc<LoadTarget>,
    start: Instant,
    turns: ArrivalQueue,
    requests: RequestBodies,
    numbers: AtomicU32,
    book: Mutex<KnownOrders>,
    measure: Mutex<Measurements>,
    findings: Mutex<AuditFindings>,
    samples: OutcomeSamples,
    progress: LastOutcome,
}

/// When an event was last seen to have an outcome.
#[derive(Debug)]
struct LastOutcome {
    start: Instant,
    /// In milliseconds after the start.
    last: AtomicU64,
}

impl LastOutcome {
    fn made(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Whether nothing has come to an outcome for so long.
    fn is_stuck(&self, patience: Duration) -> bool {
        self.start.elapsed() > Duration::from_millis(self.last.load(Ordering::Relaxed)) + patience
    }
}

impl LoadRun {
    fn new(args: &LoadArgs, target: Arc<LoadTarget>) -> Self {
        let start = Instant::now();
        Self {
            start,
            target,
            turns: ArrivalQueue::new(args.pace(), start + args.warm_up + args.duration),
            requests: RequestBodies::new(uuid::Uuid::now_v7(), args.customers),
            numbers: AtomicU32::new(0),
            book: Mutex::default(),
            measure: Mutex::new(Measurements::new(start, args.warm_up, args.duration)),
            findings: Mutex::default(),
            samples: OutcomeSamples::new(args.samples),
            progress: LastOutcome { start, last: AtomicU64::new(0) },
            args: args.clone(),
        }
    }

    fn client(&self) -> LoadClient {
        LoadClient::new(self.target.clone(), self.args.timeout)
    }

    /// Whether no event has come to an outcome for as long as one may take.
    fn is_stuck(&self) -> bool {
        self.progress.is_stuck(self.args.outcome_patience())
    }

    /// Whether every request has failed for as long as we are patient: the service is gone, and what it is asked now it
    /// will not answer either.
    fn is_dead(&self) -> bool {
        self.target.silence.lasts(self.args.patience())
    }

    fn next_number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    // What a panic has left half done is no worse than the panic, which ends the run.

    fn book(&self) -> MutexGuard<'_, KnownOrders> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self) -> MutexGuard<'_, Measurements> {
        self.measure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn findings(&self) -> MutexGuard<'_, AuditFindings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the load and the audit. An error if the audit finds anything.
pub(crate) async fn run(args: &LoadArgs) -> anyhow::Result<()> {
    // Before the work, not after it: whether there is a place for the report.
    for file in [&args.json, &args.html].into_iter().flatten() {
        File::create(file).with_context(|| format!("cannot write the report to {}", file.display()))?;
    }
    let target = LoadTarget::new(&args.url, args.token()?.as_deref())?;
    target::check(&target, args.timeout).await?;
    let client = LoadClient::new(target.clone(), args.timeout);
    let before = pipeline::ask(&client, &args.url).await?;

    let run = Arc::new(LoadRun::new(args, target));
    tokio::spawn(stop_if_asked(run.clone()));
    let unsent = drive(&run, before.is_some()).await?;
    let audit = audit::audit(&run, before.as_ref()).await?;
    let report = LoadReport::of(&run, unsent, audit);
    crate::print(&report.in_terminal())?;
    write(args.json.as_ref(), || report.as_json())?;
    write(args.html.as_ref(), || report.as_html())?;
    if !report.is_clean() {
        bail!("the audit is not clean: {} findings, listed above", report.findings());
    }
    Ok(())
}

fn write(file: Option<&PathBuf>, content: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, content()?).with_context(|| format!("cannot write the report to {}", file.display()))
}

/// Drives the load to its end, and waits until what was sent is answered. Gives how many requests of an open loop came
/// due and were not sent.
async fn drive(run: &Arc<LoadRun>, has_pipeline: bool) -> anyhow::Result<usize> {
    let workers = run.args.connections();
    let mut working = JoinSet::new();
    for number in 0..workers as u64 {
        working.spawn(LoadWorker::new(run.clone(), number).work());
    }
    let keeping_time = match run.args.pace() {
        LoopMode::Open { rate, arrivals } => {
            let (run, schedule) = (run.clone(), ArrivalSchedule::new(rate, arrivals, run.args.seed));
            Some(tokio::task::spawn_blocking(move || run.turns.keep_time(run.start, schedule, workers)))
        }
        LoopMode::Closed => None,
    };
    let mut watching = JoinSet::new();
    watching.spawn(look(run.clone(), has_pipeline));
    watching.spawn(progress::show(run.clone()));

    while let Some(ended) = working.join_next().await {
        ended.context("a connection's work ended early")?;
    }
    let unsent = match keeping_time {
        Some(keeping) => keeping.await?,
        None => 0,
    };
    {
        // Earlier than planned, if it was asked to stop.
        let mut measure = run.measure();
        measure.ended = measure.ended.min(Instant::now());
    }
    run.progress.made();
    run.samples.finish().await;
    watching.shutdown().await;
    run.measure().advance(Instant::now());
    Ok(unsent)
}

/// Notes from time to time how many events wait.
async fn look(run: Arc<LoadRun>, has_pipeline: bool) {
    let client = run.client();
    loop {
        let depth = match has_pipeline {
            true => pipeline::ask(&client, &run.args.url).await.ok().flatten().map(|now| now.queue.depth()),
            false => {
                let accepted = run.book().accepted();
                Some(run.samples.depth(accepted))
            }
        };
        let interval = {
            let mut measure = run.measure();
            measure.depth = depth;
            measure.advance(Instant::now());
            measure.interval
        };
        // Looking at what is known here costs the service nothing.
        tokio::time::sleep(if has_pipeline { LOOK } else { interval }).await;
    }
}

/// Ends the load when Ctrl-C or SIGTERM asks for it, and the program when there is no load to end.
async fn stop_if_asked(run: Arc<LoadRun>) {
    while crate::asked_to_stop().await.is_ok() {
        if run.turns.are_over() {
            std::process::exit(130);
        }
        run.turns.stop();
        tracing::warn!("ending the load early; what was accepted is still audited");
    }
}
