//! Measures cold starts, from the start of a process to its answer to the first invocation, and the size of the
//! program.

use std::path::Path;
use std::process::Command;

use crate::deployment::Deployment;
use crate::events::{one_creation, post_order};
use crate::figures::{Spread, cpu, resident};

const STARTS: usize = 15;

/// The cost of one cold start.
struct ColdStart {
    /// The milliseconds from the start of the process until it requested its first event.
    ready_ms: f64,
    /// The milliseconds from the start of the process until its answer.
    answered_ms: f64,
    cpu_ms: f64,
    memory_mib: f64,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!(
        "\nCold starts, in ms from the start of the process; the programs take turns, with {STARTS} starts each"
    );
    let (mut consumers, mut apis, mut v0) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        consumers.push(start(deployment, Some("consumer")).await?);
        apis.push(start(deployment, Some("api")).await?);
        v0.push(start(deployment, None).await?);
    }
    print("consumer, one order_created", &consumers);
    print("API, POST /v1/orders", &apis);
    print("v0 consumer, one order_created", &v0);
    print_size(&deployment.program)
}

async fn start(deployment: &Deployment, role: Option<&str>) -> anyhow::Result<ColdStart> {
    let mut function = match role {
        Some(role) => deployment.function(role).await?,
        None => deployment.v0_consumer().await?,
    };
    let event = if role == Some("api") { post_order() } else { one_creation(&deployment.queues.arn) };
    let answer = function.invoke(&event).await?;
    let succeeded = answer.body["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
        || answer.body["statusCode"] == 202;
    anyhow::ensure!(succeeded, "{}", answer.body);
    Ok(ColdStart {
        ready_ms: function.ready_after().as_secs_f64() * 1e3,
        answered_ms: (answer.at - function.started).as_secs_f64() * 1e3,
        cpu_ms: cpu(function.id())?.as_secs_f64() * 1e3,
        memory_mib: resident(function.id())?,
    })
}

fn print(name: &str, starts: &[ColdStart]) {
    let spread = |of: fn(&ColdStart) -> f64| starts.iter().map(of).collect::<Spread>();
    println!("  {name}");
    println!("    answered:    {:.1}", spread(|start| start.answered_ms));
    println!("    ready after: {:.1}", spread(|start| start.ready_ms));
    println!("    CPU:         {:.1}", spread(|start| start.cpu_ms));
    println!("    MiB:         {:.1}", spread(|start| start.memory_mib));
}

fn print_size(program: &Path) -> anyhow::Result<()> {
    let mib = |path: &Path| anyhow::Ok(std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20));
    print!("  size of the program: {:.1} MiB", mib(program)?);
    let folder = tempfile::TempDir::new()?;
    let stripped = folder.path().join("stripped");
    match Command::new("strip").arg("-o").arg(&stripped).arg(program).status() {
        Ok(status) if status.success() => println!(", {:.1} MiB stripped", mib(&stripped)?),
        _ => println!("; to measure the size without symbols, install `strip`"),
    }
    Ok(())
}
