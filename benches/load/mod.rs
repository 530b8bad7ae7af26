//! Shared by the benchmarks of the service: a client that uses little CPU time, and the processes to measure.

#![allow(dead_code, reason = "no benchmark uses the whole module")]

pub(crate) mod client;
mod echo;
#[path = "../aws/figures.rs"]
pub(crate) mod figures;
pub(crate) mod processes;
pub(crate) mod stored;
