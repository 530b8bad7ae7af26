//! Implements `orders move`, which moves a running embedded service to AWS. The command copies the recorded events
//! while the service runs, sets the fence, and copies the rest. `main` calls [`run`]; `infra::aws::fill` writes to AWS.
//!
//! Every step can be repeated. The marker in the table records how far the copy is. The fence in the data folder
//! records that the service accepts no writes. So a move that was killed continues when the command runs again.

mod service;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use domain::Currency;
use infra::aws::fill::{Begun, Fill, FillTarget, take_back};

use crate::api_client::{ApiClient, ApiClientArgs};
use crate::aws::args::{FillArgs, OperatedTableArgs};
use crate::aws::fill::{self, FillDisplay};
use crate::base_url::BaseUrl;
use crate::table::fields;
use service::MovedService;

/// The name of a move in the marker in the table.
const WORK: &str = "a move";
/// The service is fenced after a pass that copied at most this many events, so that writes are refused only for a short
/// time.
const CLOSE_EVENTS: u64 = 500;
/// How long `--follow` pauses before it copies new events again.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);
/// How often `--follow` prints how far the copy is behind the service.
const PRINT_EVERY: Duration = Duration::from_secs(10);
/// How often a move checks whether the service's queue is empty.
const DRAIN_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("action").required(true))]
pub(crate) struct MoveArgs {
    /// Move the service to these resources: copy, follow, fence the service, and bring along the rest.
    #[arg(long, value_enum, value_name = "PLACE", group = "action")]
    to: Option<MoveTo>,
    /// Take the move back: the service accepts writes again. Not possible after --final.
    #[arg(long, group = "action")]
    back: bool,
    /// Declare the move final: the service never accepts writes again.
    #[arg(long = "final", id = "final", group = "action")]
    is_final: bool,
    /// Only copy events, and follow the service until Ctrl-C. The service stays open.
    #[arg(long, requires = "to")]
    follow: bool,
    /// The URL that clients are to use after the move. The service shows it to those who write to it meanwhile.
    #[arg(long, value_name = "URL", requires = "to")]
    address: Option<BaseUrl>,
    /// How long to wait until the queue of the fenced service is empty, in seconds. Messages that are left by then are moved to
    /// the new queue.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    drain: u64,
    #[command(flatten)]
    table: OperatedTableArgs,
    #[command(flatten)]
    fill: FillArgs,
    /// The currency (ISO 4217) of orders whose producer does not send one.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE", value_parser = Currency::parse)]
    default_currency: Currency,
    #[command(flatten)]
    client: ApiClientArgs,
}

/// Where a service can be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MoveTo {
    /// SQS and DynamoDB.
    Aws,
}

/// Moves the service, takes the move back, or declares it final.
pub(crate) async fn run(args: MoveArgs) -> anyhow::Result<()> {
    let service = MovedService::new(ApiClient::new(&args.client)?);
    let target = fill::target(&args.table, &args.fill, args.default_currency).await?;
    let folder = service.folder_name().await?;
    if args.back {
        return back(&service, &target, &folder).await;
    }
    let display = FillDisplay::new();
    let show = |progress| display.show(progress);
    match Fill::begin(target, &folder, WORK, &show).await? {
        Begun::Done { at, cut } => finished(&service, args.is_final, &at.to_string(), &cut).await,
        Begun::Going(_) if args.is_final => {
            bail!("the move is not complete; run `orders move --to aws` first")
        }
        Begun::Going(fill) => Move { args: &args, service: &service, fill: *fill }.go(&display).await,
    }
}

/// Handles a move that is already complete. If `is_final`, declares the move final.
async fn finished(service: &MovedService, is_final: bool, at: &str, cut: &str) -> anyhow::Result<()> {
    let fence = service.fence().await?;
    if fence.since_text() != cut {
        bail!(
            "the move was completed at {at}, and the service was opened for writes after it: what it has recorded since is not \
             on AWS. Move it again, to empty resources"
        );
    }
    if !is_final {
        return crate::print(&format!("the move was completed at {at}; there is nothing to do"));
    }
    service.set_fence(fence.address.as_deref(), true).await?;
    crate::print(&format!(
        "the move was completed at {at} and is final: the service never accepts writes again"
    ))
}

/// Lifts the fence. If the move has written more than events, the table becomes unusable, so that no role starts on it.
async fn back(service: &MovedService, target: &FillTarget, folder: &str) -> anyhow::Result<()> {
    if service.fence().await?.is_final {
        bail!("the move is final, so it cannot be taken back");
    }
    let is_void = take_back(target, folder, WORK).await?;
    service.lift_fence().await?;
    let hint = match is_void {
        true => "; the table can no longer be used: create new resources for the next move",
        false => "; the next `orders move --to aws` goes on",
    };
    crate::print(&format!("the service accepts writes again{hint}"))
}

struct Move<'a> {
    args: &'a MoveArgs,
    service: &'a MovedService,
    fill: Fill<'a>,
}

impl Move<'_> {
    async fn go(mut self, display: &FillDisplay) -> anyhow::Result<()> {
        if self.args.follow {
            return self.follow().await;
        }
        while self.pass().await? > CLOSE_EVENTS {}
        crate::print("copied; the service now accepts no writes")?;
        let address = self.args.address.as_ref().map(ToString::to_string);
        let fence = self.service.set_fence(address.as_deref(), false).await?;
        let left = self.drain().await?;
        crate::print(&match left {
            0 => "the queue of the service is empty".to_owned(),
            left => {
                format!("{left} messages are still on the queue of the service, and move to the new queue")
            }
        })?;
        let report = self.fill.complete(self.service, &fence.since_text()).await?;
        display.clear();
        crate::print(&fields(fill::describe(&report)).join("\n"))?;
        crate::print("moved: the new side may open. Then run `orders move --final`")
    }

    /// Copies new events. Returns the number of events that were not copied when the pass began.
    async fn pass(&mut self) -> anyhow::Result<u64> {
        let copied = self.fill.copied();
        let folder = self.fill.copy(&mut *self.service.source()).await?;
        Ok(folder.position.saturating_sub(copied))
    }

    async fn follow(mut self) -> anyhow::Result<()> {
        let mut printed: Option<Instant> = None;
        loop {
            let behind = tokio::select! {
                behind = self.pass() => behind?,
                asked = crate::asked_to_stop() => return Ok(asked?),
            };
            if printed.is_none_or(|at| at.elapsed() >= PRINT_EVERY) {
                printed = Some(Instant::now());
                let copied = self.fill.copied();
                crate::print(&format!(
                    "copied up to position {copied}; {behind} events behind before this pass"
                ))?;
            }
            tokio::select! {
                () = tokio::time::sleep(FOLLOW_PAUSE) => {}
                asked = crate::asked_to_stop() => return Ok(asked?),
            }
        }
    }

    /// Waits until the queue of the service is empty, for a limited time. Returns the number of messages that are left.
    async fn drain(&self) -> anyhow::Result<u64> {
        let end = Instant::now() + Duration::from_secs(self.args.drain);
        loop {
            let left = self.service.queued().await.context("reading the queue of the service")?;
            if left == 0 || Instant::now() >= end {
                return Ok(left);
            }
            tokio::time::sleep(DRAIN_PAUSE).await;
        }
    }
}
