//! What the benches share: a client that costs little, and the processes that it is pointed at.

#![allow(dead_code, reason = "no bench needs all of it")]

pub(crate) mod client;
mod echo;
#[path = "../aws/figures.rs"]
pub(crate) mod figures;
pub(crate) mod processes;
