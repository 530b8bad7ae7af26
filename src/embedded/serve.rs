//! Implements `orders serve`: the API and the consumer on one data folder.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use api::AppState;
use api::expiry::ExpiryRole;
use api::operations::Operations;
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use infra::embedded::{Embedded, alerts};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::ServeArgs;
use super::maintenance::open;
use crate::auth::RequestOrigin;
use crate::http::HttpSettings;
use crate::signals::Hangups;

/// The consumer handles two batches at a time. While one is written, the next one is received and judged. A larger
/// batch costs less for each event, but requests wait while the writing thread appends it.
const POLL: PollOptions = PollOptions { concurrency: 2, batch_size: 256, wait: Duration::from_secs(20) };

/// How often the service looks for orders that are due.
const EXPIRY_TICK: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or Ctrl-C, then finishes the work in progress. Fails if the data folder can no longer be written.
pub(crate) async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let (http, metrics) = listening(args)?;
    let auth = args.auth.settings(RequestOrigin::Listening(args.listen));
    let access = auth.map_err(|faults| anyhow::anyhow!("{}", faults.join("\n  ")))?.access().await?;
    let alarm = Arc::new(args.alerts()?);
    let listener = crate::listen::bind(args.listen, "--listen").await?;
    let engine = open(&args.data, args.options()).await?;
    crate::prometheus::serve(metrics, Some(Arc::new(engine.clone()))).await?;
    let mut failed = engine.failed();
    let (stop, stopped) = watch::channel(false);

    let recorder: Arc<Embedded> = Arc::new(engine.clone());
    let consumer = Consumer {
        log: recorder.clone(),
        dead_letters: recorder.clone(),
        clock: infra::now,
        default_currency: args.data.default_currency,
        max_receives: Some(args.max_receives),
        ledger: None,
    };
    let mut polling = poll_apart(recorder.clone(), consumer, stopped.clone())?;
    let alerting = tokio::spawn(alerts::run(engine.clone(), alarm, stopped.clone()));
    let expiring = expire(&recorder, args.expire_unpaid, stopped.clone());

    let operations = Some(Operations {
        letters: recorder.clone(),
        pipeline: recorder.clone(),
        default_currency: args.data.default_currency,
    });
    let state = http.apply(AppState::new(recorder.clone(), recorder.clone(), recorder));
    let searchable_metadata = Arc::new(args.searchable_metadata());
    let router = api::router(AppState { operations, searchable_metadata, ..access.apply(state) });
    announce(listener.local_addr()?, args, &engine);
    let mut api_stopped = stopped;
    let until_stopped = async move {
        // If the sender has been dropped, the service is already stopping.
        let _ = api_stopped.wait_for(|stop| *stop).await;
    };
    let serving = tokio::spawn(api::serve(listener, router, http.serve_options(), until_stopped));

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
    tokio::try_join!(alerting, expiring)?;
    let waiting = engine.queue_depth();
    drop(engine);
    if let Some(reason) = failure {
        bail!("{reason}. Every accepted event is safe in the data folder; fix the cause and start again");
    }
    tracing::info!(waiting, "stopped; queued events are handled after the next start");
    Ok(())
}

/// The settings for clients, and the address of the metrics.
fn listening(args: &ServeArgs) -> anyhow::Result<(HttpSettings, Option<SocketAddr>)> {
    match (args.http.read(), args.metrics.read()) {
        (Ok(http), Ok(metrics)) => Ok((http, metrics)),
        (http, metrics) => {
            let faults = http.err().into_iter().flatten().chain(metrics.err()).collect::<Vec<_>>();
            bail!("the configuration is invalid:\n  {}", faults.join("\n  "));
        }
    }
}

/// Polls on a separate thread. There the consumer may block, and it does not take time from the threads that serve
/// requests. Completes when polling has stopped.
fn poll_apart(
    engine: Arc<Embedded>,
    consumer: Consumer,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the consumer")?;
    let (ended, end) = oneshot::channel();
    let work = move || {
        runtime.block_on(poll::run(engine, Arc::new(consumer), POLL, stopped));
        // The receiver has been dropped if the service no longer waits for this thread.
        let _ = ended.send(());
    };
    thread::Builder::new().name("consumer".to_owned()).spawn(work).context("cannot start the consumer")?;
    Ok(end)
}

/// Proposes to cancel orders that are unpaid at their deadline, until `stopped` becomes true.
fn expire(
    engine: &Arc<Embedded>,
    unpaid_age: Option<Duration>,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let role = ExpiryRole {
        due: engine.clone(),
        reader: engine.clone(),
        publisher: engine.clone(),
        clock: infra::now,
        unpaid_age,
        tick: EXPIRY_TICK,
    };
    tokio::spawn(async move { role.run(stopped).await })
}

/// Logs the addresses; on a first start also a request to try.
fn announce(address: SocketAddr, args: &ServeArgs, engine: &Embedded) {
    let data = args.data.data.display();
    tracing::info!(listen = %address, data = %data, waiting = engine.queue_depth(), "serving");
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
             its data is in {data}\n  try:\n\n    {hint}\n"
        ));
    } else {
        tracing::info!(hint, "first start: try this");
    }
}
