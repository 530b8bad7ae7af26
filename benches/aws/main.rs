//! Measures the cost of the roles on AWS: calls and units per order, CPU time per message in comparison to the v0
//! consumer in Python, and the cold start of a function. The benchmark runs the real program on the emulator.
//!
//! Run it with `cargo bench --features aws --bench aws`. After `--`, any of `calls`, `cpu` and `start` selects parts of
//! the benchmark. `--program PATH` measures another build of the functions, as in `-- start --program
//! target/lambda/orders/bootstrap`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]
#![allow(clippy::unwrap_used, reason = "a failing benchmark may panic")]

mod calls;
mod cpu;
mod deployment;
mod events;
mod figures;
mod runtime_api;
mod start;
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the benchmark uses only a part of the test support"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::path::PathBuf;

use deployment::Deployment;

fn main() -> anyhow::Result<()> {
    let mut program = PathBuf::from(env!("CARGO_BIN_EXE_orders"));
    let mut parts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo passes `--bench` to every benchmark.
            "--bench" => {}
            "--program" => program = arguments.next().unwrap_or_default().into(),
            _ => parts.push(argument),
        }
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    tokio::runtime::Runtime::new()?.block_on(async {
        let deployment = Deployment::make(program).await?;
        if wanted("calls") {
            calls::report(&deployment).await?;
        }
        if wanted("cpu") {
            cpu::report(&deployment).await?;
        }
        if wanted("start") {
            start::report(&deployment).await?;
        }
        Ok(())
    })
}
