//! CPU and memory per message: our consumer beside the article's handler, behind the same Runtime API, on the same
//! emulator, in turns.

use std::time::{Duration, Instant};

use crate::deployment::Deployment;
use crate::events::{self, Load};
use crate::figures::{Spread, cpu, resident};
use crate::runtime_api::Function;

const ROUNDS: usize = 5;
/// Messages of a round, about.
const MESSAGES: usize = 500;
const LOADS: [(&str, Load); 3] = [
    ("order_created", events::creations),
    ("a life, step by step", events::lives_step_by_step),
    ("a life, at once", events::lives_at_once),
];

/// What one message took, in microseconds.
struct Cost {
    cpu: f64,
    elapsed: f64,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!("\nCPU per message, in µs: batches of 10, {ROUNDS} rounds of {MESSAGES} messages");
    println!("  ours: all that the process uses, logs and polling included; the article's: its handler only");
    for (name, load) in LOADS {
        let (mut ours, mut article) = (deployment.function("consumer").await?, deployment.article().await?);
        // Connections are opened, and what is lazy is made.
        for function in [&mut ours, &mut article] {
            round(deployment, function, load, MESSAGES / 5).await?;
        }
        let (mut our_costs, mut its_costs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_costs.push(round(deployment, &mut ours, load, MESSAGES).await?);
            its_costs.push(round(deployment, &mut article, load, MESSAGES).await?);
        }
        println!("  {name}");
        let memory = (resident(ours.id())?, resident(article.id())?);
        tell("ours", &our_costs, memory.0);
        tell("the article's", &its_costs, memory.1);
        let ratios: Spread = our_costs.iter().zip(&its_costs).map(|(ours, its)| its.cpu / ours.cpu).collect();
        println!("    the article's takes {ratios:.1} times as much");
    }
    Ok(())
}

fn tell(name: &str, costs: &[Cost], memory: f64) {
    let cpu: Spread = costs.iter().map(|cost| cost.cpu).collect();
    let elapsed: Spread = costs.iter().map(|cost| cost.elapsed).collect();
    println!("    {name}: {cpu:.0}; {memory:.0} MiB resident; elapsed {elapsed:.0}");
}

/// Has a function handle about this many messages.
async fn round(
    deployment: &Deployment,
    function: &mut Function,
    load: Load,
    messages: usize,
) -> anyhow::Result<Cost> {
    let (mut done, mut handler, mut elapsed) = (0, Duration::ZERO, Duration::ZERO);
    let before = cpu(function.id())?;
    while done < messages {
        for event in load(&deployment.queues.arn) {
            let start = Instant::now();
            let answer = function.invoke(&event).await?;
            elapsed += answer.at - start;
            let failures = &answer.body["batchItemFailures"];
            anyhow::ensure!(failures.as_array().is_some_and(Vec::is_empty), "failed: {}", answer.body);
            handler += answer.handler_cpu.unwrap_or_default();
            done += event["Records"].as_array().map_or(0, Vec::len);
        }
    }
    let used = if handler.is_zero() { cpu(function.id())? - before } else { handler };
    let each = |total: Duration| total.as_secs_f64() * 1e6 / done as f64;
    Ok(Cost { cpu: each(used), elapsed: each(elapsed) })
}
