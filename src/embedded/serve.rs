//! Implements `orders serve`: the API and the consumer on one data folder.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use api::expiry::ExpiryRole;
use api::expiry::gated::GatedExpiry;
use api::export::Exports;
use api::operations::Operations;
use api::pipeline_history::{Latencies, PipelineHistory, SampledPorts};
use api::{AppState, WriteGate};
use consumer::Consumer;
use consumer::alert::CountedAlerts;
use consumer::poll::{self, PollOptions};
use consumer::ports::Alerts;
use infra::embedded::backup::continuous::{self, ContinuousBackup};
use infra::embedded::backup::stream::EngineBackups;
use infra::embedded::webhooks::{EmbeddedWebhooks, pace};
use infra::embedded::{Embedded, alerts, priority};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::ServeArgs;
use super::maintenance::open;
use super::own_thread;
use super::reminders::Reminders;
use super::settings::ServeSettings;
use super::webhook_args::WebhookSettings;
use crate::auth::RequestOrigin;
use crate::http::HttpSettings;
use crate::prometheus::SeriesOf;
use crate::signals::Hangups;

/// The consumer handles two batches at a time: while it writes one, it receives and checks the next one. A larger batch
/// costs less for each event, but delays requests more while the writing thread appends the batch.
const POLL: PollOptions = PollOptions { concurrency: 2, batch_size: 256, wait: Duration::from_secs(20) };

/// All parts of the service that have metrics.
const METERED: [SeriesOf; 5] =
    [SeriesOf::Api, SeriesOf::Publishing, SeriesOf::Consumer, SeriesOf::Alerts, SeriesOf::Expiry];

/// How often the service looks for orders that are due.
const EXPIRY_TICK: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or Ctrl-C, then finishes the work in progress. Fails if the data folder can no longer be written.
pub(crate) async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let settings = args.settings();
    let ServeSettings { http, metrics, webhooks, backup } = settings
        .map_err(|errors| anyhow::anyhow!("the configuration is invalid:\n  {}", errors.join("\n  ")))?;
    let auth = args.auth.settings(RequestOrigin::Listening(args.listen));
    let access = auth.map_err(|faults| anyhow::anyhow!("{}", faults.join("\n  ")))?.access().await?;
    let alarm: Arc<dyn Alerts> = Arc::new(CountedAlerts(Arc::new(args.alerts.sinks()?)));
    let listener = crate::listen::bind(args.listen, "--listen").await?;
    let engine = open(&args.data, args.options()).await?;
    let latencies = measure(metrics, &engine).await?;
    if let Some(keys) = access.keys() {
        keys.count();
    }
    let mut failed = engine.failed();
    let (stop, stopped) = watch::channel(false);

    let recorder: Arc<Embedded> = Arc::new(engine.clone());
    let consumer = Arc::new(consumer_of(&recorder, args));
    let polling = poll::run(recorder.clone(), consumer, POLL, stopped.clone());
    let mut polling = own_thread::run("consumer", polling)?;
    let gate = write_gate(&recorder)?;
    let expiring = expire(&recorder, &gate, args.expire_unpaid, stopped.clone());
    let (subscriptions, delivering) = deliver(&engine, &webhooks, alarm.clone(), stopped.clone())?;
    let backing_up = backup.map(|backup| back_up(&engine, backup, args, stopped.clone())).transpose()?;

    let reminding = remind(&recorder, &subscriptions, &alarm, args, &stopped);

    let state = state_of(recorder, args, &http, &stopped);
    let history = Some(keep_history(&engine, subscriptions.clone(), latencies, stopped.clone()));
    let state = AppState { webhooks: Some(subscriptions), write_gate: Some(gate), history, ..state };
    let router = api::router(access.apply(state));
    announce(listener.local_addr()?, args, &engine);
    let alerting = tokio::spawn(alerts::run(engine.clone(), alarm, stopped.clone()));
    let serving = tokio::spawn(api::serve(listener, router, http.serve_options(), until(stopped)));

    let failure = tokio::select! {
        asked = hangups.until_stopped(access.keys()) => { asked?; None }
        reason = failed.wait_for(Option::is_some) => Some(match reason.as_deref() {
            Ok(Some(reason)) => format!("the data folder {} can no longer be written: {reason}", args.data.data.display()),
            // If the thread has panicked, the panic was reported already.
            _ => "the writing thread has ended".to_owned(),
        }),
        _ = &mut polling => Some("the consumer has ended".to_owned()),
    };
    tracing::info!("stopping: finishing the work in progress");
    stop.send_replace(true);
    serving.await??;
    if !polling.is_terminated() {
        polling.await.context("the consumer has panicked")?;
    }
    tokio::try_join!(alerting, expiring, reminding)?;
    delivering.await.context("the webhook thread has panicked")?;
    if let Some((backing_up, drilling)) = backing_up {
        backing_up.await.context("the backup thread has panicked")?;
        drilling.await.context("the backup drill has panicked")?;
    }
    let waiting = engine.queue_depth();
    drop(engine);
    if let Some(reason) = failure {
        bail!("{reason}. Every accepted event is safe in the data folder; fix the cause and start again");
    }
    tracing::info!(waiting, "stopped; queued events are handled after the next start");
    Ok(())
}

