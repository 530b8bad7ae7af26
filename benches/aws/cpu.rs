//! Measures CPU time and memory per message for our consumer and for the v0 consumer in Python. Both run behind the
//! same Runtime API and emulator, and take turns.

use std::time::{Duration, Instant};

use crate::deployment::Deployment;
use crate::events::{self, Load};
use crate::figures::{Spread, cpu, resident};
use crate::runtime_api::FunctionProcess;

const ROUNDS: usize = 5;
/// The approximate number of messages of a round.
const MESSAGES: usize = 500;
const LOADS: [(&str, Load); 3] = [
    ("order_created", events::creations),
    ("five events of each order, one in each batch", events::lives_step_by_step),
    ("five events of each order, all in one batch", events::lives_in_one_batch),
];

/// The cost of one message, in microseconds.
struct Cost {
    cpu: f64,
    elapsed: f64,
}

pub(crate) async fn report(deployment: &Deployment) -> anyhow::Result<()> {
    println!("\nCPU per message, in µs: batches of 10, {ROUNDS} rounds of {MESSAGES} messages");
    println!(
        "  ours: the CPU time of our whole process, including logs and polling; v0: the CPU time of only the handler"
    );
    for (name, load) in LOADS {
        let (mut ours, mut v0) = (deployment.function("consumer").await?, deployment.v0_consumer().await?);
        // A short round warms up the connections and the lazily created clients of both functions.
        for function in [&mut ours, &mut v0] {
            round(deployment, function, load, MESSAGES / 5).await?;
        }
        let (mut our_costs, mut v0_costs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_costs.push(round(deployment, &mut ours, load, MESSAGES).await?);
            v0_costs.push(round(deployment, &mut v0, load, MESSAGES).await?);
        }
        println!("  {name}");
        let memory = (resident(ours.id())?, resident(v0.id())?);
        print("ours", &our_costs, memory.0);
        print("v0", &v0_costs, memory.1);
        let ratios: Spread = our_costs.iter().zip(&v0_costs).map(|(ours, v0)| v0.cpu / ours.cpu).collect();
        println!("    the v0 consumer uses {ratios:.1} times the CPU time of our consumer");
    }
    Ok(())
}

fn print(name: &str, costs: &[Cost], memory: f64) {
    let cpu: Spread = costs.iter().map(|cost| cost.cpu).collect();
    let elapsed: Spread = costs.iter().map(|cost| cost.elapsed).collect();
    println!("    {name}: {cpu:.0}; {memory:.0} MiB resident; elapsed {elapsed:.0}");
}

/// Lets a function handle approximately `messages` messages.
async fn round(
    deployment: &Deployment,
    function: &mut FunctionProcess,
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
