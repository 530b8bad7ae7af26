//! What the roles on AWS cost: calls and units per order, CPU per message beside the article's handler in Python, and
//! the time that a function takes to its first answer. All of it on the emulator, with the real program.
//!
//! Run it with `cargo bench --features aws --bench aws`; after `--`, any of `calls`, `cpu` and `start` picks parts, and
//! `--program PATH` measures another build as the functions: `-- start --program target/lambda/orders/bootstrap`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to report")]

mod calls;
mod cpu;
mod deployment;
mod events;
mod figures;
mod runtime_api;
mod start;
#[allow(dead_code, unreachable_pub, reason = "what the tests need of it, nobody else may")]
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
            // By cargo.
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
