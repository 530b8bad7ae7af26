//! Tests queued deliveries with a FIFO queue, a receiver and a store in memory: single cases, operators that
//! intervene, and random runs.

#![allow(clippy::unwrap_used, reason = "a test may panic, because a panic makes the test fail")]

mod cases;
mod dead_receiver;
mod fixtures;
mod model;
mod operators;
mod ports;
mod queue;
mod world;