/// Ends when `stopped` becomes true.
async fn until(mut stopped: watch::Receiver<bool>) {
    // `wait_for` fails only if the sender was dropped. In that case, the service is already stopping.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Starts a thread that backs up the data folder, and the drills of the backup if they are configured. Both end when `stopped`
/// becomes true.
fn back_up(
    engine: &Embedded,
    backup: ContinuousBackup,
    args: &ServeArgs,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(oneshot::Receiver<()>, JoinHandle<()>)> {
    let drill = args.drill.drill(&backup.target, &args.data.data, args.data.default_currency)?;
    let backing_up = continuous::run(engine, backup, stopped.clone());
    let backing_up = own_thread::run("backup", async move {
        // Backups give way to requests.
        priority::lower(priority::BACKUPS);
        backing_up.await;
    })?;
    let drilling = tokio::spawn(async move {
        if let Some(drill) = drill {
            drill.run(stopped).await;
        }
    });
    Ok((backing_up, drilling))
}

/// Starts to measure latencies, and serves metrics if there is an address for them.
async fn measure(metrics: Option<SocketAddr>, engine: &Embedded) -> anyhow::Result<Arc<Latencies>> {
    let latencies = Arc::new(Latencies::default());
    crate::prometheus::serve(metrics, Some(Arc::new(engine.clone())), &METERED, Some(latencies.clone()))
        .await?;
    Ok(latencies)
}

/// Keeps the last hour of the pipeline in memory, until `stopped` becomes true.
fn keep_history(
    engine: &Embedded,
    webhooks: Arc<EmbeddedWebhooks>,
    latencies: Arc<Latencies>,
    stopped: watch::Receiver<bool>,
) -> Arc<PipelineHistory> {
    let history = Arc::new(PipelineHistory::default());
    let pipeline = Arc::new(engine.clone());
    let ports = SampledPorts { pipeline, webhooks: Some(webhooks), latencies, clock: infra::now };
    let kept = history.clone();
    tokio::spawn(async move { kept.run(ports, stopped).await });
    history
}

/// The gate for writes, which is closed if the service is being moved or was moved.
fn write_gate(engine: &Arc<Embedded>) -> anyhow::Result<Arc<WriteGate>> {
    let gate = WriteGate::new(engine.clone())?;
    if let Some(fence) = gate.fence() {
        let address = fence.address.as_deref();
        tracing::warn!(since = %fence.since, address, "the service is fenced: it accepts no writes");
    }
    Ok(gate)
}

/// The API's state, backed by `engine`.
fn state_of(
    engine: Arc<Embedded>,
    args: &ServeArgs,
    http: &HttpSettings,
    stopped: &watch::Receiver<bool>,
) -> AppState {
    let operations = Operations {
        letters: engine.clone(),
        pipeline: engine.clone(),
        default_currency: args.data.default_currency,
    };
    AppState {
        operations: Some(operations),
        feed: Some(engine.clone()),
        exports: Some(Exports::new(engine.clone())),
        backups: Some(Arc::new(EngineBackups::new((*engine).clone()))),
        searchable_metadata: Arc::new(args.searchable_metadata()),
        stopping: Some(stopped.clone()),
        ..http.apply(AppState::new(engine.clone(), engine.clone(), engine))
    }
}

fn consumer_of(engine: &Arc<Embedded>, args: &ServeArgs) -> Consumer {
    Consumer {
        log: engine.clone(),
        dead_letters: engine.clone(),
        clock: infra::now,
        default_currency: args.data.default_currency,
        max_receives: Some(args.max_receives),
        ledger: None,
    }
}

/// Starts a thread that delivers events to webhooks until `stopped` becomes true. Returns the subscriptions for the
/// API, and a receiver that completes when the thread ends.
fn deliver(
    engine: &Embedded,
    settings: &WebhookSettings,
    alarm: Arc<dyn Alerts>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<(Arc<EmbeddedWebhooks>, oneshot::Receiver<()>)> {
    let subscriptions = EmbeddedWebhooks::open(engine, &settings.source, settings.sender())?;
    let dispatcher = subscriptions.dispatcher(settings.sender(), alarm, settings.options.clone());
    let delivering = own_thread::run("webhooks", async move {
        pace::start();
        dispatcher.run(stopped).await;
    })?;
    Ok((subscriptions, delivering))
}

/// Proposes to cancel orders that are unpaid at their deadline, until `stopped` becomes true.
fn expire(
    engine: &Arc<Embedded>,
    gate: &Arc<WriteGate>,
    unpaid_age: Option<Duration>,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let gated = Arc::new(GatedExpiry { gate: gate.clone(), inner: engine.clone() });
    let role = ExpiryRole {
        due: gated.clone(),
        reader: engine.clone(),
        publisher: gated,
        clock: infra::now,
        unpaid_age,
        tick: EXPIRY_TICK,
    };
    tokio::spawn(async move { role.run(stopped).await })
}

/// Reminds operators of what is unresolved, until `stopped` becomes true.
fn remind(
    engine: &Arc<Embedded>,
    webhooks: &Arc<EmbeddedWebhooks>,
    alerts: &Arc<dyn Alerts>,
    args: &ServeArgs,
    stopped: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    let Some(every) = args.alerts.repeat() else { return tokio::spawn(async {}) };
    let (letters, pipeline) = (engine.clone(), engine.clone());
    let reminders =
        Reminders { letters, pipeline, webhooks: webhooks.clone(), alerts: alerts.clone(), every };
    tokio::spawn(reminders.run(stopped.clone()))
}

/// Logs the addresses. On the first start, also logs a sample request to try.
fn announce(address: SocketAddr, args: &ServeArgs, engine: &Embedded) {
    let data = args.data.data.display();
    let console = format!("http://{address}/console");
    tracing::info!(listen = %address, console, data = %data, waiting = engine.queue_depth(), "serving");
    if !engine.is_new() {
        return;
    }
    let hint = format!(
        "curl -i http://{address}/v1/orders -H 'content-type: application/json' -d '{}'",
        r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"tea","quantity":2,"unit_price":450}]}"#
    );
    if std::io::stderr().is_terminal() {
        crate::telemetry::print(&format!(
            "\n  orders listens on http://{address}, documentation at http://{address}/docs\n  \
             its console is at http://{address}/console, its data is in {data}\n  try:\n\n    {hint}\n"
        ));
    } else {
        tracing::info!(hint, "first start: try this");
    }
}
