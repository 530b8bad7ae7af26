//! Cold starts: from the start of a process to its answer to the first invocation; and the size of the program.

use std::path::Path;
use std::process::Command;

use crate::deployment::Deployment;
use crate::events::{one_creation, post_order};
use crate::figures::{Spread, cpu, resident};

const STARTS: usize = 15;

/// What one start took: in milliseconds until it asked for an event and until it had answered, both from the start of
/// the process; of CPU; and MiB then.
struct Start {
    asked: f64,
    answered: f64,
    cpu: f64,
    memory: f64,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!("\nCold starts, in ms from the start of the process, {STARTS} of each in turns");
    let (mut consumers, mut apis, mut articles) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        consumers.push(start(deployment, Some("consumer")).await?);
        apis.push(start(deployment, Some("api")).await?);
        articles.push(start(deployment, None).await?);
    }
    tell("consumer, one order_created", &consumers);
    tell("API, POST /v1/orders", &apis);
    tell("the article's handler, one order_created", &articles);
    size(&deployment.program)
}

async fn start(deployment: &Deployment, role: Option<&str>) -> anyhow::Result<Start> {
    let mut function = match role {
        Some(role) => deployment.function(role).await?,
        None => deployment.article().await?,
    };
    let event = if role == Some("api") { post_order() } else { one_creation(&deployment.queues.arn) };
    let answer = function.invoke(&event).await?;
    let fine = answer.body["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
        || answer.body["statusCode"] == 202;
    anyhow::ensure!(fine, "{}", answer.body);
    Ok(Start {
        asked: function.asked_after().as_secs_f64() * 1e3,
        answered: (answer.at - function.started).as_secs_f64() * 1e3,
        cpu: cpu(function.id())?.as_secs_f64() * 1e3,
        memory: resident(function.id())?,
    })
}

fn tell(name: &str, starts: &[Start]) {
    let spread = |of: fn(&Start) -> f64| starts.iter().map(of).collect::<Spread>();
    println!("  {name}");
    println!("    answered:    {:.1}", spread(|start| start.answered));
    println!("    ready after: {:.1}", spread(|start| start.asked));
    println!("    CPU:         {:.1}", spread(|start| start.cpu));
    println!("    MiB:         {:.1}", spread(|start| start.memory));
}

/// Tells the size of the program, as it is and without symbols.
fn size(program: &Path) -> anyhow::Result<()> {
    let mib = |path: &Path| anyhow::Ok(std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20));
    print!("  the program has {:.1} MiB", mib(program)?);
    let folder = tempfile::TempDir::new()?;
    let stripped = folder.path().join("stripped");
    match Command::new("strip").arg("-o").arg(&stripped).arg(program).status() {
        Ok(status) if status.success() => println!(", {:.1} MiB stripped", mib(&stripped)?),
        _ => println!("; `strip`, which would tell it without symbols, is not there"),
    }
    Ok(())
}
